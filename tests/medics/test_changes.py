"""What the database records of every change but those of a status, and keeps."""

import re
import subprocess
import sys
from contextlib import contextmanager

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp.util import random_hex

from _tetradx.db.audit_context import Command, changes_come_from
from authentication.models import User
from authentication.services import change_password, log_in
from medics.models import Change, HistoryEntry, Patient, Referral, StatusChange, TestStatus
from medics.services.history import forgetting
from tests.factories import (
    FacilityBranchFactory,
    PatientFactory,
    ReferralFactory,
    TechnicianFactory,
    TestFactory,
    UserFactory,
)
from tests.support.audit_context import changes_by
from tests.support.database import database_url, execute, own_role
from tests.support.statements import statements

pytestmark = pytest.mark.django_db


@contextmanager
def recorded():
    """The changes that the block makes, in a list that is filled when it ends."""
    last = Change.objects.order_by("id").last()
    changes: list[Change] = []
    yield changes
    changes += Change.objects.filter(id__gt=last.id if last else 0).order_by("id")


def told(change):
    return change.action, change.row_table, change.row_id, change.old, change.new


# Users and their rights


def test_a_registration_is_nobody_s_with_its_request(anyone):
    with recorded() as changes:
        anyone.post(
            reverse("auth:user-register"),
            {"full_name": "Abena Osei", "phone_number": "0244 123 456", "password": "Str0ng-pass"},
            headers={"X-Request-ID": "of-the-registration"},
        )

    [change] = changes
    user = User.objects.get()
    assert change.changed_by is None
    # With one of ours behind it, which nobody can choose.
    assert re.fullmatch("of-the-registration/[0-9a-f]{32}", change.request_id)
    assert told(change) == (
        "created",
        "authentication_user",
        str(user.pk),
        None,
        {
            "full_name": "Abena Osei",
            "phone_number": "0244123456",
            "user_type": "Medical Practitioner",
            "must_change_password": False,
            "is_active": True,
            "is_staff": False,
            "is_superuser": False,
        },
    )


def test_a_technician_and_the_branch_are_put_down_to_the_administrator(signed_in, efua, branch):
    with recorded() as changes:
        response = signed_in(efua).post(
            reverse("medics:add-lab-technician"),
            {
                "full_name": "Kojo Addo",
                "phone_number": "0244123456",
                "branch_id": branch.id,
                "password": "Str0ng-pass",
            },
        )

    kojo = User.objects.get(phone_number="0244123456")
    person, assignment = changes
    assert person.row_id == str(kojo.pk)
    assert (assignment.row_table, assignment.new) == (
        "medics_branchtechnician",
        {"user_id": str(kojo.pk), "branch_id": branch.id, "is_admin": False},
    )
    assert {change.subject_id for change in changes} == {str(kojo.pk)}
    assert {change.changed_by for change in changes} == {efua}
    assert {change.request_id for change in changes} == {response["X-Request-ID"]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_type", "Lab Technician"),
        ("is_active", False),
        ("is_staff", True),
        ("is_superuser", True),
        ("must_change_password", True),
        ("phone_number", "0208123456"),
        ("full_name", "Ama Darko"),
    ],
)
def test_old_and_new_of_a_user_are_told(ama, field, value):
    old = getattr(ama, field)
    setattr(ama, field, value)
    with recorded() as changes:
        ama.save()

    assert [told(change) for change in changes] == [
        ("changed", "authentication_user", str(ama.pk), {field: old}, {field: value})
    ]


def test_of_a_password_it_is_told_that_it_was_changed(ama):
    with recorded() as changes:
        change_password(user=ama, new_password="Str0ng-pass")

    [change] = changes
    assert (change.old, change.new) == ({}, {"password": "changed"})


def test_no_hash_is_anywhere_in_the_history(ama, kofi):
    change_password(user=ama, new_password="Str0ng-pass")
    execute("DELETE FROM medics_branchtechnician")
    kofi.delete()

    entries = str(list(HistoryEntry.objects.values_list("old", "new")))
    assert "Kofi Boateng" in entries
    for password in (ama.password, kofi.password):
        assert password not in entries


def test_a_login_is_no_change(ama):
    change_password(user=ama, new_password="Str0ng-pass")
    with recorded() as changes:
        assert log_in(phone_number=ama.phone_number, password="Str0ng-pass", address="127.0.0.1")
    assert changes == []


def test_a_second_factor_is_told_without_its_secret(ama):
    with recorded() as changes:
        device = TOTPDevice.objects.create(user=ama)
        first = device.key
        device.last_t = 7
        device.save()
        device.key = another = random_hex()
        device.save()
        device.delete()

    assert [change.action for change in changes] == ["created", "changed", "deleted"]
    assert (changes[1].old, changes[1].new) == ({}, {"key": "changed"})
    assert {change.subject_id for change in changes} == {str(ama.pk)}
    told_of_it = str([(change.old, change.new) for change in changes])
    assert first not in told_of_it
    assert another not in told_of_it


