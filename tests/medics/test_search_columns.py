"""The columns that the search reads follow what a referral calls its patient, and its tests.

Whatever path a row or a change comes by, and whoever commits first.
"""

from io import StringIO

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from medics.models import (
    Facility,
    FacilityBranch,
    Patient,
    Referral,
    ReferralTest,
    Test,
    TestType,
)
from tests.factories import PatientFactory, ReferralFactory, TestFactory
from tests.support.concurrency import at_once, while_open
from tests.support.database import execute

pytestmark = pytest.mark.django_db

COLUMNS = (
    "id, facility_branch_id, patient_id, referred_by_id, clinical_notes, status, updated_at,"
    " referred_at"
)


def wrong_columns():
    """The ids of the referrals whose columns, or whose patient's, are not what the rest says."""
    return execute("""
        SELECT referral.id FROM medics_referral referral
        JOIN medics_patient patient ON patient.id = referral.patient_id
        WHERE patient_name_or_id = '' OR patient_name_folded <> tetradx_fold(patient_name_or_id)
            OR position(
                tetradx_name_key(patient_name_or_id)
                IN tetradx_name_key(full_name_or_id || also_named)
            ) = 0
            OR test_ids <> ARRAY(
                SELECT test_id FROM medics_referraltest
                WHERE referral_id = referral.id ORDER BY test_id
            )
    """)


def columns_of(referral):
    referral.refresh_from_db()
    return referral.patient_name_folded, referral.test_ids


def versions_of_rows():
    """What changes with every write of a referral."""
    return sorted(execute("SELECT id, ctid::text, xmin::text FROM medics_referral"))


@pytest.fixture
def akosua(db):
    return PatientFactory(full_name_or_id="Akosua Ɔbɛn")


@pytest.fixture
def new(ama, branch, akosua):
    """A referral of Akosua by Ama to Osu that is not saved."""

    def new(**fields):
        return Referral(
            **{"referred_by": ama, "facility_branch": branch, "patient": akosua, **fields}
        )

    return new


@pytest.fixture
def found(signed_in, ama, kofi):
    """The ids that a text finds in both lists, which must agree."""
    clients = {"practitioner": signed_in(ama), "technician": signed_in(kofi)}

    def found(text):
        by_list = []
        for name, client in clients.items():
            url = reverse(f"medics:get-{name}-referrals")
            data = client.get(url, {"search_query": text, "page_size": 100}).json()["data"]
            by_list.append({row["referral_id"] for row in data["referrals"]})
            assert data["data_summary"]["total_referrals"] == len(by_list[-1])
        assert by_list[0] == by_list[1]
        return by_list[0]

    return found


# Rows that come


def test_the_check_itself_sees_wrong_columns(referral):
    assert wrong_columns() == []
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE medics_referral DISABLE TRIGGER take_patient_name")
        cursor.execute("UPDATE medics_referral SET patient_name_folded = 'wrong'")
    assert wrong_columns() == [(referral.pk,)]


def test_a_row_by_the_orm(new, found, blood_count, sickling):
    row = new()
    row.save()
    assert columns_of(row) == ("akosua ɔbɛn", [])
    ReferralTest.objects.create(referral=row, test=sickling)
    ReferralTest.objects.create(referral=row, test=blood_count)
    assert columns_of(row) == ("akosua ɔbɛn", sorted([blood_count.pk, sickling.pk]))
    assert found("ɔbɛn") == found("sickling") == found("blood") == {row.pk}


def test_a_row_that_is_posted(signed_in, ama, branch, blood_count, sickling, found):
    body = {
        "patient_full_name_or_id": "Akosua Mensah",
        "tests": [sickling.pk, blood_count.pk, sickling.pk],
        "branch_id": branch.pk,
    }
    answer = signed_in(ama).post(reverse("medics:create-referral"), body)
    row = Referral.objects.get(pk=answer.json()["data"]["referral_id"])
    assert columns_of(row) == ("akosua mensah", sorted([blood_count.pk, sickling.pk]))
    assert found("sickling") == {row.pk}


def test_rows_in_bulk(new, blood_count, sickling):
    rows = Referral.objects.bulk_create(new() for _ in range(3))
    ReferralTest.objects.bulk_create(
        ReferralTest(referral=row, test=test)
        for row, tests in zip(rows, [[], [sickling], [sickling, blood_count]], strict=True)
        for test in tests
    )
    assert [len(columns_of(row)[1]) for row in rows] == [0, 1, 2]
    assert wrong_columns() == []


