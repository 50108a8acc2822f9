import re

import pytest
from django.apps import apps
from django.urls import reverse
from django.utils.dateparse import parse_datetime

from authentication.models import UserType
from medics.models import Patient, Referral, ReferralTest, TestStatus
from medics.services.facilities import deactivate_branch
from tests.factories import (
    FacilityBranchFactory,
    FacilityFactory,
    TestFactory,
    TestTypeFactory,
    UserFactory,
)
from tests.support.concurrency import while_open
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

BIGINT_MAX = 2**63 - 1
NO_SUCH_TEST = {"test_id": ["Test with the given ID does not exist."]}


@pytest.fixture
def url():
    return reverse("medics:create-referral")


@pytest.fixture
def client(ama, signed_in):
    return signed_in(ama)


def rows_by_table():
    return {model.__name__: model._base_manager.count() for model in apps.get_models()}


def without(body, *keys):
    return {key: value for key, value in body.items() if key not in keys}


# What a referral is answered with, and what is stored


def test_ama_refers_a_patient(client, url, body, ama, branch, blood_count, sickling):
    response = client.post(
        url,
        body
        | {
            "tests": [sickling.id, blood_count.id],
            "patient_contact_number": "024 412 3456",
            "clinical_notes": "Fever for three days.",
        },
    )

    assert response.status_code == 201
    referral = Referral.objects.get()
    first, second = referral.tests.order_by("id")
    answer = response.json()
    data = answer.pop("data")
    assert answer == {"status": "success", "message": "Referral created successfully"}
    assert parse_datetime(data.pop("referred_at")) == referral.referred_at
    assert [parse_datetime(row.pop("created_at")) for row in data["tests"]] == [
        first.created_at,
        second.created_at,
    ]
    assert data == {
        "referral_id": referral.id,
        "patient_name_or_id": "Akosua Mensah",
        "facility_name": "Korle Laboratory",
        "branch_name": "Osu",
        "referring_doctor": "Ama Serwaa",
        "status": "Pending",
        "tests": [
            {
                "test_id": first.id,
                "test_name": "SICKLING",
                "test_type_name": "HAEMATOLOGY",
                "status": "Pending",
            },
            {
                "test_id": second.id,
                "test_name": "FULL BLOOD COUNT",
                "test_type_name": "HAEMATOLOGY",
                "status": "Pending",
            },
        ],
    }

    assert referral.referred_by == ama
    assert referral.facility_branch == branch
    assert referral.patient.full_name_or_id == "Akosua Mensah"
    assert referral.patient.contact_number == "0244123456"
    assert referral.clinical_notes == "Fever for three days."
    assert referral.status == TestStatus.PENDING
    assert referral.completed_at is None
    assert [test.test for test in (first, second)] == [sickling, blood_count]
    assert {test.status for test in (first, second)} == {TestStatus.PENDING}


def test_times_are_in_utc(client, url, body):
    data = client.post(url, body).json()["data"]
    assert data["referred_at"].endswith("Z")
    assert data["tests"][0]["created_at"].endswith("Z")


def test_an_id_is_ten_capitals_and_digits_and_never_the_same(client, url, body):
    ids = [
        client.post(url, body | {"clinical_notes": f"Visit {visit}"}).json()["data"]["referral_id"]
        for visit in range(20)
    ]
    assert all(re.fullmatch("[A-Z0-9]{10}", referral_id) for referral_id in ids)
    assert len(set(ids)) == 20


@pytest.mark.parametrize("notes", [None, "", "   "])
def test_notes_may_be_empty(client, url, body, notes):
    assert client.post(url, body | {"clinical_notes": notes}).status_code == 201
    assert Referral.objects.get().clinical_notes == ""


@pytest.mark.parametrize("number", [None, "", "   "])
def test_a_contact_number_may_be_empty(client, url, body, number):
    assert client.post(url, body | {"patient_contact_number": number}).status_code == 201
    assert Patient.objects.get().contact_number == ""


