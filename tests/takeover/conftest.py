import csv
import io
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.support.database import database_url
from tests.support.predecessor import Predecessor, drop_database, make_database


@pytest.fixture(scope="session")
def predecessors_database(django_db_setup):
    server_url, name = database_url(), f"{connection.settings_dict['NAME']}_predecessor"
    predecessor = Predecessor(make_database(server_url, name))
    yield predecessor
    predecessor.connection.close()
    drop_database(server_url, name)


@pytest.fixture
def predecessor(predecessors_database, settings):
    """The predecessor's database without a row, which the command is told of."""
    predecessors_database.empty()
    settings.PREDECESSOR_DATABASE_URL = predecessors_database.url
    return predecessors_database


@pytest.fixture
def working(predecessor):
    """Ama refers to Kofi's branch of Efua's laboratory, as the predecessor has it. Ids by name."""
    add = predecessor.add
    ama = add("User", phone_number="0244000001", full_name="Ama Serwaa")
    efua = add("User", phone_number="0244000003", user_type="Lab Technician", full_name="Efua A.")
    kofi = add("User", phone_number="0244000002", user_type="Lab Technician", full_name="Kofi B.")
    laboratory = add("Facility", name="Korle Laboratory", admin_id=efua)
    branch = add("Facility_Branch", name="Osu", facility_id=laboratory)
    assignment = add("Branch_Technician", user_id=kofi, branch_id=branch)
    haematology = add("TestType", name="HAEMATOLOGY", facility_id=laboratory)
    blood_count = add("Test", name="FULL BLOOD COUNT", test_type_id=haematology)
    sickling = add("Test", name="SICKLING", test_type_id=haematology)
    patient = add("Patient", full_name_or_id="Akosua Mensah", contact_number="0208123456")
    referral = add(
        "Referral",
        id="ABCDEF1234",
        patient_id=patient,
        referred_by_id=ama,
        facility_branch_id=branch,
        clinical_notes="Fever, 3 days\t\\N ☃",
    )
    tests = [
        add("ReferralTest", referral_id=referral, test_id=test) for test in (blood_count, sickling)
    ]
    return SimpleNamespace(**{name: value for name, value in locals().items() if name != "add"})


@pytest.fixture
def import_predecessor(tmp_path):
    """Runs the command; gives what it printed, and the report's lines."""

    def run(*arguments, keep_report=False, **options):
        path = tmp_path / "report.csv"
        if not keep_report:
            path.unlink(missing_ok=True)
        output, error = io.StringIO(), None
        try:
            call_command(
                "import_predecessor",
                *arguments,
                stdout=output,
                **{"verbosity": 0, "report": path, **options},
            )
        except CommandError as refusal:
            error = str(refusal)
        written = path.read_bytes().decode() if path.exists() else ""
        lines = list(csv.DictReader(io.StringIO(written, newline="")))
        return SimpleNamespace(printed=output.getvalue(), error=error, lines=lines, path=path)

    return run
