from collections import Counter
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django_otp.plugins.otp_totp.models import TOTPDevice

from medics.models import Test, TestType
from tests.factories import (
    FacilityFactory,
    PractitionerFactory,
    TechnicianFactory,
    TestTypeFactory,
)
from tests.support.authenticator_app import code_of
from tests.support.concurrency import at_once
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

URL = "/api/utilities/add-test-types"
TAKEN = {"name": ["A test type with this name already exists for this facility."]}


def add(client, **changes):
    return client.post(URL, {"name": "Serology", "tests": [{"name": "HIV 1/2"}], **changes})


def assert_nothing_was_added():
    assert not TestType.objects.exists()
    assert not Test.objects.exists()


@pytest.fixture
def operator(db):
    """Runs the service; belongs to no facility."""
    operator = PractitionerFactory(full_name="Nana Addo", is_staff=True)
    operator.user_permissions.set(permissions("add_testtype", "add_test"))
    return operator


def permissions(*codenames):
    return Permission.objects.filter(codename__in=codenames)


def test_the_path_is_the_contracts():
    assert reverse("utilities:add-test-types") == URL


# The administrator of a facility


def test_the_administrator_adds_a_type_with_its_tests(signed_in, efua, laboratory):
    answer = add(
        signed_in(efua),
        name=" Serology ",
        tests=[{"name": "hiv 1/2 ", "price": 40}, {"name": " Widal", "price": "12.50"}],
    )

    test_type = TestType.objects.get()
    hiv, widal = Test.objects.order_by("id")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "success",
        "message": "Test type and tests added successfully",
        "data": {
            "name": "SEROLOGY",
            "tests": [
                {"id": hiv.id, "name": "HIV 1/2", "price": 40},
                {"id": widal.id, "name": "WIDAL", "price": 12.5},
            ],
        },
    }
    assert test_type.facility == laboratory
    assert test_type.name == "SEROLOGY"
    assert [(test.name, test.price) for test in test_type.tests.order_by("id")] == [
        ("HIV 1/2", Decimal("40.00")),
        ("WIDAL", Decimal("12.50")),
    ]


@pytest.mark.parametrize("price", [-0.0, "-0.0", "-0"])
def test_less_than_nothing_by_nothing_is_nothing(signed_in, efua, laboratory, price):
    answer = add(signed_in(efua), tests=[{"name": "HIV", "price": price}])

    assert str(answer.json()["data"]["tests"][0]["price"]) == "0.0"


def test_a_price_is_zero_when_none_is_given(signed_in, efua, laboratory):
    [test] = add(signed_in(efua)).json()["data"]["tests"]

    assert test["price"] == 0
    assert isinstance(test["price"], int | float)
    assert Test.objects.get().price == 0


@pytest.mark.parametrize("price", [0, 0.5, 19.99, "19.99", 99999999.99, "0"])
def test_a_price_is_answered_as_a_number(signed_in, efua, laboratory, price):
    answer = add(signed_in(efua), tests=[{"name": "HIV", "price": price}])

    assert answer.json()["data"]["tests"][0]["price"] == float(price)
    assert Test.objects.get().price == Decimal(str(price))


@pytest.mark.parametrize(
    "price",
    [-1, "-0.01", 100000000, 1.234, "free", "NaN", "1_0", "0x1", 1e300, "", [], {}, True],
)
def test_what_is_no_price_is_refused(signed_in, efua, laboratory, price):
    answer = add(signed_in(efua), tests=[{"name": "WIDAL"}, {"name": "HIV", "price": price}])

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["tests"]
    assert all(isinstance(sentence, str) for sentence in answer.json()["detail"]["tests"])
    assert_nothing_was_added()


@pytest.mark.parametrize("name", ["Haematology", "HAEMATOLOGY", " haematology "])
def test_a_taken_name_is_refused(signed_in, efua, haematology, name):
    answer = add(signed_in(efua), name=name)

    assert answer.status_code == 400
    assert answer.json()["detail"] == TAKEN
    assert TestType.objects.get() == haematology
    assert not Test.objects.exists()


def test_another_facilitys_type_may_have_the_name(signed_in, efua, laboratory):
    TestTypeFactory(name="SEROLOGY")

    assert add(signed_in(efua)).status_code == 200
    assert TestType.objects.filter(name="SEROLOGY").count() == 2


def test_a_test_named_twice_counts_once(signed_in, efua, laboratory):
    answer = add(
        signed_in(efua),
        tests=[
            {"name": "HIV", "price": 40},
            {"name": "Widal"},
            {"name": " hiv ", "price": 50},
        ],
    )

    assert answer.status_code == 200
    assert [(test["name"], test["price"]) for test in answer.json()["data"]["tests"]] == [
        ("HIV", 40),
        ("WIDAL", 0),
    ]
    assert Test.objects.count() == 2