def test_rows_by_sql(ama, branch, akosua, blood_count, found):
    values = [branch.pk, akosua.pk, ama.pk]
    execute(
        f"INSERT INTO medics_referral ({COLUMNS})"  # noqa: S608 - of this file alone
        " SELECT lpad(n::text, 10, 'X'), %s, %s, %s, '', 'Pending', now(), now()"
        " FROM generate_series(1, 5) AS n",
        values,
    )
    execute(
        "INSERT INTO medics_referraltest (referral_id, test_id, status, created_at, updated_at)"
        " SELECT id, %s, 'Pending', now(), now() FROM medics_referral WHERE id <> 'XXXXXXXXX5'",
        [blood_count.pk],
    )
    assert wrong_columns() == []
    assert len(found("akosua")) == 5
    assert len(found("blood")) == 4


def test_rows_by_copy(ama, branch, akosua, blood_count, sickling, found):
    now = timezone.now().isoformat()
    referrals = "".join(
        f"COPIED000{n}\t{branch.pk}\t{akosua.pk}\t{ama.pk}\t\tPending\t{now}\t{now}\n"
        for n in range(5)
    )
    tests = "".join(
        f"COPIED000{n}\t{test.pk}\tPending\t{now}\t{now}\n"
        for n in range(4)
        for test in (sickling, blood_count)
    )
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY medics_referral ({COLUMNS}) FROM STDIN", StringIO(referrals))
        cursor.copy_expert(
            "COPY medics_referraltest (referral_id, test_id, status, created_at, updated_at)"
            " FROM STDIN",
            StringIO(tests),
        )
    assert wrong_columns() == []
    assert len(found("ɔbɛn")) == 5
    assert len(found("sickling")) == 4


def test_a_name_that_is_given_wrongly_is_put_right(new, referral):
    row = new(patient_name_folded="somebody else")
    row.save()
    assert wrong_columns() == []
    execute("UPDATE medics_referral SET patient_name_folded = 'somebody else'")
    assert wrong_columns() == []
    Referral.objects.update(patient_name_folded="", patient_name_or_id="")
    assert wrong_columns() == []
    assert columns_of(referral)[0] == "akosua mensah"


def test_a_referral_has_its_author_s_words_or_else_the_patient_s(new, found):
    left_out, own = new(), new(patient_name_or_id="AKOSUA  Ɔbɛn")
    for row in (left_out, own):
        row.save()
        row.refresh_from_db()
    assert (left_out.patient_name_or_id, own.patient_name_or_id) == ("Akosua Ɔbɛn", "AKOSUA  Ɔbɛn")
    assert found("akosua ɔbɛn") == {left_out.pk}
    assert found("akosua  ɔbɛn") == {own.pk}
    # As saved by who has not looked at it since.
    own.patient_name_or_id = ""
    own.save()
    assert columns_of(own)[0] == "akosua  ɔbɛn"


def test_a_name_that_the_patient_never_had_is_found_too(new, akosua, found):
    row = new(patient_name_or_id="Abena Serwaa")
    row.save()
    assert wrong_columns() == []
    assert found("abena serwaa") == {row.pk}
    assert found("obɛn") == found("ɔbɛn") == set()
    Referral.objects.filter(pk=row.pk).update(patient_name_or_id="Adwoa Safo")
    assert wrong_columns() == []
    assert found("adwoa") == {row.pk}
    # Not by what an older copy of the patient says, either.
    akosua.save()
    assert wrong_columns() == []


def test_what_is_posted_over_and_over_adds_nothing_to_the_patient(new, akosua):
    for name in ("Akosua Ɔbɛn", "AKOSUA ƆBƐN", "A k o s u a Ɔ b ɛ n", "akosuaɔbɛn"):
        new(patient_name_or_id=name).save()
    akosua.refresh_from_db()
    assert akosua.also_named == ""
    assert wrong_columns() == []


# Patients


@pytest.fixture
def two_of_akosua(new):
    return Referral.objects.bulk_create([new(), new()])


@pytest.mark.parametrize("path", ["save", "update", "bulk_update", "sql"])
def test_a_patient_is_renamed_and_the_referrals_keep_their_words(
    akosua, two_of_akosua, referral, found, path
):
    name = "Yaa O'Brien 50%"
    if path == "save":
        akosua.full_name_or_id = name
        akosua.save()
    elif path == "update":
        Patient.objects.filter(pk=akosua.pk).update(full_name_or_id=name)
    elif path == "bulk_update":
        akosua.full_name_or_id = name
        Patient.objects.bulk_update([akosua], ["full_name_or_id"])
    else:
        execute("UPDATE medics_patient SET full_name_or_id = %s WHERE id = %s", [name, akosua.pk])
    assert wrong_columns() == []
    hers = {row.pk for row in two_of_akosua}
    # By trigrams, by two letters, and where nothing has it.
    assert found("ɔbɛn") == found("ɔb") == hers
    assert found("o'brien 50%") == found("'b") == set()
    assert found("akosua") == hers | {referral.pk}


