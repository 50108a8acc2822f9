import pytest
import schemathesis
from drf_spectacular.generators import SchemaGenerator

from tests.checks.fuzz import fuzz, make_cast
from tests.checks.fuzz_hooks import is_documented_refusal, is_valid_as_read
from tests.support.service import serving

WITHOUT_COVERAGE = ["examples", "fuzzing", "stateful"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("role", ["practitioner", "administrator"])
def test_the_service_does_what_its_schema_says(role, tmp_path):
    token = make_cast().get(role)
    with open(tmp_path / "log", "wb") as log, serving(log) as (host, port):
        result = fuzz(f"http://{host}:{port}", token, seed=1, examples=4, phases=WITHOUT_COVERAGE)
    assert result.requests > 100
    assert result.failed == 0


@pytest.mark.django_db(transaction=True)
def test_a_fault_is_found_and_shown(tmp_path, capfd):
    faulty = {"DJANGO_SETTINGS_MODULE": "tests.faulty.settings"}
    with open(tmp_path / "log", "wb") as log, serving(log, **faulty) as (host, port):
        result = fuzz(f"http://{host}:{port}", None, seed=1, examples=1, phases=["fuzzing"])
    assert result.failed > 0
    shown = capfd.readouterr().out
    assert "Response violates schema" in shown
    assert "curl -X GET" in shown
    assert "/api/medics/facilities" in shown


@pytest.fixture(scope="module")
def operations():
    return schemathesis.openapi.from_dict(SchemaGenerator().get_schema(request=None, public=True))


@pytest.mark.parametrize(
    ("body", "is_valid"),
    [
        ({"full_name": 1, "branch_id": "3"}, True),
        ({"full_name": True}, False),
        ({"full_name": None}, False),
        ({"full_name": ["Kofi"]}, False),
        ({"branch_id": "three"}, False),
        ({"branch_id": -1}, False),
        ({"branch_id": "-1"}, False),
        ({"phone_number": "12"}, False),
    ],
)
def test_a_number_will_do_for_text_and_nothing_else_is_passed_over(operations, body, is_valid):
    technician = {
        "full_name": "Kofi Boateng",
        "phone_number": "0244000002",
        "branch_id": 3,
        "password": "Passw0rd!x",
    }
    add = operations["/api/medics/lab-technicians/add"]["POST"]
    case = add.Case(body=technician | body, media_type="application/json")
    assert is_valid_as_read(case) is is_valid


@pytest.mark.parametrize(
    ("status", "detail", "is_documented"),
    [
        (400, "Referral does not exist.", True),
        (400, {"status": ["A Completed referral cannot become Pending."]}, True),
        (400, "A value is out of range.", False),
        (400, {"branch_id": ["A valid integer is required."]}, False),
        (404, "Referral does not exist.", False),
    ],
)
def test_a_refusal_passes_where_the_schema_shows_it(operations, status, detail, is_documented):
    update = operations["/api/medics/referral/{referral_id}"]["PUT"]
    case = update.Case(path_parameters={"referral_id": "7QK2M9XA0B"}, body={"status": "Pending"})
    assert is_documented_refusal(case, status, detail) is is_documented
