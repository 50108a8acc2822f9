"""The main job, by HTTP against gunicorn on real PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from authentication.models import User
from medics.models import Referral, StatusChange
from medics.services.facilities import create_facility
from tests.factories import PASSWORD
from tests.support.api_client import Caller
from tests.support.service import serving

EFUA, KOFI, AMA = "0244000001", "0244000002", "+233 24 400 0003"
EFUAS_PASSWORD, KOFIS_PASSWORD = "Efua-Chose-1", "Kofi-Chose-1"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server():
    with serving() as address:
        yield address


def test_a_referral_from_an_empty_laboratory_to_its_completion(server):
    create_facility(
        name="Korle Laboratory",
        branch_names=["Osu"],
        admin_name="Efua Asante",
        admin_phone=EFUA,
        admin_password=PASSWORD,
    )

    efua = Caller(*server)
    efua.log_in(EFUA, PASSWORD)
    assert efua("POST", "/api/medics/branches/add", {"name": "Legon"})[0] == 403
    change_password(efua, EFUAS_PASSWORD)
    status, added = efua("POST", "/api/medics/branches/add", {"name": "Legon"})
    assert status == 201
    branch_id = added["data"]["id"]
    status, catalogue = efua(
        "POST",
        "/api/utilities/add-test-types",
        {"name": "Haematology", "tests": [{"name": "Full blood count", "price": 60}]},
    )
    assert status == 200
    status, _ = efua(
        "POST",
        "/api/medics/lab-technicians/add",
        {
            "full_name": "Kofi Boateng",
            "phone_number": KOFI,
            "password": PASSWORD,
            "branch_id": branch_id,
        },
    )
    assert status == 201

    ama = Caller(*server)
    status, _ = ama(
        "POST",
        "/api/auth/register",
        {"full_name": "Ama Serwaa", "phone_number": AMA, "password": PASSWORD},
    )
    assert status == 201
    ama.log_in("0244000003", PASSWORD)
    status, created = ama(
        "POST",
        "/api/medics/referral",
        {
            "patient_full_name_or_id": "Akosua Mensah",
            "tests": [catalogue["data"]["tests"][0]["id"]],
            "branch_id": branch_id,
        },
    )
    assert status == 201
    referral = f"/api/medics/referral/{created['data']['referral_id']}"
    test = f"/api/medics/referral-tests/{created['data']['tests'][0]['test_id']}/status"

    kofi = Caller(*server)
    kofi.log_in(KOFI, PASSWORD)
    change_password(kofi, KOFIS_PASSWORD)
    status, listed = kofi("GET", "/api/medics/referrals/technician?search_query=akosua")
    assert status == 200
    assert listed["data"]["referrals"][0]["referral_doctor"] == "Ama Serwaa"
    assert kofi("PUT", referral, {"status": "Received"})[0] == 200
    assert kofi("PUT", referral, {"status": "Completed"})[0] == 400
    assert kofi("PUT", test, {"status": "Completed"})[0] == 200
    assert kofi("PUT", referral, {"status": "Completed"})[0] == 200

    status, seen = ama("GET", "/api/medics/referrals/practitioner")
    assert seen["data"]["data_summary"] == {
        "total_referrals": 1,
        "total_completed": 1,
        "total_pending": 0,
        "total_received": 0,
        "total_cancelled": 0,
    }
    history = StatusChange.objects.values_list("to_status", "changed_by__full_name")
    assert list(history) == [
        ("Received", "Kofi Boateng"),
        ("Completed", "Kofi Boateng"),
        ("Completed", "Kofi Boateng"),
    ]
    assert Referral.objects.get().turnaround_time() > 0


def test_twenty_registrations_of_one_number_at_once_make_one_user(server):
    spellings = ["0244123456", "+233244123456", "0244 123 456", "+233 (24) 412-3456"]

    def register(number):
        body = {"full_name": "Ama", "phone_number": number, "password": PASSWORD}
        return Caller(*server)("POST", "/api/auth/register", body)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(register, spellings * 5))

    assert sorted(status for status, _ in answers) == [201] + [400] * 19
    taken = {"phone_number": ["A user with this phone number already exists."]}
    assert all(answer["detail"] == taken for status, answer in answers if status == 400)
    assert User.objects.count() == 1


def change_password(caller, new_password):
    status, answer = caller(
        "POST",
        "/api/medics/change-password",
        {
            "current_password": PASSWORD,
            "new_password": new_password,
            "confirm_new_password": new_password,
        },
    )
    assert (status, answer["message"]) == (200, "Password changed successfully.")
