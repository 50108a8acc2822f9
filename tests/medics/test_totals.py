"""The kept counts of referrals are what count(*) counts, whatever path a change comes by."""

from io import StringIO
from random import Random
from threading import Event

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from medics.models import Referral, ReferralCount, TestStatus
from medics.services.history import forgetting
from tests.factories import (
    FacilityBranchFactory,
    PatientFactory,
    PractitionerFactory,
    ReferralFactory,
)
from tests.support.concurrency import at_once, while_open
from tests.support.database import execute
from tests.support.referral_counts import wrong_counts

pytestmark = pytest.mark.django_db

PENDING, RECEIVED, COMPLETED = TestStatus.values

FOLD_ALL = "SELECT medics_fold_all_counts()"


def total_of(**whose):
    return sum(ReferralCount.objects.filter(**whose).values_list("number", flat=True))


@pytest.fixture
def akosua(db):
    return PatientFactory(full_name_or_id="Akosua Mensah")


@pytest.fixture
def tema(laboratory):
    return FacilityBranchFactory(facility=laboratory, name="Tema")


@pytest.fixture
def new(ama, branch, akosua):
    """A referral of Ama to Osu that is not saved."""

    def new(**fields):
        if fields.get("status") == COMPLETED:
            fields["completed_at"] = timezone.now()
        return Referral(
            **{"referred_by": ama, "facility_branch": branch, "patient": akosua, **fields}
        )

    return new


@pytest.fixture
def some(new, yaw, tema):
    """Referrals of Ama and Yaw to two branches in every status."""
    return Referral.objects.bulk_create(
        new(referred_by=practitioner, facility_branch=to, status=status)
        for practitioner in (new().referred_by, yaw)
        for to in (new().facility_branch, tema)
        for status in (PENDING, PENDING, RECEIVED, COMPLETED)
    )


COLUMNS = (
    "id, facility_branch_id, patient_id, referred_by_id, clinical_notes, status, updated_at,"
    " referred_at, completed_at"
)


# By whatever path


def test_the_check_itself_sees_a_wrong_count(some):
    assert wrong_counts() == []
    ReferralCount.objects.filter(branch_id=some[0].facility_branch_id).first().delete()
    assert wrong_counts() != []


def test_a_referral_that_comes(new, ama, branch):
    new().save()
    assert total_of(branch_id=branch.pk, status=PENDING) == 1
    assert total_of(practitioner_id=ama.pk, status=PENDING) == 1
    new(status=COMPLETED).save()
    assert total_of(branch_id=branch.pk) == 2
    assert total_of(practitioner_id=ama.pk, status=COMPLETED) == 1
    assert wrong_counts() == []


def test_a_referral_that_is_posted_and_goes_its_way(signed_in, ama, kofi, branch, blood_count):
    body = {
        "patient_full_name_or_id": "Akosua Mensah",
        "tests": [blood_count.pk],
        "branch_id": branch.pk,
    }
    answer = signed_in(ama).post(reverse("medics:create-referral"), body)
    url = reverse("medics:get-update-referral", args=[answer.json()["data"]["referral_id"]])
    for status in (RECEIVED, PENDING, RECEIVED):
        assert signed_in(kofi).put(url, {"status": status}).status_code == 200
        assert wrong_counts() == []
        for person, route in [(ama, "practitioner"), (kofi, "technician")]:
            data = signed_in(person).get(reverse(f"medics:get-{route}-referrals")).json()["data"]
            expected = dict.fromkeys(data["data_summary"], 0)
            assert data["data_summary"] == expected | {
                "total_referrals": 1,
                f"total_{status.lower()}": 1,
            }


def test_a_bulk_create(some, branch):
    assert total_of(branch_id=branch.pk) == 8
    assert wrong_counts() == []


def test_a_change_of_status(some):
    first, second, *_ = some
    first.status = RECEIVED
    first.save()
    assert wrong_counts() == []
    second.status = COMPLETED
    second.save(update_fields=["status"])
    assert wrong_counts() == []


def test_a_move_to_another_branch(some, branch, tema):
    some[0].facility_branch = tema
    some[0].save()
    assert total_of(branch_id=branch.pk) == 7
    assert total_of(branch_id=tema.pk) == 9
    assert wrong_counts() == []


