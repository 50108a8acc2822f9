"""What must be true is in the database too, for every path into it; here mostly by raw SQL."""

from contextlib import contextmanager

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from authentication.models import User
from medics.models import (
    BranchTechnician,
    Facility,
    FacilityBranch,
    Patient,
    Referral,
    ReferralTest,
    StatusChange,
    Test,
    TestStatus,
    TestType,
)
from tests.factories import (
    FacilityBranchFactory,
    FacilityFactory,
    PatientFactory,
    ReferralFactory,
    TechnicianFactory,
    TestFactory,
    TestTypeFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

NOT_NULL_VIOLATION, FOREIGN_KEY_VIOLATION = "23502", "23503"


def execute(sql, *values):
    with connection.cursor() as cursor:
        # Foreign keys are otherwise not looked at before the commit, which a test never reaches.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(sql, values)


@contextmanager
def refused():
    """Gives what PostgreSQL says of the refusal, in a list that is filled when the block ends."""
    diagnoses = []
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        yield diagnoses
    diagnoses.append(refusal.value.__cause__.diag)


@contextmanager
def refused_by(constraint):
    with refused() as diagnoses:
        yield
    assert diagnoses[0].constraint_name == constraint


# Names


@pytest.mark.parametrize(
    ("name", "again"),
    [("Osu", "Osu"), ("Osu", "OSU"), ("ƐSI ƆBƐN", "ɛsi ɔbɛn"), ("élan", "ÉLAN")],
)
def test_names_are_unique_case_aside(laboratory, name, again):
    test_type = TestTypeFactory(facility=laboratory, name=name)
    FacilityBranchFactory(facility=laboratory, name=name)
    TestFactory(test_type=test_type, name=name)
    with refused_by("unique_branch_name_in_facility"):
        execute(
            "INSERT INTO medics_facilitybranch (facility_id, name, is_active, created_at) "
            "VALUES (%s, %s, true, now())",
            laboratory.id,
            again,
        )
    with refused_by("unique_test_type_name_in_facility"):
        execute(
            "INSERT INTO medics_testtype (facility_id, name, description, created_at) "
            "VALUES (%s, %s, '', now())",
            laboratory.id,
            again,
        )
    with refused_by("unique_test_name_in_type"):
        execute(
            "INSERT INTO medics_test (test_type_id, name, description, price, created_at) "
            "VALUES (%s, %s, '', 0, now())",
            test_type.id,
            again,
        )


def test_a_closed_branch_keeps_its_name(branch):
    branch.is_active = False
    branch.save()
    with refused_by("unique_branch_name_in_facility"):
        FacilityBranch.objects.create(facility=branch.facility, name="OSU")


def test_a_row_cannot_be_renamed_to_a_taken_name(branch, haematology, blood_count, sickling):
    other = FacilityBranchFactory(facility=branch.facility)
    with refused_by("unique_branch_name_in_facility"):
        FacilityBranch.objects.filter(pk=other.pk).update(name=branch.name.upper())
    with refused_by("unique_test_name_in_type"):
        Test.objects.filter(pk=sickling.pk).update(name=blood_count.name.lower())


def test_names_may_be_equal_under_different_parents(branch, haematology, blood_count):
    elsewhere = FacilityFactory(name=branch.facility.name)
    FacilityBranchFactory(facility=elsewhere, name=branch.name)
    test_type = TestTypeFactory(facility=elsewhere, name=haematology.name)
    TestFactory(test_type=test_type, name=blood_count.name)
    TestFactory(test_type=TestTypeFactory(facility=branch.facility), name=blood_count.name)
    assert Test.objects.filter(name=blood_count.name).count() == 3


# Facilities and their people


def test_one_administers_one_facility_at_most(laboratory, efua):
    other = FacilityFactory()
    with refused() as diagnoses:
        execute("UPDATE medics_facility SET admin_id = %s WHERE id = %s", efua.id, other.id)
    assert "admin_id" in diagnoses[0].constraint_name


def test_several_facilities_may_have_no_administrator():
    FacilityFactory()
    FacilityFactory()
    assert Facility.objects.filter(admin=None).count() == 2


def test_one_assignment_per_technician_and_branch(kofi, branch):
    with refused_by("unique_assignment_of_technician_to_branch"):
        execute(
            "INSERT INTO medics_branchtechnician (user_id, branch_id, is_admin, assigned_at) "
            "VALUES (%s, %s, false, now())",
            kofi.id,
            branch.id,
        )


def test_a_person_may_work_at_several_branches_of_one_facility(kofi, laboratory):
    BranchTechnician.objects.create(user=kofi, branch=FacilityBranchFactory(facility=laboratory))
    assert kofi.branch_assignments.count() == 2


def test_nobody_works_at_branches_of_two_facilities(kofi, branch):
    elsewhere = FacilityBranchFactory()
    with refused_by("one_facility_per_person"):
        execute(
            "INSERT INTO medics_branchtechnician (user_id, branch_id, is_admin, assigned_at) "
            "VALUES (%s, %s, false, now())",
            kofi.id,
            elsewhere.id,
        )
    with refused_by("one_facility_per_person"):
        BranchTechnician.objects.bulk_create([BranchTechnician(user=kofi, branch=elsewhere)])


def test_two_assignments_of_one_statement_are_judged_together():
    person = TechnicianFactory()
    with refused_by("one_facility_per_person"):
        BranchTechnician.objects.bulk_create(
            BranchTechnician(user=person, branch=FacilityBranchFactory()) for _ in range(2)
        )


def test_an_assignment_cannot_move_to_a_second_facility(kofi, laboratory):
    elsewhere = FacilityBranchFactory()
    second = BranchTechnician.objects.create(
        user=kofi, branch=FacilityBranchFactory(facility=laboratory)
    )
    with refused_by("one_facility_per_person"):
        BranchTechnician.objects.filter(pk=second.pk).update(branch=elsewhere)
    other = TechnicianFactory(branches=[elsewhere])
    with refused_by("one_facility_per_person"):
        BranchTechnician.objects.filter(pk=second.pk).update(user=other)


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO medics_branchtechnician (user_id, branch_id, is_admin, assigned_at)"
        " VALUES (%(efua)s, %(elsewhere)s, false, now())",
        "UPDATE medics_branchtechnician SET user_id = %(efua)s WHERE branch_id = %(elsewhere)s",
        "UPDATE medics_facility SET admin_id = %(kofi)s WHERE id = %(other)s",
        "INSERT INTO medics_facility (name, contact_number, created_at, admin_id)"
        " VALUES ('Ridge', '', now(), %(kofi)s)",
        "WITH moved AS (UPDATE medics_facility SET admin_id = NULL WHERE admin_id = %(efua)s)"
        " UPDATE medics_facility SET admin_id = %(kofi)s WHERE id = %(other)s",
    ],
)
def test_who_administers_a_facility_works_at_no_other(efua, kofi, change):
    elsewhere = TechnicianFactory(branches=[FacilityBranchFactory()]).branch_assignments.get()
    values = {
        "efua": efua.pk,
        "kofi": kofi.pk,
        "elsewhere": elsewhere.branch_id,
        "other": elsewhere.branch.facility_id,
    }
    with refused_by("one_facility_per_person"), connection.cursor() as cursor:
        cursor.execute(change, values)