def test_groups_and_permissions_are_told_of_whom_they_are(ama):
    group = Group.objects.create(name="Operators")
    permission = Permission.objects.first()
    with recorded() as changes:
        ama.groups.add(group)
        ama.user_permissions.add(permission)
        group.permissions.add(permission)
        ama.groups.clear()

    assert [(change.action, change.subject_table, change.subject_id) for change in changes] == [
        ("created", "authentication_user", str(ama.pk)),
        ("created", "authentication_user", str(ama.pk)),
        ("created", "auth_group", str(group.pk)),
        ("deleted", "authentication_user", str(ama.pk)),
    ]
    assert changes[0].new == {"user_id": str(ama.pk), "group_id": group.pk}


# Facilities, branches, prices


def test_a_closed_branch_is_told_of_its_facility(signed_in, efua, branch, laboratory):
    with recorded() as changes:
        signed_in(efua).delete(reverse("medics:get-branches", args=[branch.id]))

    [change] = changes
    assert change.changed_by == efua
    assert (change.subject_table, change.subject_id) == ("medics_facility", str(laboratory.pk))
    assert told(change)[2:] == (str(branch.pk), {"is_active": True}, {"is_active": False})


def test_a_facility_s_new_administrator_is_told(laboratory, efua, kofi):
    laboratory.admin = kofi
    with recorded() as changes:
        laboratory.save()

    [change] = changes
    assert (change.old, change.new) == ({"admin_id": str(efua.pk)}, {"admin_id": str(kofi.pk)})


def test_a_price_is_told_with_its_pesewas(blood_count):
    blood_count.price = "27.50"
    with recorded() as changes:
        blood_count.save()

    [change] = changes
    assert (change.old, change.new) == ({"price": 25.0}, {"price": 27.5})


def test_an_update_of_many_rows_is_a_line_for_each(blood_count, sickling):
    with recorded() as changes:
        execute("UPDATE medics_test SET price = price + 1")
        execute("UPDATE medics_test SET price = price")

    assert sorted(change.row_id for change in changes) == sorted(
        [str(blood_count.pk), str(sickling.pk)]
    )


def test_a_row_that_is_gone_is_told_with_all_that_it_held(haematology):
    glucose = TestFactory(test_type=haematology, name="GLUCOSE")
    pk = str(glucose.pk)
    with recorded() as changes:
        glucose.delete()

    [change] = changes
    assert told(change)[:3] == ("deleted", "medics_test", pk)
    assert change.old["name"] == "GLUCOSE"
    assert change.old["price"] == 25.0
    assert change.new is None


# Patients and referrals


def test_a_referral_tells_itself_who_made_it_and_its_new_patient_is_a_line(
    signed_in, ama, branch, blood_count, sickling
):
    body = {
        "patient_full_name_or_id": "Akosua Mensah",
        "patient_contact_number": "0208123456",
        "tests": [blood_count.id, sickling.id],
        "branch_id": branch.id,
    }
    client = signed_in(ama)
    with recorded() as changes:
        response = client.post(reverse("medics:create-referral"), body)
        client.post(reverse("medics:create-referral"), body | {"clinical_notes": "Again"})

    [change] = changes
    patient = Patient.objects.get()
    assert (change.changed_by, change.request_id) == (ama, response["X-Request-ID"])
    assert told(change) == (
        "created",
        "medics_patient",
        str(patient.pk),
        None,
        {"full_name_or_id": "Akosua Mensah", "contact_number": "0208123456"},
    )


def test_a_patient_s_new_name_is_told_once(referral):
    with recorded() as changes:
        Patient.objects.update(full_name_or_id="Akosua Owusu")

    [change] = changes
    assert (change.old, change.new) == (
        {"full_name_or_id": "Akosua Mensah"},
        {"full_name_or_id": "Akosua Owusu"},
    )


def test_what_becomes_of_a_referral_is_told(referral):
    other = FacilityBranchFactory(facility=referral.facility_branch.facility)
    old_branch = referral.facility_branch_id
    with recorded() as changes:
        Referral.objects.update(clinical_notes="Fever", facility_branch=other)

    [change] = changes
    assert change.row_id == referral.pk
    assert change.old == {"clinical_notes": "", "facility_branch_id": old_branch}
    assert change.new == {"clinical_notes": "Fever", "facility_branch_id": other.pk}


