import pytest
from django.urls import reverse

from medics.models import Test, TestType
from tests.factories import TestFactory, TestTypeFactory
from tests.support.admin_pages import errors_on, filled_in, page_of

ADD_TYPE = "/admin/medics/testtype/add/"


def delete(client, row: Test | TestType):
    url = reverse(f"admin:medics_{row._meta.model_name}_delete", args=[row.pk])
    return client.post(url, {"post": "yes"})


def new_type(facility, *names: str) -> dict:
    data = {
        "facility": facility.pk,
        "name": "CHEMISTRY",
        "tests-TOTAL_FORMS": len(names),
        "tests-INITIAL_FORMS": 0,
    }
    for position, name in enumerate(names):
        data |= {f"tests-{position}-name": name, f"tests-{position}-price": "12.50"}
    return data


def test_a_type_is_added_with_its_tests(superuser, laboratory):
    superuser.post(ADD_TYPE, new_type(laboratory, "UREA", "CREATININE"))

    tests = Test.objects.filter(test_type__name="CHEMISTRY", test_type__facility=laboratory)
    assert {(test.name, str(test.price)) for test in tests} == {
        ("UREA", "12.50"),
        ("CREATININE", "12.50"),
    }


def test_two_tests_of_one_name_are_refused(superuser, laboratory):
    response = superuser.post(ADD_TYPE, new_type(laboratory, "UREA", "Urea"))

    assert errors_on(response) == {"name": ["This name stands here twice."]}
    assert not TestType.objects.exists()


def test_a_type_of_a_taken_name_is_refused(superuser, laboratory):
    TestTypeFactory(facility=laboratory, name="Chemistry")

    response = superuser.post(ADD_TYPE, new_type(laboratory))

    assert errors_on(response) == {
        "__all__": ["A test type with this name already exists for this facility."]
    }


def test_a_type_stays_at_its_facility(superuser, haematology, laboratory):
    other = TestTypeFactory().facility

    superuser.post(
        page_of(haematology), filled_in(superuser, page_of(haematology), facility=other.pk)
    )

    haematology.refresh_from_db()
    assert haematology.facility == laboratory


def test_a_test_moves_to_another_type_of_its_facility_alone(superuser, blood_count, laboratory):
    within, beyond = TestTypeFactory(facility=laboratory), TestTypeFactory()

    moved = filled_in(superuser, page_of(blood_count), test_type=within.pk)
    superuser.post(page_of(blood_count), moved)
    refused = superuser.post(page_of(blood_count), moved | {"test_type": beyond.pk})

    assert errors_on(refused) == {"test_type": ["A test cannot move to another facility."]}
    blood_count.refresh_from_db()
    assert blood_count.test_type == within


@pytest.mark.parametrize("price", ["-1", "1_0", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_what_is_no_price_is_refused(superuser, blood_count, price):
    response = superuser.post(
        page_of(blood_count), filled_in(superuser, page_of(blood_count), price=price)
    )

    assert list(errors_on(response)) == ["price"]


def test_what_a_referral_hangs_on_is_not_deleted(superuser, referral, blood_count, haematology):
    assert delete(superuser, blood_count).status_code == 403
    assert delete(superuser, haematology).status_code == 403
    assert Test.objects.filter(pk=blood_count.pk).exists()


def test_what_nothing_hangs_on_is_deleted(superuser):
    mistake = TestFactory()

    assert delete(superuser, mistake).status_code == 302
    assert delete(superuser, mistake.test_type).status_code == 302
    assert not TestType.objects.exists()


def test_types_of_one_name_are_told_apart_by_their_facility(superuser, haematology):
    TestTypeFactory(name="HAEMATOLOGY", facility__name="Tema Diagnostics")

    found = superuser.get(
        reverse("admin:autocomplete"),
        {"app_label": "medics", "model_name": "test", "field_name": "test_type", "term": "haem"},
    )

    assert [row["text"] for row in found.json()["results"]] == [
        "HAEMATOLOGY (Korle Laboratory)",
        "HAEMATOLOGY (Tema Diagnostics)",
    ]


def test_a_tests_page_tells_the_facility_of_its_type(superuser, blood_count):
    assert "HAEMATOLOGY (Korle Laboratory)" in superuser.get(page_of(blood_count)).content.decode()


@pytest.mark.parametrize("model", ["test", "testtype"])
def test_the_catalogue_of_one_facility_is_a_list(superuser, blood_count, laboratory, model):
    TestFactory()

    found = superuser.get(f"/admin/medics/{model}/", {"facility": laboratory.pk}).context["cl"]

    assert found.result_count == 1