@pytest.mark.parametrize(
    ("one", "other", "number"),
    [
        ("I", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", 1),
        ("Caf\u00e9", "cafe\u0301", 1),
        ("\u039f\u03a3", "\u03bf\u03c2", 1),
        ("Beta\u00a0HCG", "BETA HCG", 1),
        ("I", "\N{LATIN SMALL LETTER DOTLESS I}X", 2),
    ],
)
def test_names_are_one_by_one_rule(signed_in, efua, laboratory, one, other, number):
    """In one request, in the next one, and to the database."""
    client = signed_in(efua)
    assert add(client, tests=[{"name": one}, {"name": other}]).status_code == 200
    assert Test.objects.count() == number

    assert add(client, name=one).status_code == 200
    assert add(client, name=other).status_code == (400 if number == 1 else 200)


def test_names_are_refused_that_outgrow_their_column_in_upper_case(signed_in, efua, laboratory):
    sharp_s = "ß"

    answer = add(signed_in(efua), name=sharp_s * 255)
    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["name"]

    answer = add(signed_in(efua), tests=[{"name": sharp_s * 255}])
    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["tests"]

    assert_nothing_was_added()


def test_a_name_may_fill_its_column(signed_in, efua, laboratory):
    answer = add(signed_in(efua), name="é" * 255, tests=[{"name": "ß" * 127}])

    assert answer.status_code == 200
    assert TestType.objects.get().name == "É" * 255
    assert Test.objects.get().name == "SS" * 127


@pytest.mark.parametrize("name", ["", "  ", None, [], {}, True, "a\x00b", "A" * 256])
def test_what_is_no_name_is_refused(signed_in, efua, laboratory, name):
    client = signed_in(efua)

    answer = add(client, name=name)
    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["name"]

    answer = add(client, tests=[{"name": "HIV"}, {"name": name}])
    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["tests"]

    assert_nothing_was_added()


@pytest.mark.parametrize("tests", [[], None, {}, "HIV", ["HIV"], [None], [[]], [{}], 7])
def test_what_are_no_tests_is_refused(signed_in, efua, laboratory, tests):
    answer = add(signed_in(efua), tests=tests)

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["tests"]
    assert answer.json()["detail"]["tests"]
    assert_nothing_was_added()


def test_missing_fields_are_named(signed_in, efua, laboratory):
    answer = signed_in(efua).post(URL, {})

    assert answer.status_code == 400
    assert answer.json()["detail"] == {
        "name": ["This field is required."],
        "tests": ["This field is required."],
    }


def test_the_administrator_cannot_name_another_facility(signed_in, efua, laboratory):
    other = FacilityFactory()

    add(signed_in(efua), facility_ids=[other.id])

    assert not other.test_types.exists()


# Operators


def test_an_operator_adds_a_type_to_the_facilities_named(signed_in, operator):
    one, other, third = FacilityFactory.create_batch(3)

    answer = add(signed_in(operator), facility_ids=[other.id, str(one.id), one.id])

    assert answer.status_code == 200
    assert answer.json()["data"]["name"] == "SEROLOGY"
    assert one.test_types.get().tests.get().name == "HIV 1/2"
    assert other.test_types.get().tests.get().name == "HIV 1/2"
    assert not third.test_types.exists()
    assert {test["id"] for test in answer.json()["data"]["tests"]} == {
        test.id for test in Test.objects.all()
    }


@pytest.mark.parametrize(
    "codenames", [(), ("add_testtype",), ("add_test",), ("change_testtype", "change_test")]
)
def test_an_operator_without_both_permissions_is_nobody(signed_in, laboratory, codenames):
    clerk = PractitionerFactory(is_staff=True)
    clerk.user_permissions.set(permissions(*codenames))

    answer = add(signed_in(clerk), facility_ids=[laboratory.id])

    assert answer.status_code == 400
    assert answer.json()["detail"] == "Unauthorized: Only Lab Technicians can add test types."
    assert_nothing_was_added()


def test_permissions_without_the_admin_site_are_worth_nothing(signed_in, ama, laboratory):
    ama.user_permissions.set(permissions("add_testtype", "add_test"))

    assert add(signed_in(ama), facility_ids=[laboratory.id]).status_code == 400
    assert_nothing_was_added()


def test_an_administrator_without_an_operator_s_permissions_writes_at_home_alone(
    signed_in, efua, laboratory
):
    efua.is_staff = True
    efua.save()
    other = FacilityFactory()

    assert add(signed_in(efua), facility_ids=[other.id]).status_code == 200

    assert not other.test_types.exists()
    assert laboratory.test_types.exists()


def test_where_there_is_a_second_factor_an_operator_shows_a_code(
    signed_in, operator, laboratory, settings
):
    settings.ADMIN_SECOND_FACTOR = True
    settings.OTP_TOTP_SYNC = False
    client, form = signed_in(operator), {"facility_ids": [laboratory.id]}

    none_set_up = add(client, **form, otp="123456")
    device = TOTPDevice.objects.create(user=operator)
    others = TOTPDevice.objects.create(user=PractitionerFactory(is_staff=True))
    missing = add(client, **form)
    wrong = [add(client, **form, otp=otp) for otp in ("x", code_of(others))]

    for answer in (none_set_up, missing, *wrong):
        assert answer.status_code == 400
        assert list(answer.json()["detail"]) == ["otp"]
    assert_nothing_was_added()

    code = code_of(device)
    assert add(client, **form, otp=f" {code[:3]} {code[3:]}").status_code == 200
    # A code is good once.
    assert list(add(client, **form, name="Other", otp=code).json()["detail"]) == ["otp"]
    assert TestType.objects.count() == 1


def test_a_guessed_code_is_counted(signed_in, operator, laboratory, settings):
    settings.ADMIN_SECOND_FACTOR = True
    TOTPDevice.objects.create(user=operator)
    client = signed_in(operator)

    answers = [add(client, facility_ids=[laboratory.id], otp="x").status_code for _ in range(30)]

    assert answers[0] == 400
    assert answers[-1] == 429


def test_an_administrator_shows_no_code(signed_in, efua, laboratory, settings):
    settings.ADMIN_SECOND_FACTOR = True

    assert add(signed_in(efua)).status_code == 200


def test_an_operator_who_names_no_facility_is_refused(signed_in, operator, laboratory):
    for changes in ({}, {"facility_ids": []}):
        answer = add(signed_in(operator), **changes)
        assert answer.status_code == 400
        assert list(answer.json()["detail"]) == ["facility_ids"]
    assert_nothing_was_added()


@pytest.mark.parametrize(
    "unknown", [0, -1, 999999, 2**63, 10**30, "none", None, [], {}, True, "a\x00b"]
)
def test_an_unknown_facility_is_refused_and_nothing_is_added(
    signed_in, operator, laboratory, unknown
):
    answer = add(signed_in(operator), facility_ids=[laboratory.id, unknown])

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["facility_ids"]
    assert all(isinstance(sentence, str) for sentence in answer.json()["detail"]["facility_ids"])
    assert_nothing_was_added()


def test_where_one_facility_has_the_name_none_gets_it(signed_in, operator):
    first, second = FacilityFactory.create_batch(2)
    TestTypeFactory(facility=second, name="SEROLOGY")

    answer = add(signed_in(operator), facility_ids=[first.id, second.id])

    assert answer.status_code == 400
    assert answer.json()["detail"] == TAKEN
    assert not first.test_types.exists()
    assert not Test.objects.exists()


def test_an_operator_who_administers_a_facility_may_name_none(signed_in, efua, laboratory):
    efua.is_staff = True
    efua.save()

    assert add(signed_in(efua)).status_code == 200
    assert laboratory.test_types.get().name == "SEROLOGY"


# Everybody else


@pytest.mark.parametrize("facility_ids", [False, True])
def test_a_practitioner_is_refused(signed_in, ama, laboratory, facility_ids):
    changes = {"facility_ids": [laboratory.id]} if facility_ids else {}

    answer = add(signed_in(ama), **changes)

    assert answer.status_code == 400
    assert answer.json()["detail"] == "Unauthorized: Only Lab Technicians can add test types."
    assert_nothing_was_added()


def test_a_technician_who_administers_no_facility_is_refused(signed_in, kofi):
    for technician in (kofi, TechnicianFactory()):
        answer = add(signed_in(technician))
        assert answer.status_code == 400
        assert answer.json()["detail"] == "Unauthorized: User is not associated with any facility."
    assert_nothing_was_added()


def test_without_a_token_nothing_is_added(anyone, laboratory):
    assert add(anyone).status_code == 401
    assert_nothing_was_added()


@pytest.mark.parametrize("tests", [1, 50])
def test_adding_takes_three_statements_whatever_the_number_of_tests(
    signed_in, efua, laboratory, tests
):
    client = signed_in(efua)

    with statements() as sent:
        add(client, tests=[{"name": f"TEST {n}"} for n in range(tests)])

    # the user with session and facility, the type, its tests
    assert len(sent) == 3


@pytest.mark.django_db(transaction=True)
def test_of_ten_at_once_with_one_name_one_is_added(signed_in, efua, laboratory):
    client = signed_in(efua)

    answers = at_once(lambda name: add(client, name=name), ["Serology", "SEROLOGY"] * 5)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 9}
    assert all(answer.json()["detail"] == TAKEN for answer in answers if answer.status_code == 400)
    assert TestType.objects.count() == 1
    assert Test.objects.count() == 1