def test_a_move_to_another_practitioner(some, ama, yaw):
    some[0].referred_by = yaw
    some[0].save()
    assert total_of(practitioner_id=ama.pk) == 7
    assert total_of(practitioner_id=yaw.pk) == 9
    assert wrong_counts() == []


def test_everything_changed_in_one_row(some, yaw, tema):
    Referral.objects.filter(pk=some[0].pk).update(
        status=RECEIVED, facility_branch=tema, referred_by=yaw
    )
    assert wrong_counts() == []


def test_a_change_of_nothing_that_is_counted_adds_no_row(some):
    before = ReferralCount.objects.count()
    Referral.objects.update(clinical_notes="Fever")
    assert ReferralCount.objects.count() <= before
    assert wrong_counts() == []


def test_a_deletion(some, branch):
    some[0].delete()
    assert total_of(branch_id=branch.pk) == 7
    assert wrong_counts() == []
    Referral.objects.filter(status=PENDING).delete()
    assert wrong_counts() == []
    Referral.objects.all().delete()
    assert total_of() == 0
    assert wrong_counts() == []


def test_an_update_over_many(some):
    Referral.objects.filter(status=PENDING).update(status=RECEIVED)
    assert wrong_counts() == []
    for referral in some[:5]:
        referral.status, referral.completed_at = PENDING, None
    Referral.objects.bulk_update(some[:5], ["status", "completed_at"])
    assert wrong_counts() == []


def test_sql_over_many_rows(some, ama, branch, akosua):
    execute(
        f"INSERT INTO medics_referral ({COLUMNS})"  # noqa: S608 - of this file alone
        " SELECT lpad(n::text, 10, 'X'), %s, %s, %s, '',"
        " CASE WHEN n %% 3 = 0 THEN 'Received' ELSE 'Pending' END, now(), now(), NULL"
        " FROM generate_series(1, 500) AS n",
        [branch.pk, akosua.pk, ama.pk],
    )
    assert total_of(branch_id=branch.pk) == 508
    assert wrong_counts() == []
    execute("DELETE FROM medics_referral WHERE id LIKE 'X%7'")
    assert wrong_counts() == []
    execute(
        "UPDATE medics_referral SET status = CASE status WHEN 'Pending' THEN 'Received'"
        " ELSE 'Pending' END, completed_at = NULL WHERE id LIKE 'X%'"
    )
    assert wrong_counts() == []


def test_sql_that_inserts_or_else_updates(some, new):
    [first, *_] = some
    execute(
        f"INSERT INTO medics_referral ({COLUMNS})"  # noqa: S608
        f" SELECT {COLUMNS} FROM medics_referral"
        f" UNION ALL SELECT 'XXXXXXXXXX', {COLUMNS.removeprefix('id, ')} FROM medics_referral"
        " WHERE id = %s ON CONFLICT (id) DO UPDATE SET status = 'Received', completed_at = NULL",
        [first.pk],
    )
    assert Referral.objects.filter(status=RECEIVED).count() == len(some)
    assert wrong_counts() == []


def test_sql_that_does_two_things_at_once(some):
    execute(
        "WITH gone AS (DELETE FROM medics_referral WHERE status = 'Completed' RETURNING *)"  # noqa: S608
        f" INSERT INTO medics_referral ({COLUMNS})"
        " SELECT reverse(id), facility_branch_id, patient_id, referred_by_id, '', 'Pending',"
        " now(), referred_at, NULL FROM gone"
    )
    assert wrong_counts() == []


def test_a_copy(some, ama, branch, akosua):
    now = timezone.now().isoformat()
    rows = "".join(
        f"COPIED{n:04}\t{branch.pk}\t{akosua.pk}\t{ama.pk}\t\t{status}\t{now}\t{now}\t{at}\n"
        for n, (status, at) in enumerate([(PENDING, r"\N"), (COMPLETED, now)] * 20)
    )
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY medics_referral ({COLUMNS}) FROM STDIN", StringIO(rows))
    assert total_of(branch_id=branch.pk) == 48
    assert wrong_counts() == []


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_counted(some, new, branch):
    with transaction.atomic():
        new().save()
        Referral.objects.update(status=RECEIVED, completed_at=None)
        execute(FOLD_ALL)
        assert wrong_counts() == []
        transaction.set_rollback(True)
    assert total_of(branch_id=branch.pk) == 8
    assert wrong_counts() == []