@pytest.mark.parametrize(
    "notes",
    ["n" * 2000, "Ɛyɛ den; 'quoted' \"twice\" \\ % _ <b>bold</b>", "line\nline", "🩸 drawn"],
)
def test_notes_are_kept_as_written(client, url, body, notes):
    assert client.post(url, body | {"clinical_notes": notes}).status_code == 201
    assert Referral.objects.get().clinical_notes == notes


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("0244123456", "0244123456"),
        ("+233 24 412 3456", "+233244123456"),
        ("(024) 412-34.56", "0244123456"),
        ("[024] 412\u201134\u201356", "0244123456"),
        ("\u2068+233 24 412 3456\u2069", "+233244123456"),
        (233244123456, "233244123456"),
        ("1234567", "1234567"),
        ("+" + "1" * 15, "+" + "1" * 15),
    ],
)
def test_a_contact_number_is_kept_as_written_but_cleaned(client, url, body, written, kept):
    assert client.post(url, body | {"patient_contact_number": written}).status_code == 201
    assert Patient.objects.get().contact_number == kept


def test_other_keys_are_ignored(client, url, body, yaw):
    extra = {"id": "AAAAAAAAAA", "status": "Completed", "referred_by": str(yaw.id), "\u0254": 1}
    assert client.post(url, body | extra).status_code == 201
    referral = Referral.objects.get()
    assert referral.id != "AAAAAAAAAA"
    assert referral.status == TestStatus.PENDING
    assert referral.referred_by != yaw


@pytest.mark.parametrize(
    ("patient_id", "stored"), [("GHA-123456789-0", "GHA-123456789-0"), (4711, "4711")]
)
def test_an_identifier_may_come_as_patient_id(client, url, body, patient_id, stored):
    response = client.post(
        url, without(body, "patient_full_name_or_id") | {"patient_id": patient_id}
    )
    assert response.status_code == 201
    assert response.json()["data"]["patient_name_or_id"] == stored
    assert Patient.objects.get().full_name_or_id == stored


@pytest.mark.parametrize("empty", ["", None, "  ", "\u00a0\t", "\u200b"])
def test_patient_id_stands_in_for_an_empty_name(client, url, body, empty):
    response = client.post(
        url, body | {"patient_full_name_or_id": empty, "patient_id": "GHA-123456789-0"}
    )
    assert response.json()["data"]["patient_name_or_id"] == "GHA-123456789-0"


def test_a_blank_patient_id_is_none(client, url, body):
    for blank in ("", None, " ", "\u200b"):
        response = client.post(url, body | {"patient_id": blank})
        assert response.json()["data"]["patient_name_or_id"] == body["patient_full_name_or_id"]


def test_notes_keep_their_lines(client, url, body):
    notes = "Fever:\tthree days.\r\nCough\v\fnone\u0085\u2028"
    response = client.post(url, body | {"clinical_notes": notes})
    assert response.status_code == 201
    assert Referral.objects.get().clinical_notes == notes.strip()


def test_an_identifier_may_be_a_number_in_either_key(client, url, body):
    response = client.post(url, body | {"patient_full_name_or_id": 4711})
    assert response.status_code == 201
    assert response.json()["data"]["patient_name_or_id"] == "4711"


@pytest.mark.parametrize("key", ["patient_full_name_or_id", "patient_id"])
def test_an_identifier_is_refused_rather_than_rounded(client, url, body, key):
    # JSON parsers read a number of so many digits as a float: two patients would become one.
    identifier = 123456789012345678901
    response = client.post(url, without(body, "patient_full_name_or_id") | {key: identifier})
    assert response.status_code == 400
    assert not Patient.objects.exists()


def test_a_test_named_twice_counts_once(client, url, body, blood_count, sickling):
    tests = [blood_count.id, sickling.id, blood_count.id, str(blood_count.id)]
    response = client.post(url, body | {"tests": tests})
    assert response.status_code == 201
    names = [row["test_name"] for row in response.json()["data"]["tests"]]
    assert names == ["FULL BLOOD COUNT", "SICKLING"]
    assert ReferralTest.objects.count() == 2


