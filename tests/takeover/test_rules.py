"""What becomes of the rows that fit no rule of ours: each is kept, and each is listed."""

import pytest
from django.contrib.auth import authenticate

from authentication.models import User
from authentication.phone_numbers import phone_key
from medics.models import (
    BranchTechnician,
    Facility,
    FacilityBranch,
    Patient,
    Referral,
    ReferralTest,
    Test,
    TestType,
)
from tests.support.predecessor import EVENING, MORNING, NOON, PASSWORD

pytestmark = pytest.mark.django_db

UNASSIGNED = "Unassigned (imported)"


@pytest.fixture
def add(working):
    return working.predecessor.add


@pytest.fixture
def imported(import_predecessor):
    """Imports, and gives what the report has of each rule's rows: (table, id, wrong, done)."""

    def imported(*arguments):
        result = import_predecessor(*arguments)
        assert result.error is None
        by_rule = {}
        for line in result.lines:
            row = (line["table"], line["id"], line["what was wrong"], line["what was done"])
            by_rule.setdefault(line["rule"], []).append(row)
        return by_rule

    return imported


class TestUsers:
    def test_an_enums_name_becomes_its_value(self, add, imported):
        user = add("User", user_type="LAB_TECHNICIAN")

        assert imported() == {
            "user_type_spelled_otherwise": [
                ("User", user, 'user_type "LAB_TECHNICIAN"', 'user_type "Lab Technician"')
            ]
        }
        assert User.objects.get(pk=user).user_type == "Lab Technician"

    def test_an_unknown_type_is_for_the_operator_to_decide(self, add, import_predecessor, imported):
        user = add("User", user_type="Cleaner")

        assert "user_type_unknown" in import_predecessor().error
        assert not User.objects.exists()

        assert list(imported("--unknown-user-type=Patient")) == ["user_type_unknown"]
        assert User.objects.get(pk=user).user_type == "Patient"

    def test_without_a_number_a_placeholder_keeps_the_account_as_it_is(self, add, imported):
        users = [add("User", phone_number=None), add("User", phone_number=" ")]

        report = imported()

        assert [row[1] for row in report["phone_number_missing"]] == sorted(users)
        for user in User.objects.filter(pk__in=users):
            assert user.is_active
            assert user.phone_number.startswith("none_")
            assert user.phone_key == phone_key(user.phone_number) == user.phone_number
            assert authenticate(username=user.phone_number, password=PASSWORD) == user

    def test_a_number_that_is_none_stays_and_still_logs_in(self, add, imported):
        user = add("User", phone_number="hello55738")

        assert imported()["phone_number_is_none"] == [
            (
                "User",
                user,
                '"hello55738" is no phone number',
                "kept; the user logs in with it as before",
            )
        ]
        assert authenticate(username="hello55738", password=PASSWORD) == User.objects.get(pk=user)

    def test_separators_in_a_number_are_dropped(self, add, imported):
        user = add("User", phone_number="024-412 (3456)")

        assert imported()["phone_number_cleaned"] == [
            ("User", user, 'phone_number "024-412 (3456)"', 'phone_number "0244123456"')
        ]
        assert User.objects.get(pk=user).phone_number == "0244123456"

    @pytest.mark.parametrize("logged_in_last", ["0244123456", "+233244123456"])
    def test_of_two_users_with_one_number_the_last_to_log_in_keeps_it(
        self, add, imported, logged_in_last
    ):
        by_number = {
            number: add(
                "User",
                phone_number=number,
                last_login=EVENING if number == logged_in_last else NOON,
            )
            for number in ("0244123456", "+233244123456")
        }

        [(_, listed, wrong, done)] = imported()["phone_number_twice"]

        keeper = User.objects.get(phone_key="+233244123456")
        assert str(keeper.pk) == by_number.pop(logged_in_last)
        assert keeper.is_active
        [(number, other)] = by_number.items()
        loser = User.objects.get(pk=other)
        assert not loser.is_active
        assert loser.phone_number.startswith("none_")
        assert listed == other
        assert wrong == f'phone_number "{number}" is also that of {keeper.pk}, who keeps it'
        assert done == f'phone_number "{loser.phone_number}" in its place; disabled'

    def test_a_full_name_is_put_together_where_there_is_none(self, add, imported):
        named = add("User", full_name=None, first_name="Yaw", last_name="Darko")
        nameless = add("User", full_name=None)

        assert len(imported()["user_without_full_name"]) == 2
        assert User.objects.get(pk=named).full_name == "Yaw Darko"
        assert User.objects.get(pk=nameless).full_name == ""

    def test_what_has_no_column_here_stands_in_the_report(self, add, imported):
        user = add("User", username="yaw", email="yaw@example.org")

        [(_, row, wrong, done)] = imported()["user_columns_without_a_place"]
        assert row == user
        assert 'username "yaw"' in wrong
        assert 'email "yaw@example.org"' in wrong
        assert done == "kept in this report"

    def test_a_hash_that_is_not_read_here_is_kept_and_listed(self, add, imported):
        user = add("User", password="bcrypt$$2b$12$abc")
        add("User", password="!unusable")

        [(_, row, *_rest)] = imported()["user_hash_unreadable"]
        assert row == user
        assert User.objects.get(pk=user).password == "bcrypt$$2b$12$abc"