@pytest.mark.django_db(transaction=True)
def test_what_a_savepoint_rolls_back_is_not_counted(some, new, branch):
    with transaction.atomic():
        new().save()
        with transaction.atomic():
            new(status=RECEIVED).save()
            execute(FOLD_ALL)
            transaction.set_rollback(True)
        new(status=COMPLETED).save()
        assert wrong_counts() == []
    assert total_of(branch_id=branch.pk) == 10
    assert total_of(branch_id=branch.pk, status=RECEIVED) == 2
    assert wrong_counts() == []


@pytest.mark.django_db(transaction=True)
def test_a_truncated_table_counts_nothing(some):
    with forgetting():
        execute("TRUNCATE medics_referral CASCADE")
    assert total_of() == 0
    assert wrong_counts() == []


# Folding


def test_folding_leaves_one_row_for_each_status(some, new, ama, branch, tema):
    for _ in range(5):
        new().save()
    execute(FOLD_ALL)
    rows = ReferralCount.objects.filter(branch_id=branch.pk)
    assert sorted(rows.values_list("status", "number")) == sorted(
        [(PENDING, 9), (RECEIVED, 2), (COMPLETED, 2)]
    )
    assert ReferralCount.objects.filter(practitioner_id=ama.pk).count() == 3
    assert wrong_counts() == []


def test_folding_leaves_no_row_of_nothing(some):
    Referral.objects.all().delete()
    execute(FOLD_ALL)
    assert ReferralCount.objects.count() == 0


def test_one_branch_can_be_folded_alone(some, new, ama, branch, tema):
    for to in (branch, tema):
        for _ in range(3):
            new(facility_branch=to).save()
    before = list(ReferralCount.objects.filter(branch_id=tema.pk).order_by("id").values())
    execute("SELECT medics_fold_counts(ARRAY[%s]::bigint[], ARRAY[]::uuid[])", [branch.pk])
    assert ReferralCount.objects.filter(branch_id=branch.pk).count() == 3
    assert list(ReferralCount.objects.filter(branch_id=tema.pk).order_by("id").values()) == before
    execute("SELECT medics_fold_counts(NULL, ARRAY[%s]::uuid[])", [ama.pk])
    assert ReferralCount.objects.filter(practitioner_id=ama.pk).count() == 3
    assert wrong_counts() == []


def test_folding_where_there_is_nothing_does_nothing(db):
    execute(FOLD_ALL)
    execute("SELECT medics_fold_counts(NULL, NULL)")
    assert ReferralCount.objects.count() == 0


def test_changes_fold_now_and_then_by_themselves(new, branch):
    for _ in range(400):
        new().save()
    # One in 40 folds: that none of 400 does has a chance of one in 25,000.
    assert ReferralCount.objects.filter(branch_id=branch.pk).count() < 400
    assert total_of(branch_id=branch.pk) == 400
    assert wrong_counts() == []


def test_the_lists_show_the_same_before_and_after_folding(signed_in, kofi, some):
    url = reverse("medics:get-technician-referrals")
    before = signed_in(kofi).get(url).json()["data"]["data_summary"]
    execute(FOLD_ALL)
    assert signed_in(kofi).get(url).json()["data"]["data_summary"] == before
    assert before == {
        "total_referrals": 8,
        "total_pending": 4,
        "total_received": 2,
        "total_cancelled": 0,
        "total_completed": 2,
    }


# At once


@pytest.mark.django_db(transaction=True)
def test_writers_at_one_branch_do_not_wait_for_each_other(some, new, branch):
    first, second = new(), new()

    def write(referral):
        with transaction.atomic():
            referral.save()
            execute(FOLD_ALL)
        return set(Referral.objects.values_list("pk", flat=True))

    found = while_open(first=lambda: write(first), then=lambda: write(second))

    # Had it waited for the first, it would see it.
    assert found == {second.pk, *(row.pk for row in some)}
    assert total_of(branch_id=branch.pk) == 10
    assert wrong_counts() == []