def test_many_patients_are_renamed_at_once(new):
    patients = PatientFactory.create_batch(4)
    Referral.objects.bulk_create(new(patient=patient) for patient in patients * 2)
    Patient.objects.update(full_name_or_id=F("contact_number"))
    assert wrong_columns() == []


def test_a_change_of_case_alone_changes_nothing_that_is_searched(akosua, two_of_akosua, found):
    Patient.objects.filter(pk=akosua.pk).update(full_name_or_id="AKOSUA ƆBƐN")
    assert wrong_columns() == []
    assert found("akosua") == {row.pk for row in two_of_akosua}


def test_no_change_of_a_patient_writes_a_referral(akosua, two_of_akosua):
    before = versions_of_rows()
    Patient.objects.filter(pk=akosua.pk).update(contact_number="0208123456")
    Patient.objects.filter(pk=akosua.pk).update(full_name_or_id="Yaa Badu")
    assert versions_of_rows() == before


def test_a_referral_goes_to_another_patient(new, two_of_akosua, found):
    yaa = PatientFactory(full_name_or_id="Yaa Badu")
    first, second = two_of_akosua
    first.patient = yaa
    first.save()
    Referral.objects.filter(pk=second.pk).update(patient=yaa)
    assert wrong_columns() == []
    assert found("yaa badu") == set()
    assert found("ɔbɛn") == {first.pk, second.pk}


def test_a_name_of_full_length(new, found):
    long = PatientFactory(full_name_or_id="Ɔß" * 127 + "x")
    row = new(patient=long)
    row.save()
    assert wrong_columns() == []
    assert found("ɔß" * 127) == {row.pk}


# Tests


def test_tests_are_removed(referral, blood_count, sickling, found):
    referral.tests.get(test=sickling).delete()
    assert columns_of(referral)[1] == [blood_count.pk]
    assert found("sickling") == set()
    execute("DELETE FROM medics_referraltest")
    assert columns_of(referral)[1] == []
    assert found("blood") == set()


def test_a_test_is_exchanged_for_another(referral, haematology, blood_count, sickling, found):
    film = TestFactory(test_type=haematology, name="BLOOD FILM")
    referral.tests.filter(test=sickling).update(test=film)
    assert columns_of(referral)[1] == sorted([blood_count.pk, film.pk])
    assert found("sickling") == set()
    assert found("film") == {referral.pk}


def test_a_test_goes_to_another_referral(new, referral, sickling, found):
    other = new()
    other.save()
    referral.tests.filter(test=sickling).update(referral=other)
    assert wrong_columns() == []
    assert found("sickling") == {other.pk}


def test_two_referrals_exchange_their_tests(new, referral, haematology):
    other = new()
    other.save()
    for name in ("BLOOD FILM", "ESR"):
        ReferralTest.objects.create(
            referral=other, test=TestFactory(test_type=haematology, name=name)
        )
    execute(
        "UPDATE medics_referraltest SET referral_id = CASE referral_id WHEN %s THEN %s ELSE %s END",
        [referral.pk, other.pk, referral.pk],
    )
    assert wrong_columns() == []


def test_a_change_of_a_test_s_status_writes_no_referral(referral):
    before = versions_of_rows()
    referral.tests.update(status="Received")
    assert versions_of_rows() == before


def test_an_instance_that_is_older_than_its_tests_takes_none_away_when_saved(
    new, sickling, blood_count, found
):
    row = new()
    row.save()
    ReferralTest.objects.bulk_create(
        ReferralTest(referral=row, test=test) for test in (sickling, blood_count)
    )
    row.clinical_notes = "Fever"
    row.save()
    assert wrong_columns() == []
    assert found("sickling") == {row.pk}


def test_test_ids_that_are_changed_wrongly_are_put_right(referral):
    Referral.objects.update(test_ids=[])
    assert wrong_columns() == []
    execute("UPDATE medics_referral SET test_ids = '{1,2,3}'")
    assert wrong_columns() == []


def test_rolled_back_changes_leave_the_columns(referral, akosua, sickling):
    before = columns_of(referral)
    with transaction.atomic():
        Patient.objects.update(full_name_or_id="Yaa Badu")
        referral.tests.filter(test=sickling).delete()
        transaction.set_rollback(True)
    assert columns_of(referral) == before
    assert wrong_columns() == []


# Names that many referrals share