class TestFacilities:
    def test_what_has_no_parent_is_kept_under_a_facility_of_its_own(self, add, imported):
        branch = add("Facility_Branch", name="Lone branch", facility_id=None)
        test_type = add("TestType", name="LONE TYPE", facility_id=None)
        test = add("Test", name="LONE TEST", test_type_id=None)

        report = imported()

        facility = Facility.objects.get(name=UNASSIGNED)
        assert FacilityBranch.objects.get(pk=branch).facility == facility
        assert FacilityBranch.objects.get(pk=branch).name == "Lone branch"
        assert TestType.objects.get(pk=test_type).facility == facility
        assert Test.objects.get(pk=test).test_type.name == UNASSIGNED
        assert Test.objects.get(pk=test).test_type.facility == facility
        assert {rule: [row[1] for row in rows] for rule, rows in report.items()} == {
            "facility_made": [str(facility.pk)],
            "branch_without_facility": [str(branch)],
            "type_without_facility": [str(test_type)],
            "type_made": [str(Test.objects.get(pk=test).test_type_id)],
            "test_without_type": [str(test)],
        }

    def test_without_such_rows_there_is_no_such_facility(self, working, imported):
        assert imported() == {}
        assert not Facility.objects.filter(name=UNASSIGNED).exists()

    def test_what_has_no_name_is_named_by_its_id(self, add, imported, working):
        facility = add("Facility", name=None)
        branch = add("Facility_Branch", name=" ", facility_id=facility)
        test_type = add("TestType", name=None, facility_id=facility)
        test = add("Test", name="", test_type_id=test_type)
        patient = add("Patient", full_name_or_id=None)

        report = imported()

        for model, row in (
            (Facility, facility),
            (FacilityBranch, branch),
            (TestType, test_type),
            (Test, test),
        ):
            assert model.objects.get(pk=row).name == f"Unnamed (imported {row})"
        assert Patient.objects.get(pk=patient).full_name_or_id == f"Unnamed (imported {patient})"
        assert len(report) == 5

    def test_of_names_equal_but_for_case_the_first_is_kept(self, add, imported, working):
        first = add("Facility_Branch", name="Legon", facility_id=working.laboratory)
        second = add("Facility_Branch", name="LEGON", facility_id=working.laboratory)
        test_type = add("TestType", name="haematology", facility_id=working.laboratory)
        test = add("Test", name="sickling", test_type_id=working.haematology)
        taken = add("Test", name=f"SICKLING (imported {test})", test_type_id=working.haematology)
        long = [
            add("Test", name=name * 255, test_type_id=working.haematology) for name in ("x", "X")
        ]

        report = imported()

        assert FacilityBranch.objects.get(pk=first).name == "Legon"
        assert FacilityBranch.objects.get(pk=second).name == f"LEGON (imported {second})"
        assert TestType.objects.get(pk=test_type).name == f"haematology (imported {test_type})"
        assert Test.objects.get(pk=test).name == f"sickling (imported {test})"
        assert Test.objects.get(pk=taken).name == f"SICKLING (imported {test}) (imported {taken}.2)"
        assert len(Test.objects.get(pk=long[1]).name) == 255
        assert report["facility_branch_name_taken"] == [
            (
                "Facility_Branch",
                str(second),
                f'"LEGON" is the name of {first}, too',
                f'named "LEGON (imported {second})"',
            )
        ]

    def test_a_user_who_administers_two_facilities_is_decided_on(
        self, add, import_predecessor, imported, working
    ):
        newer = add("Facility", name="Second", admin_id=working.efua, created_at=NOON)

        assert "administrator_of_two_facilities" in import_predecessor().error

        report = imported("--administrator-of-two=newest")
        assert Facility.objects.get(admin=working.efua).pk == newer
        assert report["administrator_of_two_facilities"] == [
            (
                "Facility",
                str(working.laboratory),
                f"its administrator {working.efua} is also that of {newer}",
                "no administrator",
            )
        ]

    def test_an_impossible_price_becomes_none(self, add, imported, working):
        tests = [
            add("Test", name=price, price=price, test_type_id=working.haematology)
            for price in ("-1.50", "NaN")
        ]

        assert [row[2] for row in imported()["price_impossible"]] == ["price -1.50", "price NaN"]
        assert set(Test.objects.filter(pk__in=tests).values_list("price")) == {(0,)}