@pytest.mark.django_db(transaction=True)
def test_who_counts_while_a_fold_is_open_neither_waits_nor_miscounts(some, new):
    def fold():
        new().save()
        execute(FOLD_ALL)

    assert while_open(first=fold, then=lambda: (wrong_counts(), total_of())) == ([], 32)
    assert wrong_counts() == []
    assert total_of() == 34


@pytest.mark.django_db(transaction=True)
def test_writers_folders_and_readers_at_once_agree_always(ama, yaw, branch, tema):
    patients = PatientFactory.create_batch(8)
    done = [Event() for _ in patients]
    seen = []

    def writing(number):
        random = Random(number)  # noqa: S311 - made-up data

        def change():
            hers = Referral.objects.filter(patient=patients[number])
            kind = random.choice(["one", "one", "many", "status", "all", "move", "delete"])
            if kind in {"one", "many"}:
                Referral.objects.bulk_create(
                    Referral(
                        referred_by=random.choice([ama, yaw]),
                        facility_branch=branch,
                        patient=patients[number],
                    )
                    for _ in range(1 if kind == "one" else 5)
                )
            elif kind == "delete":
                # What has a history is protected.
                hers.filter(history=None).delete()
            elif kind == "move":
                hers.update(facility_branch=random.choice([branch, branch, tema]))
            else:
                some_of_hers = hers if kind == "all" else hers.filter(referred_by=ama)
                some_of_hers.update(status=random.choice([PENDING, RECEIVED]))

        def write():
            try:
                for _ in range(30):
                    with transaction.atomic():
                        for _ in range(random.randint(1, 3)):
                            change()
                        transaction.set_rollback(random.random() < 0.25)
            finally:
                done[number].set()

        return write

    def until_all_have_written(act):
        def run():
            while not all(event.is_set() for event in done):
                act()

        return run

    def read():
        seen.append(wrong_counts())

    at_once(
        lambda act: act(),
        [
            *(writing(number) for number in range(8)),
            *[until_all_have_written(lambda: execute(FOLD_ALL))] * 2,
            *[until_all_have_written(read)] * 2,
        ],
    )

    assert len(seen) > 2
    assert [wrong for wrong in seen if wrong] == []
    assert wrong_counts() == []
    assert Referral.objects.count() > 20


@pytest.mark.django_db(transaction=True)
def test_changes_of_the_same_rows_at_once_count_each_row_once(some):
    rows = [row.pk for row in some]
    Referral.objects.update(status=PENDING, completed_at=None)

    def change(number):
        random = Random(number)  # noqa: S311 - made-up data
        for _ in range(25):
            Referral.objects.filter(pk=random.choice(rows)).update(
                status=random.choice([PENDING, RECEIVED])
            )

    at_once(change, range(4))
    assert wrong_counts() == []
    assert total_of() == 2 * len(rows)


@pytest.mark.django_db(transaction=True)
def test_a_referral_that_two_delete_at_once_is_gone_once(some, branch):
    at_once(lambda _: Referral.objects.filter(pk=some[0].pk).delete(), range(4))
    assert total_of(branch_id=branch.pk) == 7
    assert wrong_counts() == []


@pytest.mark.django_db(transaction=True)
def test_practitioners_of_one_branch_posting_at_once_are_all_counted(
    signed_in, branch, blood_count
):
    url = reverse("medics:create-referral")
    clients = [signed_in(PractitionerFactory()) for _ in range(8)]

    def post(client):
        body = {
            "patient_full_name_or_id": "Akosua Mensah",
            "tests": [blood_count.pk],
            "branch_id": branch.pk,
        }
        return client.post(url, body).status_code

    assert at_once(post, clients) == [201] * 8
    assert total_of(branch_id=branch.pk, status=PENDING) == 8
    assert wrong_counts() == []


def test_another_facility_s_branch_is_counted_apart(some, branch):
    elsewhere = ReferralFactory()
    assert total_of(branch_id=elsewhere.facility_branch_id) == 1
    assert total_of(branch_id=branch.pk) == 8
    assert wrong_counts() == []