def test_a_test_that_comes_or_goes_later_is_told(referral, haematology):
    [*before] = referral.tests.order_by("test_id").values_list("test_id", flat=True)
    late = TestFactory(test_type=haematology)
    with recorded() as changes:
        added = referral.tests.create(test=late)
        added.delete()

    came, gone, left = changes
    assert (came.old, came.new) == ({"test_ids": before}, {"test_ids": [*before, late.pk]})
    assert gone.action == "deleted"
    assert gone.old["test_id"] == late.pk
    assert left.new == {"test_ids": before}
    assert {change.subject_id for change in changes} == {referral.pk}


def test_a_new_referral_s_tests_are_no_change_of_it(branch, blood_count):
    with recorded() as changes:
        ReferralFactory(facility_branch=branch, tests=[blood_count])
    assert {change.row_table for change in changes} == {"medics_patient", "authentication_user"}


def test_a_status_is_told_with_its_request_and_not_twice(signed_in, kofi, referral):
    with recorded() as changes:
        response = signed_in(kofi).put(
            reverse("medics:get-update-referral", args=[referral.pk]), {"status": "Received"}
        )

    assert changes == []
    assert StatusChange.objects.get().request_id == response["X-Request-ID"]


def test_both_histories_are_one(signed_in, kofi, referral):
    test = referral.tests.first()
    signed_in(kofi).put(
        reverse("medics:update-test-status", args=[test.pk]), {"status": "Received"}
    )
    Referral.objects.update(clinical_notes="Fever")

    newest, moved = HistoryEntry.objects.filter(
        subject_table="medics_referral", subject_id=referral.pk
    ).order_by("-changed_at")[:2]
    assert newest.new == {"clinical_notes": "Fever"}
    assert (moved.row_table, moved.row_id) == ("medics_referraltest", str(test.pk))
    assert (moved.old, moved.new) == ({"status": "Pending"}, {"status": "Received"})
    assert moved.changed_by == kofi


# Who, when, from where


def test_when_is_the_moment_of_the_change(blood_count):
    before = timezone.now()
    blood_count.price = 1
    blood_count.save()
    assert before <= Change.objects.latest("id").changed_at <= timezone.now()


def test_a_change_is_one_statement(ama, blood_count):
    blood_count.price = 1
    with changes_by(ama), statements() as sent:
        blood_count.save()
    assert len(sent) == 1
    assert Change.objects.latest("id").changed_by == ama


def test_a_change_after_one_that_was_taken_back_is_somebody_s_still(ama, blood_count, sickling):
    with changes_by(ama), transaction.atomic():
        with transaction.atomic():
            type(blood_count).objects.update(price=1)
            transaction.set_rollback(True)
        type(sickling).objects.update(price=2)
    assert {change.changed_by for change in Change.objects.filter(action="changed")} == {ama}


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_it_is_of_the_one_change_alone(ama, blood_count):
    with changes_by(ama):
        type(blood_count).objects.update(price=1)
    type(blood_count).objects.update(price=2)
    newest, second = Change.objects.order_by("-id")[:2]
    assert (second.changed_by, second.request_id) == (ama, f"by-{ama.pk}")
    assert (newest.changed_by, newest.request_id) == (None, "")


def test_many_rows_at_once_have_the_same_origin(ama):
    with changes_by(ama), connection.cursor() as cursor, recorded() as changes:
        cursor.executemany(
            "INSERT INTO medics_facility (name, contact_number, created_at) VALUES (%s, '', now())",
            [("Ridge",), ("Tema",)],
        )
    assert [change.new["name"] for change in changes] == ["Ridge", "Tema"]
    assert {change.changed_by for change in changes} == {ama}


def test_a_command_is_named():
    command = Command.named_by(["manage.py", "purge_expired", "--help"])
    with changes_come_from(command), recorded() as changes:
        FacilityBranchFactory()
    assert {change.request_id for change in changes} == {"manage.py purge_expired"}
    assert {change.changed_by for change in changes} == {None}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [(["manage.py"], "manage.py "), (["manage.py", "sh'ell;--%s"], "manage.py shells")],
)
def test_a_command_s_name_cannot_end_its_quotes(arguments, name):
    assert Command.named_by(arguments).id == name


@pytest.mark.django_db(transaction=True)
def test_manage_py_says_which_command_it_runs():
    subprocess.run(
        [
            *(sys.executable, "manage.py", "create_facility", "Ridge", "--branch", "Osu"),
            *("--admin-name", "Efua Asante", "--admin-phone", "0244000003"),
        ],
        cwd=settings.BASE_DIR,
        env={"ENVIRONMENT": "test", "DATABASE_URL": database_url()},
        input="Str0ng-pass\n",
        text=True,
        check=True,
        capture_output=True,
    )
    assert set(Change.objects.values_list("row_table", "request_id")) == {
        (table, "manage.py create_facility")
        for table in ("authentication_user", "medics_facility", "medics_facilitybranch")
    }