class TestStaff:
    def test_who_works_at_two_facilities_is_decided_on(
        self, add, import_predecessor, imported, working
    ):
        other = add("Facility", name="Other")
        branch = add("Facility_Branch", name="Other branch", facility_id=other)
        later = add("Branch_Technician", user_id=working.kofi, branch_id=branch, assigned_at=NOON)

        assert "technician_of_two_facilities" in import_predecessor().error

        report = imported("--technician-of-two=earliest")
        assert str(BranchTechnician.objects.get(pk=working.assignment).user_id) == working.kofi
        apart = BranchTechnician.objects.get(pk=later)
        assert apart.branch_id == branch
        assert not apart.user.is_active
        assert apart.user.full_name == "Kofi B."
        assert not apart.user.has_usable_password()
        assert set(report) == {"stand_in_made", "technician_of_two_facilities"}
        assert report["technician_of_two_facilities"][0][:2] == ("Branch_Technician", str(later))

    def test_the_facility_that_one_administers_decides(self, add, imported, working):
        other = add("Facility", name="Other")
        branch = add("Facility_Branch", name="Other branch", facility_id=other)
        away = add("Branch_Technician", user_id=working.efua, branch_id=branch, assigned_at=NOON)
        home = add("Branch_Technician", user_id=working.efua, branch_id=working.branch)

        report = imported()

        assert str(BranchTechnician.objects.get(pk=home).user_id) == working.efua
        assert str(BranchTechnician.objects.get(pk=away).user_id) != working.efua
        assert [row[1] for row in report["technician_beside_own_facility"]] == [str(away)]

    def test_who_administers_a_facility_works_at_no_other(self, add, imported, working):
        other = add("Facility", name="Other")
        branch = add("Facility_Branch", name="Other branch", facility_id=other)
        away = add("Branch_Technician", user_id=working.efua, branch_id=branch)

        report = imported()

        assert not BranchTechnician.objects.get(pk=away).user.is_active
        assert str(Facility.objects.get(pk=working.laboratory).admin_id) == working.efua
        assert [row[1] for row in report["technician_beside_own_facility"]] == [str(away)]

    def test_an_assignment_of_nobody_or_to_nowhere_opens_no_door(self, add, imported, working):
        nobody = [add("Branch_Technician", user_id=None, branch_id=working.branch) for _ in "12"]
        nowhere = [add("Branch_Technician", user_id=working.kofi, branch_id=None) for _ in "12"]
        orphan = add(
            "Referral",
            patient_id=working.patient,
            referred_by_id=working.ama,
            facility_branch_id=None,
        )

        report = imported()

        assert [row[1] for row in report["assignment_without_user"]] == [*map(str, nobody)]
        assert [row[1] for row in report["assignment_to_no_branch"]] == [*map(str, nowhere)]
        kept = BranchTechnician.objects.filter(pk__in=nobody + nowhere)
        assert kept.count() == 4
        assert not kept.filter(user__is_active=True).exists()
        kofi = User.objects.get(pk=working.kofi)
        assert not Referral.objects.visible_to(kofi).filter(pk=orphan).exists()