def test_ids_may_be_strings(client, url, body, blood_count, branch):
    ids = {"tests": [str(blood_count.id)], "branch_id": str(branch.id)}
    assert client.post(url, body | ids).status_code == 201
    assert ReferralTest.objects.get().test == blood_count


def test_a_referral_costs_the_same_few_statements_for_one_test_and_for_a_hundred(
    client, url, body, haematology
):
    tests = [TestFactory(test_type=haematology).id for _ in range(100)]
    with statements() as for_one:
        assert client.post(url, body).status_code == 201
    with statements() as for_a_hundred:
        response = client.post(url, body | {"patient_full_name_or_id": "Esi Badu", "tests": tests})
    assert len(response.json()["data"]["tests"]) == 100
    assert len(for_one) == len(for_a_hundred) <= 10


# What is refused, and then leaves no row in any table


@pytest.mark.parametrize("key", ["patient_full_name_or_id", "tests", "branch_id"])
def test_a_missing_key_is_named(client, url, body, key):
    before = rows_by_table()
    response = client.post(url, without(body, key))
    assert response.status_code == 400
    assert response.json() == {
        "status": "error",
        "code": "400",
        "detail": {key: ["This field is required."]},
    }
    assert rows_by_table() == before


def test_all_missing_keys_are_named_at_once(client, url):
    detail = client.post(url, {}).json()["detail"]
    assert detail == {
        "patient_full_name_or_id": ["This field is required."],
        "tests": ["This field is required."],
        "branch_id": ["This field is required."],
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            ("patient_full_name_or_id", wrong)
            for wrong in [None, "", "  ", True, [], ["Akosua"], {}, {"a": 1}, "A\0b", "n" * 256]
        ),
        *(
            ("tests", wrong)
            for wrong in [
                None, "", "1", 1, True, {}, {"0": 1}, [], [None], [True], [""], ["count"], [1.5],
                [[1]], [{"id": 1}], ["1\0"], [BIGINT_MAX + 1], [10**30], [str(10**30)],
                ["9" * 2000],
            ]
        ),
        *(
            ("branch_id", wrong)
            for wrong in [
                None, "", "Osu", True, [], [1], {}, 1.5, "1\0", BIGINT_MAX + 1, 10**30, "9" * 2000,
            ]
        ),
        *(
            ("clinical_notes", wrong)
            for wrong in ["n" * 2001, True, [], {}, ["n"], "A\0b", "A\x1b[2Jb", "A\x9bb", "A\x7f"]
        ),
        *(
            ("patient_contact_number", wrong)
            for wrong in [
                "123456", "1" * 16, "Akosua", "+", "024412345x", "++233244123456", "0244+123456",
                "()", "\u0660\u0662\u0664\u0664\u0661\u0662\u0663", True, [], {}, "0244\000123456",
            ]
        ),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_under_its_key(client, url, body, key, value):
    before = rows_by_table()
    response = client.post(url, body | {key: value})
    assert response.status_code == 400
    assert set(response.json()) == {"status", "code", "detail"}
    assert set(response.json()["detail"]) == {key}
    assert rows_by_table() == before


@pytest.mark.parametrize("value", [True, [], {}, ["a"], "A\0b", "n" * 256])
def test_a_wrong_patient_id_is_refused(client, url, body, value):
    before = rows_by_table()
    response = client.post(url, without(body, "patient_full_name_or_id") | {"patient_id": value})
    assert response.status_code == 400
    assert set(response.json()["detail"]) & {"patient_id", "patient_full_name_or_id"}
    assert rows_by_table() == before


def test_a_hundred_tests_are_taken_and_one_more_is_refused(client, url, body, haematology):
    tests = [TestFactory(test_type=haematology).id for _ in range(101)]
    before = rows_by_table()
    response = client.post(url, body | {"tests": tests})
    assert response.status_code == 400
    assert set(response.json()["detail"]) == {"tests"}
    assert rows_by_table() == before

    assert client.post(url, body | {"tests": tests[:100]}).status_code == 201
    assert ReferralTest.objects.count() == 100