@pytest.mark.parametrize(
    ("model", "column", "old", "new_name"),
    [
        (FacilityBranch, "name", "osu", "Tema Ɔ%"),
        (Facility, "name", "korle", "Ridge Scans"),
        (Test, "name", "sickling", "HB ELECTROPHORESIS"),
        (TestType, "name", "haematology", "BLOOD WORK"),
        ("practitioner", "full_name", "serwaa", "Ama Ɔbɛn-Bonsu"),
    ],
)
def test_a_rename_is_found_at_once_and_writes_no_referral(
    referral, ama, sickling, found, model, column, old, new_name
):
    ReferralFactory.create_batch(3)
    Referral.objects.update(patient_name_or_id="Yaw Badu")
    rows = {
        Test: Test.objects.filter(pk=sickling.pk),
        TestType: TestType.objects.filter(pk=sickling.test_type_id),
        Facility: Facility.objects.filter(pk=referral.facility_branch.facility_id),
        FacilityBranch: FacilityBranch.objects.filter(pk=referral.facility_branch_id),
        "practitioner": type(ama).objects.filter(pk=ama.pk),
    }[model]
    assert found(old) == {referral.pk}
    before = versions_of_rows()

    assert rows.update(**{column: new_name}) == 1

    assert found(old) == set()
    assert found(new_name.swapcase()) == found(new_name[:5]) == {referral.pk}
    assert versions_of_rows() == before


# At once


@pytest.fixture
def rename(akosua):
    def rename():
        Patient.objects.filter(pk=akosua.pk).update(full_name_or_id="Yaa Badu")

    return rename


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "after"])
def test_a_referral_that_comes_while_its_patient_is_renamed_is_found(new, rename, found, is_first):
    row = new(patient_name_or_id="akosua ɔbɛn")
    acts = [row.save, rename]
    first, then = acts if is_first else reversed(acts)
    while_open(first=first, then=then)
    assert wrong_columns() == []
    assert found("akosua ɔbɛn") == {row.pk}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "after"])
def test_a_referral_that_moves_to_a_patient_who_is_renamed_is_found(
    akosua, referral, rename, found, is_first
):
    def move():
        Referral.objects.filter(pk=referral.pk).update(patient=akosua)

    first, then = (move, rename) if is_first else (rename, move)
    while_open(first=first, then=then)
    assert wrong_columns() == []
    assert found("akosua mensah") == {referral.pk}


@pytest.mark.django_db(transaction=True)
def test_two_renames_at_once_leave_the_name_that_stands(akosua, two_of_akosua):
    def rename_to(name):
        Patient.objects.filter(pk=akosua.pk).update(full_name_or_id=name)

    at_once(rename_to, ["Yaa", "Abena", "Esi", "Afi"])
    assert wrong_columns() == []


@pytest.mark.django_db(transaction=True)
def test_referrals_of_one_patient_do_not_wait_for_each_other(new):
    first, second = new(), new()

    def write():
        second.save()
        return Referral.objects.filter(pk=first.pk).exists()

    # Had it waited for the first, it would see it.
    assert while_open(first=first.save, then=write) is False
    assert wrong_columns() == []


@pytest.mark.django_db(transaction=True)
def test_tests_that_are_added_to_a_referral_at_once_are_all_there(referral, haematology):
    tests = TestFactory.create_batch(6, test_type=haematology)
    at_once(lambda test: ReferralTest.objects.create(referral=referral, test=test), tests)
    assert len(columns_of(referral)[1]) == 8
    assert wrong_columns() == []


@pytest.mark.django_db(transaction=True)
def test_a_test_added_while_another_is_removed(referral, haematology, sickling):
    film = TestFactory(test_type=haematology)

    while_open(
        first=lambda: ReferralTest.objects.filter(test=sickling).delete(),
        then=lambda: ReferralTest.objects.create(referral=referral, test=film),
    )
    assert wrong_columns() == []
    assert len(columns_of(referral)[1]) == 2


@pytest.mark.django_db(transaction=True)
def test_a_rename_while_tests_are_added(referral, haematology):
    film = TestFactory(test_type=haematology)

    def rename():
        Patient.objects.update(full_name_or_id="Yaa Badu")

    def add():
        ReferralTest.objects.create(referral=referral, test=film)

    while_open(first=add, then=rename)
    assert columns_of(referral)[0] == "akosua mensah"
    assert wrong_columns() == []


@pytest.mark.django_db(transaction=True)
def test_renames_referrals_and_tests_at_once_end_without_a_deadlock(
    new, akosua, blood_count, sickling
):
    def act(number):
        for step in range(10):
            if number % 3 == 0:
                Patient.objects.filter(pk=akosua.pk).update(full_name_or_id=f"Akosua {step}")
            else:
                with transaction.atomic():
                    row = new()
                    row.save()
                    ReferralTest.objects.bulk_create(
                        ReferralTest(referral=row, test=test) for test in (blood_count, sickling)
                    )

    at_once(act, range(6))
    assert Referral.objects.count() == 40
    assert wrong_columns() == []