def test_who_administers_a_facility_may_work_at_its_branches(efua, kofi, laboratory, branch):
    BranchTechnician.objects.create(user=efua, branch=branch)
    Facility.objects.filter(pk=laboratory.pk).update(admin=kofi)
    laboratory.refresh_from_db()
    laboratory.save()
    assert laboratory.admin == kofi


def test_who_has_left_one_facility_may_work_at_another(kofi):
    elsewhere = FacilityBranchFactory()
    BranchTechnician.objects.filter(user=kofi).update(branch=elsewhere)
    assert kofi.branch_assignments.get().branch == elsewhere
    kofi.branch_assignments.all().delete()
    BranchTechnician.objects.create(user=kofi, branch=FacilityBranchFactory())


# Prices


def test_a_price_is_not_negative(blood_count):
    with refused_by("price_is_not_negative"):
        execute("UPDATE medics_test SET price = -0.01 WHERE id = %s", blood_count.id)
    execute("UPDATE medics_test SET price = 0 WHERE id = %s", blood_count.id)


# Statuses


@pytest.mark.parametrize("table", ["referral", "referraltest"])
@pytest.mark.parametrize("status", ["", "pending", "Done", "COMPLETED", "Completed "])
def test_a_status_is_one_of_three(referral, table, status):
    with refused() as diagnoses:
        execute(f"UPDATE medics_{table} SET status = %s", status)  # noqa: S608
    assert diagnoses[0].constraint_name == f"{table}_status_is_known"


