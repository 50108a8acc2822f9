"""Whatever a predecessor may hold is taken over, with every row, and passes --verify."""

import uuid

import pytest
from django.db import transaction
from django.db.models import Count, Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from _tetradx.values.folding import fold
from medics.models import BranchTechnician, Referral, ReferralCount, ReferralTest
from takeover.tables import TABLES
from tests.support.predecessor import EVENING, MORNING, NOON

pytestmark = pytest.mark.django_db

DECISIONS = (
    "--administrator-of-two=newest",
    "--technician-of-two=earliest",
    "--unknown-user-type=Patient",
    "--unknown-status=Pending",
)

odd_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
# Few enough that some are equal but for case, and equal to what a rule makes of another.
names = st.none() | odd_text | st.sampled_from(["Osu", "OSU", "osu (imported 2)", " ", "x" * 255])
numbers = st.none() | st.sampled_from(
    ["0244123456", "+233244123456", "024 412 3456", "hello55738", "55738", "+", "none_x"]
)
statuses = st.sampled_from(["Pending", "Received", "Completed", "Completed", "RECEIVED", "Lost"])
times = st.sampled_from([MORNING, NOON, EVENING])
user_types = st.sampled_from(["Medical Practitioner", "Lab Technician", "PATIENT", "Cleaner"])


def rows(most=4, least=1, **columns):
    return st.lists(st.fixed_dictionaries(columns), min_size=least, max_size=most)


# One of the rows of a table, counted around; now and then none.
any_row = st.sampled_from([None, *range(8)])
some_row = st.integers(0, 7)

networks = st.fixed_dictionaries(
    {
        "User": rows(
            least=2,
            phone_number=numbers,
            full_name=names,
            user_type=user_types,
            is_active=st.booleans(),
            last_login=st.none() | times,
            first_name=odd_text,
            username=odd_text,
            password=st.sampled_from(["!", "md5$a$b", "pbkdf2_sha256$1$a$b"]),
        ),
        "Facility": rows(3, 2, name=names, admin_id=any_row, contact_number=st.none() | odd_text),
        "Facility_Branch": rows(
            least=2, name=names, facility_id=any_row, is_active=st.booleans(), created_at=times
        ),
        "Branch_Technician": rows(6, user_id=any_row, branch_id=any_row, assigned_at=times),
        "TestType": rows(
            least=2, name=names, facility_id=any_row, description=st.none() | odd_text
        ),
        "Test": rows(
            least=3,
            name=names,
            test_type_id=any_row,
            price=st.sampled_from(["0", "12.50", "-3", "99999999.99"]),
        ),
        "Patient": rows(
            full_name_or_id=names, contact_number=st.none() | st.sampled_from(["0208123456", "-"])
        ),
        "Referral": rows(
            patient_id=some_row,
            referred_by_id=any_row,
            facility_branch_id=any_row,
            status=statuses,
            completed_at=st.none() | times,
            clinical_notes=st.none() | odd_text,
        ),
        "ReferralTest": rows(
            8,
            3,
            referral_id=some_row,
            test_id=some_row,
            status=statuses,
            completed_at=st.none() | times,
        ),
    }
)

POINTS_AT = {
    "admin_id": "User",
    "user_id": "User",
    "referred_by_id": "User",
    "facility_id": "Facility",
    "branch_id": "Facility_Branch",
    "facility_branch_id": "Facility_Branch",
    "test_type_id": "TestType",
    "test_id": "Test",
    "patient_id": "Patient",
    "referral_id": "Referral",
}
UNIQUE = {
    "User": ("phone_number",),
    "Branch_Technician": ("user_id", "branch_id"),
    "ReferralTest": ("referral_id", "test_id"),
}


def row_id(table, number):
    if table == "User":
        return str(uuid.UUID(int=number))
    return f"REF{number:07}" if table == "Referral" else number


def fill(predecessor, network):
    """Adds the rows, but for those that the predecessor's own constraints refuse."""
    ids = {table: [] for table in network}
    predecessor.empty()
    predecessor.execute("BEGIN")
    for table in (table.name for table in TABLES):
        seen = set()
        for number, row in enumerate(network[table], start=1):
            columns = dict(row)
            for column, target in POINTS_AT.items():
                if columns.get(column) is not None:
                    columns[column] = ids[target][columns[column] % len(ids[target])]
            key = tuple(columns[column] for column in UNIQUE.get(table, ()))
            if key and None not in key and key in seen:
                continue
            seen.add(key)
            ids[table].append(predecessor.add(table, id=row_id(table, number), **columns))
    predecessor.execute("COMMIT")
    return ids


@settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(network=networks)
def test_every_row_is_kept_and_every_rule_holds(predecessor, import_predecessor, network):
    ids = fill(predecessor, network)
    with transaction.atomic():
        assert import_predecessor(*DECISIONS).error is None

        for table in TABLES:
            kept = {str(key) for key in table.model.objects.values_list("pk", flat=True)}
            assert set(map(str, ids[table.name])) <= kept
        assert import_predecessor("--verify", keep_report=True).error is None
        require_what_triggers_keep()
        transaction.set_rollback(True)


def require_what_triggers_keep():
    for referral in Referral.objects.select_related("patient").prefetch_related("tests"):
        assert referral.test_ids == sorted(test.test_id for test in referral.tests.all())
        assert referral.patient_name_or_id == referral.patient.full_name_or_id
        assert referral.patient_name_folded == fold(referral.patient_name_or_id)
        tests = ReferralTest.objects.filter(referral=referral)
        facility = referral.facility_branch.facility_id
        assert not tests.exclude(test__test_type__facility=facility).exists()
        if referral.is_completed:
            assert not tests.exclude(status="Completed").exists()
    for key in ("facility_branch", "referred_by"):
        count = "branch_id" if key == "facility_branch" else "practitioner_id"
        counted = ReferralCount.objects.exclude(**{count: None}).values_list(count, "status")
        assert set(counted.annotate(Sum("number"))) == set(
            Referral.objects.values_list(key, "status").annotate(Count("id"))
        )
    facilities = BranchTechnician.objects.values("user").annotate(
        number=Count("branch__facility", distinct=True)
    )
    assert not facilities.filter(number__gt=1).exists()