# It is only added to


@pytest.fixture
def both_histories(referral):
    referral.status = TestStatus.RECEIVED
    referral.save()


def refused(sql):
    with pytest.raises(IntegrityError, match="can only be added to") as error, transaction.atomic():
        execute(sql)
    return error.value.__cause__.diag.constraint_name


REWRITE = "UPDATE {} SET request_id = 'x'"

every_table = pytest.mark.parametrize("table", ["medics_change", "medics_statuschange"])


@every_table
@pytest.mark.parametrize("sql", [REWRITE, "DELETE FROM {}", "TRUNCATE {}"])
def test_nobody_changes_the_history_by_mistake(both_histories, table, sql):
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert refused(sql.format(table)) == "history_is_kept"


@every_table
def test_its_owner_cannot_rewrite_it(both_histories, table):
    with forgetting():
        assert refused(REWRITE.format(table)) == "history_is_kept"


@pytest.fixture
def as_the_service(both_histories):
    """As a role that may do everything with the tables, and owns none; gives its name."""
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    role = own_role("service")
    execute(f"CREATE ROLE {role}")
    execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    execute(f"SET LOCAL ROLE {role}")
    yield role
    execute("RESET ROLE")


@every_table
@pytest.mark.parametrize("sql", ["DELETE FROM {}", "TRUNCATE {}"])
def test_the_role_of_the_service_cannot_ask_to_forget(as_the_service, table, sql):
    with forgetting():
        assert refused(sql.format(table)) == "history_is_kept"


def test_what_the_role_of_the_service_deletes_is_told(as_the_service, sickling):
    execute("RESET ROLE")
    PatientFactory(full_name_or_id="Yaa Asantewaa")
    execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {as_the_service}")
    execute(f"SET LOCAL ROLE {as_the_service}")
    with forgetting(), recorded() as changes:
        execute("DELETE FROM medics_patient WHERE full_name_or_id = 'Yaa Asantewaa'")
    assert [change.action for change in changes] == ["deleted"]


def test_the_owner_forgets_and_leaves_no_line(both_histories):
    patient = PatientFactory()
    with forgetting():
        patient.delete()
        StatusChange.objects.all().delete()
        Change.objects.all().delete()
    assert not HistoryEntry.objects.exists()
    UserFactory()
    assert HistoryEntry.objects.exists()
    assert refused("DELETE FROM medics_change") == "history_is_kept"


# Whole


# Derived, or of no consequence to anybody's rights or treatment.
UNTOLD = {
    "authentication_user": {
        *("id", "last_login", "phone_key", "date_joined", "created_at", "updated_at")
    },
    "otp_totp_totpdevice": {
        *("id", "name", "step", "t0", "digits", "tolerance", "drift", "last_t"),
        *("throttling_failure_count", "throttling_failure_timestamp"),
        *("created_at", "last_used_at"),
    },
    "medics_facility": {"id", "created_at"},
    "medics_facilitybranch": {"id", "created_at"},
    "medics_branchtechnician": {"id", "assigned_at"},
    "medics_testtype": {"id", "created_at"},
    "medics_test": {"id", "created_at"},
    "medics_patient": {"id", "also_named", "contact_key", "created_at"},
    # Those of a status are told by StatusChange.
    "medics_referral": {
        *("id", "patient_name_folded", "status", "updated_at", "completed_at", "closed_at")
    },
    "medics_referraltest": {"id", "status", "updated_at", "completed_at"},
}

# Neither rights nor records, or the history itself.
UNRECORDED = {
    *("django_admin_log", "django_content_type", "django_session", "auth_permission"),
    *("authentication_session", "authentication_try", "authentication_knownaddress"),
    *("medics_cataloguechange", "medics_referralcount", "medics_referralrequest"),
    *("medics_change", "medics_statuschange", "medics_history"),
}


def told_columns():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger"
            " WHERE tgname IN ('record_change', 'record_closing')"
        )
        told = {}
        for table, definition in cursor.fetchall():
            columns = re.search(r"'\{([a-z_,]+)\}'\)$", definition)[1].split(",")
            told.setdefault(table, set()).update(columns)
        return told


def test_every_column_is_told_or_has_a_reason():
    told = told_columns()
    for model in apps.get_models(include_auto_created=True):
        table = model._meta.db_table
        if table not in UNRECORDED:
            columns = {field.column for field in model._meta.concrete_fields}
            untold = UNTOLD.get(table, {"id"})
            assert told.get(table) == columns - untold, table


def test_a_technician_s_row_is_one_line(laboratory):
    with recorded() as changes:
        TechnicianFactory()
    assert len(changes) == 1