@pytest.mark.parametrize("table", ["referral", "referraltest"])
@pytest.mark.parametrize(
    "change",
    [
        "status = 'Completed'",
        "completed_at = now()",
        "status = 'Received', completed_at = now()",
    ],
)
def test_completed_at_is_set_exactly_when_completed(referral, table, change):
    with refused_by(f"{table}_completed_at_exactly_when_completed"):
        execute(f"UPDATE medics_{table} SET {change}")  # noqa: S608

    execute(f"UPDATE medics_{table} SET status = 'Completed', completed_at = now()")  # noqa: S608
    for half in ("status = 'Pending'", "status = 'Received'", "completed_at = NULL"):
        with refused_by(f"{table}_completed_at_exactly_when_completed"):
            execute(f"UPDATE medics_{table} SET {half}")  # noqa: S608
    execute(f"UPDATE medics_{table} SET status = 'Pending', completed_at = NULL")  # noqa: S608


CLOSED = "closed_at = now(), closing_code = 'duplicate'"


@pytest.mark.parametrize(
    "change",
    [
        "status = 'Cancelled'",
        "status = 'Cancelled', closed_at = now()",
        "status = 'Cancelled', closing_code = 'duplicate'",
        "status = 'Cancelled', closed_at = now(), closing_code = 'because'",
        "status = 'Cancelled', closed_at = now(), closing_code = 'other'",
        CLOSED,
        "closed_at = now()",
        "closing_code = 'duplicate'",
        "closing_note = 'Sent twice'",
        f"status = 'Received', {CLOSED}",
        f"status = 'Completed', completed_at = now(), {CLOSED}",
    ],
)
def test_a_referral_is_closed_with_a_reason_exactly_when_cancelled(referral, change):
    with refused_by("referral_closed_with_a_reason_exactly_when_cancelled"):
        execute(f"UPDATE medics_referral SET {change}")  # noqa: S608

    execute(f"UPDATE medics_referral SET status = 'Cancelled', {CLOSED}")  # noqa: S608
    with refused_by("referral_closed_with_a_reason_exactly_when_cancelled"):
        execute("UPDATE medics_referral SET status = 'Pending'")


def test_a_test_is_not_cancelled(referral):
    with refused_by("referraltest_status_is_known"):
        execute("UPDATE medics_referraltest SET status = 'Cancelled'")


# Tests within a referral


def test_a_test_is_once_in_a_referral(referral, blood_count):
    with refused_by("unique_test_in_referral"):
        execute(
            "INSERT INTO medics_referraltest "
            "(referral_id, test_id, status, created_at, updated_at) "
            "VALUES (%s, %s, 'Pending', now(), now())",
            referral.id,
            blood_count.id,
        )


def test_a_test_is_one_that_the_branch_s_facility_offers(referral):
    elsewhere = TestFactory()
    rule = "test_belongs_to_facility_of_branch"
    with refused_by(rule):
        execute(
            "INSERT INTO medics_referraltest "
            "(referral_id, test_id, status, created_at, updated_at) "
            "VALUES (%s, %s, 'Pending', now(), now())",
            referral.id,
            elsewhere.id,
        )
    with refused_by(rule):
        execute(
            "UPDATE medics_referraltest SET test_id = %s WHERE id = %s",
            elsewhere.id,
            referral.tests.first().id,
        )
    with refused_by(rule):
        ReferralTest.objects.create(referral=referral, test=elsewhere)
    with refused_by(rule):
        ReferralTest.objects.bulk_create([ReferralTest(referral=referral, test=elsewhere)])
    with refused_by(rule):
        other = ReferralFactory()
        other.tests.update(referral=referral)


