"""--verify compares both sides, and fails where they differ in what the report does not say."""

import csv

import pytest

from authentication.models import User
from medics.models import Facility, Patient, Referral, ReferralTest
from tests.support.predecessor import EVENING

pytestmark = pytest.mark.django_db


@pytest.fixture
def odd(working):
    """With a row of many a kind that the import does not leave as it is."""
    add = working.predecessor.add
    add("User", phone_number=None, full_name=None, user_type="PATIENT")
    add("Facility", name=None)
    add("Facility_Branch", name="Lone", facility_id=None)
    add("Test", name="LONE", test_type_id=None)
    add("Branch_Technician", user_id=None, branch_id=working.branch)
    orphan = add(
        "Referral",
        patient_id=working.patient,
        referred_by_id=None,
        facility_branch_id=None,
        status="Completed",
        completed_at=EVENING,
    )
    add("ReferralTest", referral_id=orphan, test_id=working.sickling)
    return working


@pytest.fixture
def verify(import_predecessor):
    def verify():
        return import_predecessor("--verify", keep_report=True)

    return verify


def lines_of(result):
    return [line.split() for line in result.printed.splitlines()]


def test_after_an_import_both_sides_are_the_same(odd, import_predecessor, verify):
    assert import_predecessor().error is None

    result = verify()

    assert result.error is None
    lines = lines_of(result)
    assert ["Referral", "2", "2"] in lines
    assert ["Referral:", "Completed", "1", "0", "1"] in lines
    assert ["Referral:", "Received", "0", "1", "1"] in lines
    assert ["Referral:", "facility", str(odd.laboratory), "1", "1"] in lines
    unassigned = Facility.objects.get(name="Unassigned (imported)").pk
    assert ["Referral:", "facility", str(unassigned), "1", "1"] in lines


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda: Patient.objects.update(full_name_or_id="Another"), "Patient {patient}: not the"),
        (lambda: User.objects.filter(full_name="Ama Serwaa").update(is_staff=True), "User {ama}:"),
        (
            lambda: ReferralTest.objects.filter(referral="ABCDEF1234").earliest("id").delete(),
            "ReferralTest {tests[0]}: missing here",
        ),
        (
            lambda: Facility.objects.create(name="New", id=999_999),
            "Facility 999999: not in the predecessor",
        ),
        (
            lambda: Referral.objects.filter(pk="ABCDEF1234").update(status="Received"),
            "Referral ABCDEF1234: not the same",
        ),
    ],
)
def test_a_row_that_was_tampered_with_is_found(odd, import_predecessor, verify, change, found):
    import_predecessor()

    change()

    result = verify()
    assert "that the report does not explain" in result.error
    assert found.format(**vars(odd)) in result.printed


def test_a_mended_row_is_still_compared_in_its_other_columns(odd, import_predecessor, verify):
    import_predecessor()
    User.objects.filter(phone_number__startswith="none_", user_type="Patient").update(password="x")

    assert verify().error is not None


def test_a_mended_value_that_is_no_more_what_the_rule_gave_is_found(
    odd, import_predecessor, verify
):
    import_predecessor()
    Referral.objects.filter(status="Received").update(status="Pending")

    result = verify()

    assert result.error is not None
    assert "Referral: mended values" in result.printed


def test_a_difference_is_explained_by_the_report_alone(odd, import_predecessor, verify):
    path = import_predecessor().path
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    kept = [row for row in rows if row[2] != "referral_completed_with_open_tests"]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(kept)

    result = verify()

    assert result.error is not None
    assert "Referral: Completed" in result.printed


def test_without_a_report_it_says_so(working, import_predecessor, verify):
    assert "cannot be read" in verify().error


def test_another_file_is_no_report(working, import_predecessor, verify, tmp_path):
    (tmp_path / "report.csv").write_text("a,b\n1,2\n")

    assert "is no report" in verify().error