@pytest.mark.parametrize("test_id", [0, -1, BIGINT_MAX])
def test_an_unknown_test_is_refused_and_nothing_is_stored(client, url, body, test_id):
    before = rows_by_table()
    response = client.post(url, body | {"tests": [*body["tests"], test_id]})
    assert response.status_code == 400
    assert rows_by_table() == before


def test_an_unknown_test_is_refused_in_the_contract_s_words(client, url, body):
    response = client.post(url, body | {"tests": [*body["tests"], BIGINT_MAX]})
    assert response.json() == {"status": "error", "code": "400", "detail": NO_SUCH_TEST}


def test_a_test_of_another_facility_is_refused_and_nothing_is_stored(client, url, body):
    elsewhere = TestFactory(test_type=TestTypeFactory(facility=FacilityFactory()))
    before = rows_by_table()
    for tests in ([elsewhere.id], [*body["tests"], elsewhere.id], [elsewhere.id, *body["tests"]]):
        response = client.post(url, body | {"tests": tests})
        assert response.status_code == 400
        assert response.json()["detail"] == NO_SUCH_TEST
    assert rows_by_table() == before


def test_the_tests_are_those_of_the_branch_s_facility(client, url, body):
    elsewhere = FacilityBranchFactory()
    before = rows_by_table()
    response = client.post(url, body | {"branch_id": elsewhere.id})
    assert response.status_code == 400
    assert response.json()["detail"] == NO_SUCH_TEST
    assert rows_by_table() == before


@pytest.mark.parametrize("branch_id", [0, -1, BIGINT_MAX])
def test_an_unknown_branch_is_refused_and_nothing_is_stored(client, url, body, branch_id):
    before = rows_by_table()
    response = client.post(url, body | {"branch_id": branch_id})
    assert response.status_code == 400
    assert set(response.json()["detail"]) == {"branch_id"}
    assert rows_by_table() == before


def test_a_closed_branch_takes_no_new_referral(client, url, body, branch):
    branch.is_active = False
    branch.save()
    before = rows_by_table()
    response = client.post(url, body)
    assert response.status_code == 400
    assert set(response.json()["detail"]) == {"branch_id"}
    assert rows_by_table() == before


@pytest.mark.parametrize("body", [[], ["a"], "Akosua", 1, True, None])
def test_a_body_that_is_no_object_is_refused(client, url, body):
    assert client.post(url, body, format="json").status_code == 400
    assert not Referral.objects.exists()


@pytest.mark.parametrize(
    "text", ["", "{", "nonsense", '{"tests": [1e400]}', '{"clinical_notes": "\\ud800"}', "[" * 5000]
)
def test_bad_json_is_refused(client, url, text):
    response = client.post(url, text, content_type="application/json")
    assert response.status_code == 400
    assert set(response.json()) == {"status", "code", "detail"}
    assert not Referral.objects.exists()


# Who may refer


@pytest.mark.parametrize("person", ["kofi", "efua", "a patient"])
def test_only_practitioners_refer(request, signed_in, url, body, person):
    if person == "a patient":
        user = UserFactory(user_type=UserType.PATIENT)
    else:
        user = request.getfixturevalue(person)
    client = signed_in(user)
    before = rows_by_table()
    for sent in (body, {}):
        response = client.post(url, sent)
        assert response.status_code == 400
        assert response.json()["detail"] == "Only medical practitioners can create referrals."
    assert rows_by_table() == before


def test_nobody_refers_without_a_token(anyone, url, body):
    assert anyone.post(url, body).status_code == 401
    assert not Referral.objects.exists()


def test_a_list_that_is_far_too_long_is_refused_unread(client, url, body):
    response = client.post(url, body | {"tests": [{}] * 100_000})
    assert response.status_code == 400
    assert response.json()["detail"] == {
        "tests": ["Ensure this field has no more than 100 elements."]
    }


@pytest.mark.django_db(transaction=True)
def test_a_branch_that_is_being_closed_takes_no_referral(client, url, body, branch):
    late = while_open(
        lambda: deactivate_branch(branch=branch), lambda: client.post(url, body).status_code
    )
    assert late == 400
    assert not Referral.objects.exists()
