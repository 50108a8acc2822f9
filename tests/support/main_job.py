"""The service's main job: many people refer patients and complete referrals at the same time."""

from concurrent.futures import ThreadPoolExecutor

from tests.support.api_client import Caller

PRACTITIONERS, REFERRALS_OF_EACH = 6, 5
PASSWORD, CHOSEN_PASSWORD = "Passw0rd!x", "Chosen-Pass-1"
EFUA, TECHNICIANS = "0244000001", ["0244000002", "0244000003"]


def signed_in(address: tuple[str, int], phone_number: str, *, new: bool = False) -> Caller:
    caller = Caller(*address)
    caller.log_in(phone_number, PASSWORD)
    if new:
        expect(
            caller(
                "POST",
                "/api/medics/change-password",
                {
                    "current_password": PASSWORD,
                    "new_password": CHOSEN_PASSWORD,
                    "confirm_new_password": CHOSEN_PASSWORD,
                },
            )
        )
    return caller


def expect(answered: tuple[int, dict], status: int = 200) -> dict:
    found, answer = answered
    if found != status:
        raise SystemExit(f"Answered {found} in place of {status}: {answer.get('detail')}")
    return answer.get("data", {})


def main_job(address: tuple[str, int]) -> int:
    """Make, receive and complete referrals; return their number. SystemExit: an answer is wrong."""
    efua = signed_in(address, EFUA, new=True)
    branch = expect(efua("POST", "/api/medics/branches/add", {"name": "Legon"}), 201)["id"]
    catalogue = {"name": "Haematology", "tests": [{"name": "Full blood count", "price": 60}]}
    [test] = expect(efua("POST", "/api/utilities/add-test-types", catalogue))["tests"]
    for phone_number in TECHNICIANS:
        technician = {"full_name": "Kofi Boateng", "phone_number": phone_number}
        technician |= {"branch_id": branch, "password": PASSWORD}
        expect(efua("POST", "/api/medics/lab-technicians/add", technician), 201)
    technicians = [signed_in(address, number, new=True) for number in TECHNICIANS]

    def refer(number: int) -> list[dict]:
        ama, phone_number = Caller(*address), f"02440001{number:02}"
        account = {"full_name": "Ama Serwaa", "phone_number": phone_number, "password": PASSWORD}
        expect(ama("POST", "/api/auth/register", account), 201)
        ama.log_in(phone_number, PASSWORD)
        made = []
        for patient in range(REFERRALS_OF_EACH):
            # All refer the same patients, so that each waits for the others' advisory locks.
            referral = {"patient_full_name_or_id": f"Patient {patient}", "tests": [test["id"]]}
            created = ama("POST", "/api/medics/referral", {**referral, "branch_id": branch})
            made.append(expect(created, 201))
            listed = expect(ama("GET", "/api/medics/referrals/practitioner?search_query=patient"))
            if listed["data_summary"]["total_referrals"] != len(made):
                raise SystemExit("A list lacks what was just referred.")
        return made

    def complete(referral: dict) -> None:
        technician = technicians[sum(map(ord, referral["referral_id"])) % len(technicians)]
        path = f"/api/medics/referral/{referral['referral_id']}"
        expect(technician("PUT", path, {"status": "Received"}))
        for test in referral["tests"]:
            tests = f"/api/medics/referral-tests/{test['test_id']}/status"
            expect(technician("PUT", tests, {"status": "Completed"}))
        expect(technician("GET", "/api/medics/referrals/technician?page_size=100"))
        expect(technician("PUT", path, {"status": "Completed"}))

    with ThreadPoolExecutor(PRACTITIONERS + len(technicians)) as pool:
        referrals = [made for each in pool.map(refer, range(PRACTITIONERS)) for made in each]
        list(pool.map(complete, referrals))
    return len(referrals)