@pytest.mark.parametrize("table", ["facilitybranch", "testtype"])
def test_a_branch_and_a_test_type_stay_with_their_facility(table, branch, haematology):
    with refused_by("facility_is_fixed"):
        execute(f"UPDATE medics_{table} SET facility_id = %s", FacilityFactory().id)  # noqa: S608


def test_a_test_stays_with_its_facility(blood_count, laboratory):
    with refused_by("facility_is_fixed"):
        Test.objects.filter(pk=blood_count.pk).update(test_type=TestTypeFactory())
    chemistry = TestTypeFactory(facility=laboratory)
    Test.objects.filter(pk=blood_count.pk).update(test_type=chemistry)
    blood_count.refresh_from_db()
    assert blood_count.test_type == chemistry


def test_a_referral_stays_with_its_facility(referral, laboratory):
    with refused_by("facility_is_fixed"):
        Referral.objects.filter(pk=referral.pk).update(facility_branch=FacilityBranchFactory())
    tema = FacilityBranchFactory(facility=laboratory)
    Referral.objects.filter(pk=referral.pk).update(facility_branch=tema)
    referral.refresh_from_db()
    assert referral.facility_branch == tema


def test_saving_a_row_as_it_is_is_no_move(referral, branch, haematology, blood_count):
    for row in (branch, haematology, blood_count, referral, referral.tests.first()):
        row.save()
    assert referral.tests.count() == 2


# What must be there


@pytest.mark.parametrize(
    ("model", "column"),
    [
        (Facility, "name"),
        (FacilityBranch, "facility_id"),
        (FacilityBranch, "name"),
        (FacilityBranch, "is_active"),
        (BranchTechnician, "user_id"),
        (BranchTechnician, "branch_id"),
        (BranchTechnician, "is_admin"),
        (TestType, "facility_id"),
        (TestType, "name"),
        (Test, "test_type_id"),
        (Test, "name"),
        (Test, "price"),
        (Patient, "full_name_or_id"),
        (Referral, "id"),
        (Referral, "facility_branch_id"),
        (Referral, "patient_id"),
        (Referral, "referred_by_id"),
        (Referral, "status"),
        (Referral, "referred_at"),
        (Referral, "updated_at"),
        (ReferralTest, "referral_id"),
        (ReferralTest, "test_id"),
        (ReferralTest, "status"),
        (ReferralTest, "created_at"),
        (ReferralTest, "updated_at"),
        (StatusChange, "referral_id"),
        (StatusChange, "from_status"),
        (StatusChange, "to_status"),
        (StatusChange, "changed_at"),
    ],
)
def test_a_value_that_is_due_is_not_null(model, column):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT is_nullable FROM information_schema.columns "
            "WHERE table_name = %s AND column_name = %s",
            [model._meta.db_table, column],
        )
        assert cursor.fetchone() == ("NO",)


def test_a_referral_without_a_patient_is_refused(ama, branch):
    with refused() as diagnoses:
        Referral.objects.create(referred_by=ama, facility_branch=branch)
    assert diagnoses[0].sqlstate == NOT_NULL_VIOLATION
    assert diagnoses[0].column_name == "patient_id"


# What a referral hangs on


def what_a_referral_hangs_on(referral):
    test = referral.tests.first()
    return [
        referral,
        referral.patient,
        referral.referred_by,
        referral.facility_branch,
        referral.facility_branch.facility,
        test.test,
        test.test.test_type,
    ]


def test_what_a_referral_hangs_on_is_protected(referral):
    for row in what_a_referral_hangs_on(referral):
        with pytest.raises(ProtectedError):
            row.delete()
        with pytest.raises(ProtectedError):
            type(row).objects.filter(pk=row.pk).delete()


def test_raw_sql_cannot_delete_it_either(referral):
    for row in what_a_referral_hangs_on(referral):
        with refused() as diagnoses:
            execute(f"DELETE FROM {row._meta.db_table} WHERE id = %s", row.pk)  # noqa: S608
        assert diagnoses[0].sqlstate == FOREIGN_KEY_VIOLATION


