"""What a client sees after the change-over is what it saw before."""

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.db import connection
from django.db.models import Sum
from django.urls import reverse

from authentication.models import User
from medics.models import (
    BranchTechnician,
    Facility,
    FacilityBranch,
    Patient,
    Referral,
    ReferralCount,
    ReferralTest,
    Test,
    TestType,
)
from medics.services.referrals import create_referral
from tests.support.predecessor import EVENING, MORNING, NOON, PASSWORD

pytestmark = pytest.mark.django_db

AT = {MORNING: "2025-02-03T08:00:00.000000Z", NOON: "2025-02-03T12:00:00.000000Z"}


@pytest.fixture
def log_in(anyone):
    def log_in(phone_number, password=PASSWORD):
        answer = anyone.post(
            reverse("auth:login"), {"phone_number": phone_number, "password": password}
        )
        assert answer.status_code == 200, answer.json()
        data = answer.json()["data"]
        anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {data['access_token']}")
        return data["user_data"]

    return log_in


def data(answer):
    assert answer.status_code == 200, answer.json()
    return answer.json()["data"]


def test_a_user_logs_in_with_the_old_password_whose_hash_is_renewed_then(
    working, import_predecessor, log_in
):
    import_predecessor()
    before = User.objects.get(pk=working.ama)
    assert identify_hasher(before.password).algorithm == "pbkdf2_sha256"

    user = log_in("+233 24 400 0001")

    assert user == {
        "id": working.ama,
        "full_name": "Ama Serwaa",
        "phone_number": "0244000001",
        "user_type": "Medical Practitioner",
        "date_joined": AT[MORNING],
    }
    after = User.objects.get(pk=working.ama)
    assert identify_hasher(after.password).algorithm != "pbkdf2_sha256"
    log_in("0244000001")


def test_a_technician_finds_facility_and_branches(working, import_predecessor, log_in):
    import_predecessor()

    user = log_in("0244000002")

    assert user["is_new_user"] is False
    assert user["is_admin"] is False
    assert user["facility"] == {"id": working.laboratory, "name": "Korle Laboratory"}
    assert user["branches"] == [{"id": str(working.branch), "name": "Osu"}]


def test_the_public_lists_show_the_same_ids(working, import_predecessor, anyone):
    import_predecessor()

    def get(name, *arguments):
        return data(anyone.get(reverse(f"medics:{name}", args=arguments)))

    assert get("get-facilities") == [{"id": working.laboratory, "name": "Korle Laboratory"}]
    assert get("get-branches-by-facility", working.laboratory) == [
        {"id": working.branch, "name": "Osu"}
    ]
    assert get("get-test-types-by-facility", working.laboratory) == [
        {"id": working.haematology, "name": "HAEMATOLOGY"}
    ]
    assert get("get-tests-by-test-type", working.haematology) == [
        {"id": working.blood_count, "name": "FULL BLOOD COUNT"},
        {"id": working.sickling, "name": "SICKLING"},
    ]


@pytest.mark.parametrize(
    ("number", "route"),
    [
        ("0244000001", "get-practitioner-referrals"),
        ("0244000002", "get-technician-referrals"),
        ("0244000003", "get-technician-referrals"),
    ],
)
def test_the_lists_show_the_referral_its_totals_and_find_it(
    working, import_predecessor, log_in, anyone, number, route
):
    import_predecessor()
    log_in(number)

    listed = data(anyone.get(reverse(f"medics:{route}"), {"search_query": "SICKL"}))

    [row] = listed["referrals"]
    row.pop("referral_doctor", None)
    assert row == {
        "referral_id": "ABCDEF1234",
        "patient_name_or_id": "Akosua Mensah",
        "facility_name": "Korle Laboratory",
        "branch_name": "Osu",
        "clinical_notes": "Fever, 3 days\t\\N ☃",
        "status": "Pending",
        "referred_at": AT[MORNING],
        "tests": [
            {
                "test_id": test_id,
                "test_name": name,
                "test_type_name": "HAEMATOLOGY",
                "status": "Pending",
                "created_at": AT[MORNING],
            }
            for test_id, name in zip(working.tests, ("FULL BLOOD COUNT", "SICKLING"), strict=True)
        ],
        "test_type_name": "HAEMATOLOGY",
    }
    assert listed["data_summary"]["total_referrals"] == 1
    assert data(anyone.get(reverse(f"medics:{route}")))["data_summary"] == {
        "total_referrals": 1,
        "total_completed": 0,
        "total_pending": 1,
        "total_received": 0,
        "total_cancelled": 0,
    }


def test_a_referral_shows_what_it_showed(working, import_predecessor, log_in, anyone):
    working.predecessor.execute(
        """UPDATE "ReferralTest" SET status = 'Completed', completed_at = %s""", [EVENING]
    )
    working.predecessor.execute(
        """UPDATE "Referral" SET status = 'Completed', completed_at = %s""", [EVENING]
    )
    result = import_predecessor()
    log_in("0244000001")

    shown = data(anyone.get(reverse("medics:get-update-referral", args=["ABCDEF1234"])))

    assert result.lines == []
    assert shown["referring_doctor"] == "Ama Serwaa"
    assert shown["status"] == "Completed"
    assert shown["completed_at"] == "2025-02-03T18:00:00.000000Z"
    assert shown["updated_at"] == AT[NOON]
    assert [test["status"] for test in shown["tests"]] == ["Completed", "Completed"]


def test_work_goes_on_with_imported_rows(working, import_predecessor, log_in, anyone):
    import_predecessor()
    log_in("0244000002")

    for test in working.tests:
        route = reverse("medics:update-test-status", args=[test])
        data(anyone.put(route, {"status": "Completed"}))
    route = reverse("medics:get-update-referral", args=["ABCDEF1234"])
    assert data(anyone.put(route, {"status": "Completed"}))["status"] == "Completed"

    totals = ReferralCount.objects.filter(branch_id=working.branch)
    assert dict(totals.values_list("status").annotate(Sum("number"))) == {
        "Pending": 0,
        "Completed": 1,
    }


def test_new_rows_get_ids_behind_the_highest(working, import_predecessor):
    import_predecessor()
    models = (Facility, FacilityBranch, BranchTechnician, TestType, Test, Patient, ReferralTest)

    for model in models:
        highest = model.objects.latest("id").id
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [model._meta.db_table]
            )
            assert cursor.fetchone() == (highest + 1,)


def test_a_patient_is_known_again_by_the_contact_number(working, import_predecessor):
    import_predecessor()

    referral = create_referral(
        practitioner=User.objects.get(pk=working.ama),
        patient_full_name_or_id="akosua  mensah",
        patient_contact_number="+233208123456",
        branch_id=working.branch,
        test_ids=[working.sickling],
    )

    assert Referral.objects.get(pk=referral.pk).patient_id == working.patient