class TestReferrals:
    def test_without_branch_or_practitioner_it_is_kept_and_found(self, add, imported, working):
        referral = add(
            "Referral", patient_id=working.patient, referred_by_id=None, facility_branch_id=None
        )
        within = add("ReferralTest", referral_id=referral, test_id=working.sickling)

        report = imported()

        kept = Referral.objects.get(pk=referral)
        assert kept.facility_branch.name == kept.facility_branch.facility.name == UNASSIGNED
        assert not kept.facility_branch.is_active
        assert kept.referred_by.full_name == UNASSIGNED
        assert not kept.referred_by.is_active
        # The test is shown as before, though it must be one of the branch's facility now.
        test = ReferralTest.objects.get(pk=within).test
        assert (test.name, test.test_type.name) == ("SICKLING", "HAEMATOLOGY")
        assert test.test_type.facility.name == UNASSIGNED
        assert kept.test_ids == [test.pk]
        assert set(report) == {
            "facility_made",
            "branch_made",
            "referral_without_branch",
            "practitioner_made",
            "referral_without_practitioner",
            "type_copied",
            "test_copied",
            "test_of_another_facility",
        }

    def test_a_test_of_another_facility_becomes_its_own_of_the_same_names(
        self, add, imported, working
    ):
        other = add("Facility", name="Other")
        named_alike = add("TestType", name="Haematology", facility_id=other)
        alike = add("Test", name="Sickling", test_type_id=named_alike)
        only_there = add("Test", name="ESR", test_type_id=named_alike)
        branch = add("Facility_Branch", name="Away", facility_id=working.laboratory)
        referral = add(
            "Referral",
            patient_id=working.patient,
            referred_by_id=working.ama,
            facility_branch_id=branch,
        )
        by_name, copied = (
            add("ReferralTest", referral_id=referral, test_id=test) for test in (alike, only_there)
        )

        report = imported()

        assert ReferralTest.objects.get(pk=by_name).test_id == working.sickling
        copy = ReferralTest.objects.get(pk=copied).test
        assert (copy.name, copy.price) == ("ESR", Test.objects.get(pk=only_there).price)
        assert copy.test_type_id == working.haematology
        assert [row[1] for row in report["test_copied"]] == [str(copy.pk)]
        assert [row[1] for row in report["test_of_another_facility"]] == [
            str(by_name),
            str(copied),
        ]

    def test_namesakes_within_one_referral_stay_two_tests(self, add, imported, working):
        other = add("Facility", name="Other")
        there = add("TestType", name="HAEMATOLOGY", facility_id=other)
        namesake = add("Test", name="SICKLING", test_type_id=there)
        within = add("ReferralTest", referral_id=working.referral, test_id=namesake)

        report = imported()

        assert ReferralTest.objects.get(pk=within).test.name == f"SICKLING (imported {namesake})"
        assert Referral.objects.get(pk=working.referral).tests.count() == 3
        assert "test_copied_beside_its_namesake" in report

    def test_completed_at_is_set_exactly_when_completed(self, add, imported, working):
        def referral(**columns):
            return add(
                "Referral",
                patient_id=working.patient,
                referred_by_id=working.ama,
                facility_branch_id=working.branch,
                **columns,
            )

        missing = referral(status="Completed", completed_at=None)
        early = referral(status="Received", completed_at=EVENING)
        test = add(
            "ReferralTest", referral_id=early, test_id=working.sickling, completed_at=EVENING
        )
        done = add(
            "ReferralTest", referral_id=early, test_id=working.blood_count, status="Completed"
        )

        report = imported()

        kept = Referral.objects.get(pk=missing)
        assert kept.completed_at == kept.updated_at
        assert Referral.objects.get(pk=early).completed_at is None
        assert ReferralTest.objects.get(pk=test).completed_at is None
        assert ReferralTest.objects.get(pk=done).completed_at is not None
        assert report["referral_completed_at_too_early"] == [
            (
                "Referral",
                early,
                "Received with completed_at 2025-02-03 18:00:00+00",
                "completed_at emptied",
            )
        ]
        assert set(report) == {
            "referral_completed_at_missing",
            "referral_completed_at_too_early",
            "referraltest_completed_at_missing",
            "referraltest_completed_at_too_early",
        }

    def test_completed_with_an_open_test_it_goes_back_to_received(self, imported, working):
        working.predecessor.execute(
            """UPDATE "Referral" SET status = 'Completed', completed_at = %s""", [EVENING]
        )

        [(table, row, wrong, done)] = imported()["referral_completed_with_open_tests"]

        assert (table, row) == ("Referral", working.referral)
        assert wrong == "Completed at 2025-02-03 18:00:00+00 with 2 open tests"
        assert done == 'status "Received", completed_at empty'
        kept = Referral.objects.get(pk=working.referral)
        assert (kept.status, kept.completed_at) == ("Received", None)
        assert {test.status for test in kept.tests.all()} == {"Pending"}

    def test_a_status_by_its_enums_name_is_mended_an_unknown_one_decided_on(
        self, import_predecessor, imported, working
    ):
        working.predecessor.execute("""UPDATE "Referral" SET status = 'RECEIVED'""")
        working.predecessor.execute("""UPDATE "ReferralTest" SET status = 'Lost'""")

        assert "referraltest_status_unknown" in import_predecessor().error

        report = imported("--unknown-status=Pending")
        assert Referral.objects.get(pk=working.referral).status == "Received"
        assert {len(rows) for rows in report.values()} == {1, 2}

    def test_an_id_of_another_form_is_kept_and_listed(self, add, imported, working):
        referral = add(
            "Referral",
            id="abc",
            patient_id=working.patient,
            referred_by_id=working.ama,
            facility_branch_id=working.branch,
        )

        assert imported()["referral_id_of_another_form"][0][1] == referral
        assert Referral.objects.filter(pk=referral).exists()


class TestPatients:
    def test_who_may_be_several_people_is_kept_and_listed(self, add, imported, working):
        yaw = add("User")
        add(
            "Referral",
            patient_id=working.patient,
            referred_by_id=yaw,
            facility_branch_id=working.branch,
        )

        assert imported() == {
            "patient_may_be_several": [
                (
                    "Patient",
                    str(working.patient),
                    "named by 2 practitioners for 1 facilities",
                    "kept as it is; look whether this is one person",
                )
            ]
        }

    def test_the_same_patient_several_times_is_kept_and_listed(self, add, imported, working):
        again = add("Patient", full_name_or_id="AKOSUA  MENSAH")

        assert imported()["patient_several_times"][0][:3] == (
            "Patient",
            str(again),
            f"the name or id of patient {working.patient}, too",
        )
        assert Patient.objects.count() == 2


def test_times_are_kept(working, imported):
    imported()

    user = User.objects.get(pk=working.ama)
    assert {f"{at:%Y-%m-%d %H:%M:%S}+00" for at in (user.date_joined, user.created_at)} == {MORNING}
    assert f"{user.updated_at:%Y-%m-%d %H:%M:%S}+00" == NOON