def test_a_facility_s_people_are_protected(kofi, efua):
    for person in (kofi, efua):
        with pytest.raises(ProtectedError):
            person.delete()
    with refused() as diagnoses:
        execute("DELETE FROM authentication_user WHERE id = %s", efua.id)
    assert diagnoses[0].sqlstate == FOREIGN_KEY_VIOLATION


def test_a_test_and_a_referral_with_a_history_are_protected(referral):
    test = referral.tests.first()
    for row in (test, referral):
        row.status = TestStatus.COMPLETED
        row.save()
    with pytest.raises(ProtectedError):
        test.delete()
    with refused() as diagnoses:
        execute("DELETE FROM medics_referraltest WHERE id = %s", test.id)
    assert diagnoses[0].sqlstate == FOREIGN_KEY_VIOLATION


def test_who_changed_a_status_is_protected(referral):
    inspector = User.objects.create_user(phone_number="0244123456")
    StatusChange.objects.create(
        referral=referral,
        from_status=TestStatus.PENDING,
        to_status=TestStatus.RECEIVED,
        changed_by=inspector,
        changed_at=timezone.now(),
    )
    with pytest.raises(ProtectedError):
        inspector.delete()


def test_what_nothing_hangs_on_can_be_deleted():
    for row in (FacilityBranchFactory(), TestFactory(), PatientFactory(), TechnicianFactory()):
        assert row.delete()[0] == 1


# Numbers and their keys

NUMBERS = [
    ("authentication_user", "phone_number", "phone_key"),
    ("medics_patient", "contact_number", "contact_key"),
]


@pytest.fixture(params=NUMBERS, ids=lambda names: names[0])
def numbered(request):
    """A row with a number, by the names of its table and columns; and its id."""
    row = (
        UserFactory(phone_number="0244123456")
        if request.param[0] == "authentication_user"
        else PatientFactory(contact_number="0244123456")
    )
    return *request.param, row


def test_a_number_is_not_changed_without_its_key(numbered):
    table, number, key, row = numbered
    for by_hand in (
        f"UPDATE {table} SET {number} = '0209000111' WHERE id = %s",  # noqa: S608
        # Another spelling of the same number: the database cannot tell.
        f"UPDATE {table} SET {number} = '+233244123456' WHERE id = %s",  # noqa: S608
        f"UPDATE {table} SET {number} = {number} || '7' WHERE id = %s",  # noqa: S608
        f"WITH one AS (SELECT %s AS id) UPDATE {table} SET {number} = ''"  # noqa: S608
        f" FROM one WHERE {table}.id = one.id",
    ):
        with refused_by("key_follows_number"):
            execute(by_hand, row.pk)
    execute(f"UPDATE {table} SET {number} = {number} WHERE id = %s", row.pk)  # noqa: S608
    execute(
        f"UPDATE {table} SET {key} = '+233209000111', {number} = '0209000111' WHERE id = %s",  # noqa: S608
        row.pk,
    )
    execute(f"UPDATE {table} SET {key} = {key}, {number} = '020 9000111' WHERE id = %s", row.pk)  # noqa: S608
    row.refresh_from_db()
    assert (getattr(row, number), getattr(row, key)) == ("020 9000111", "+233209000111")


def test_django_changes_a_number_in_each_of_its_ways(numbered):
    _table, number, key, row = numbered
    rows = type(row).objects
    # Another spelling, another number, and back: each way, with the key that is due.
    for spelling in ("+233244123456", "0209000111", "0244123456"):
        due = "+233209000111" if spelling == "0209000111" else "+233244123456"
        setattr(row, number, spelling)
        row.save()
        assert rows.values_list(number, key).get(pk=row.pk) == (spelling, due)
    for spelling in ("+233244123456", "0244123456"):
        setattr(row, number, spelling)
        row.save(update_fields=[number])
    for spelling in ("+233244123456", "0244123456"):
        rows.filter(pk=row.pk).update(**{number: spelling})
    for spelling in ("+233244123456", "0244123456"):
        setattr(row, number, spelling)
        rows.bulk_update([row], [number])
    setattr(row, number, "233244123456")
    rows.bulk_create(
        [row], update_conflicts=True, unique_fields=["id"], update_fields=[number, key]
    )
    assert rows.values_list(number, key).get(pk=row.pk) == ("233244123456", "+233244123456")
