from datetime import UTC, datetime

import pytest
from django.urls import reverse

from medics.models import Referral, TestStatus
from tests.factories import (
    FacilityBranchFactory,
    FacilityFactory,
    PatientFactory,
    PractitionerFactory,
    ReferralFactory,
    TechnicianFactory,
    TestFactory,
    TestTypeFactory,
)

pytestmark = pytest.mark.django_db

PENDING, RECEIVED, COMPLETED = TestStatus.values


def ids(data):
    return {row["referral_id"] for row in data["referrals"]}


@pytest.fixture
def other(ama, branch):
    """Another referral of Ama to the same branch, that nothing below names."""
    return ReferralFactory(
        referred_by=ama,
        facility_branch=branch,
        patient=PatientFactory(full_name_or_id="Xorse"),
        tests=[
            TestFactory(
                name="UREA", test_type=TestTypeFactory(facility=branch.facility, name="CHEMISTRY")
            )
        ],
    )


# What it finds


@pytest.mark.parametrize("text", ["Akosua Mensah", "akosua", "SUA MEN", "  Akosua  ", "ua m"])
def test_the_patient(listed, referral, other, text):
    assert ids(listed(search_query=text)) == {referral.id}


@pytest.mark.parametrize("text", ["FULL BLOOD COUNT", "blood", "ull b", "Sickling", "haematology"])
def test_a_test_or_its_type(listed, referral, other, text):
    assert ids(listed(search_query=text)) == {referral.id}


@pytest.mark.parametrize("text", ["Osu", "OSU", "korle", "Laboratory", "ama", "SERWAA", "a serw"])
def test_the_branch_the_facility_and_the_doctor(listed, referral, other, text):
    assert ids(listed(search_query=text)) == {referral.id, other.id}


def test_the_branch_the_facility_and_the_doctor_of_others_are_not_found(signed_in, laboratory):
    osu = FacilityBranchFactory(facility=laboratory, name="Osu")
    tema = FacilityBranchFactory(facility=laboratory, name="Tema")
    kofi = TechnicianFactory(branches=[osu, tema])
    esi = PractitionerFactory(full_name="Esi")
    at_osu = ReferralFactory(facility_branch=osu)
    by_esi = ReferralFactory(facility_branch=tema, referred_by=esi)
    client = signed_in(kofi)
    url = reverse("medics:get-technician-referrals")
    for text, expected in [("osu", at_osu), ("tema", by_esi), ("esi", by_esi)]:
        data = client.get(url, {"search_query": text}).json()["data"]
        assert ids(data) == {expected.id}


def test_the_referral_s_id_in_either_case(listed, referral, other):
    assert ids(listed(search_query=referral.id)) == {referral.id}
    assert ids(listed(search_query=referral.id.lower())) == {referral.id}


def test_a_part_of_an_id_is_none(listed, ama, branch):
    ReferralFactory(id="QQQQQQQQQQ", referred_by=ama, facility_branch=branch)
    assert ids(listed(search_query="QQQQQQQQQQ")) == {"QQQQQQQQQQ"}
    assert ids(listed(search_query="QQQQQQQQQ")) == set()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Akosua Ɔbɛn", "ɔbɛn"),
        ("Akosua Ɔbɛn", "ƆBƐN"),
        ("AKOSUA ƆBƐN", "ɔbɛn"),
        ("Afi Ŋkɔ", "ŋKƆ"),
        ("Édouard Øst", "ÉDOUARD ø"),
        ("李小龍", "小"),
        ('O\'Brien "Obi"', "o'brien \"OBI"),
        ("Ad\u00e9\u1ecdl\u00e1", "ade\u0301o\u0323la\u0301"),
        ("Ade\u0301o\u0323la\u0301", "AD\u00c9\u1eccL\u00c1"),
        ("İpek", "ipek"),
        ("ipek", "İPEK"),
        ("Odysseus Σοφος", "ΣΟΦΟΣ"),
        ("GROẞ", "groß"),
        ("Esi Badu", "esi\u00a0badu"),
        ("Esi\u00a0Badu", "i b"),
    ],
)
def test_letters_of_any_language_case_aside(listed, ama, branch, other, name, text):
    found = ReferralFactory(
        referred_by=ama, facility_branch=branch, patient=PatientFactory(full_name_or_id=name)
    )
    assert ids(listed(search_query=text)) == {found.id}


@pytest.mark.parametrize(("name", "text"), [("Straße", "strasse"), ("Yaw Boakye", "yawboakye")])
def test_what_differs_in_more_than_case_is_not_found(listed, ama, branch, name, text):
    ReferralFactory(
        referred_by=ama, facility_branch=branch, patient=PatientFactory(full_name_or_id=name)
    )
    assert ids(listed(search_query=text)) == set()


@pytest.mark.parametrize(
    "text", ["%", "_", "\\", "'", '"', "\\\\", "%%", "' OR 1=1 --", "\\%", "*"]
)
def test_signs_are_plain_text(listed, ama, branch, other, text):
    assert ids(listed(search_query=text)) == set()
    found = ReferralFactory(
        referred_by=ama,
        facility_branch=branch,
        patient=PatientFactory(full_name_or_id=f"Esi{text}Badu"),
    )
    assert ids(listed(search_query=text)) == {found.id}
    assert ids(listed(search_query=f"i{text}b")) == {found.id}


def test_notes_are_not_searched(listed, ama, branch):
    ReferralFactory(referred_by=ama, facility_branch=branch, clinical_notes="Fever")
    assert ids(listed(search_query="Fever")) == set()


def test_two_tests_that_match_give_the_row_once(listed, referral, sickling, blood_count):
    for name in (sickling, blood_count):
        name.name = f"RAPID {name.name}"
        name.save()
    data = listed(search_query="rapid")
    assert [row["referral_id"] for row in data["referrals"]] == [referral.id]
    assert data["data_summary"]["total_referrals"] == 1


def test_a_row_that_is_found_by_one_test_shows_all_of_them(listed, referral):
    [row] = listed(search_query="sickling")["referrals"]
    assert [test["test_name"] for test in row["tests"]] == ["FULL BLOOD COUNT", "SICKLING"]


@pytest.mark.parametrize("text", ["", " ", " \t\n "])
def test_nothing_to_search_for_finds_everything(listed, referral, other, text):
    assert ids(listed(search_query=text)) == {referral.id, other.id}


@pytest.mark.parametrize("text", ["nobody of that name", "Akosua  Mensah", "x" * 5000, "%" * 5000])
def test_no_hits(listed, referral, text):
    data = listed(search_query=text)
    assert data["referrals"] == []
    assert set(data["data_summary"].values()) == {0}
    assert data["pagination"]["total_referrals"] == 0
    assert data["pagination"]["total_pages"] == 1


def test_a_nul_is_refused(listed, referral):
    assert set(listed(search_query="Ako\0sua", expected_status=400)) == {"search_query"}


def test_others_referrals_are_never_found(listed, yaw):
    elsewhere = FacilityBranchFactory(facility=FacilityFactory(name="Ridge"))
    hidden = ReferralFactory(
        referred_by=yaw,
        facility_branch=elsewhere,
        patient=PatientFactory(full_name_or_id="Akosua Mensah"),
    )
    for text in ("akosua", "ridge", "yaw", hidden.id):
        assert ids(listed(search_query=text)) == set()


# Filters


@pytest.fixture
def one_of_each_status(ama, branch):
    return {
        status: ReferralFactory(referred_by=ama, facility_branch=branch, status=status, tests=[])
        for status in TestStatus.values
    }


@pytest.mark.parametrize("status", TestStatus.values)
def test_a_status(listed, one_of_each_status, status):
    data = listed(status=status)
    assert ids(data) == {one_of_each_status[status].id}
    totals = dict.fromkeys(
        ["total_completed", "total_pending", "total_received", "total_cancelled"], 0
    ) | {"total_referrals": 1}
    assert data["data_summary"] == totals | {f"total_{status.lower()}": 1}


@pytest.mark.parametrize("status", ["", "pending", "Done", "Pend\0ing", "Pending,Received"])
def test_an_unknown_status_is_refused(listed, status):
    assert set(listed(status=status, expected_status=400)) == {"status"}


def test_a_branch(listed, ama, kofi, laboratory, referral):
    tema = FacilityBranchFactory(facility=laboratory, name="Tema")
    kofi.branch_assignments.create(branch=tema)
    at_tema = ReferralFactory(referred_by=ama, facility_branch=tema)
    assert ids(listed()) == {referral.id, at_tema.id}
    assert ids(listed(branch_id=tema.id)) == {at_tema.id}
    assert ids(listed(branch_id=2**63 - 1)) == set()


def test_another_s_branch_shows_nothing(listed, referral):
    hidden = ReferralFactory()
    assert ids(listed(branch_id=hidden.facility_branch_id)) == set()


@pytest.mark.parametrize("branch_id", ["Osu", "1.5", "-1", str(2**63), "9" * 400, "1\0"])
def test_a_branch_id_that_is_none_is_refused(listed, branch_id):
    assert set(listed(branch_id=branch_id, expected_status=400)) == {"branch_id"}


@pytest.fixture
def around_the_tenth(ama, branch):
    """Referrals around 10 March, by name."""
    moments = {
        "last moment of the 9th": datetime(2026, 3, 9, 23, 59, 59, 999_999, UTC),
        "first moment of the 10th": datetime(2026, 3, 10, tzinfo=UTC),
        "noon of the 10th": datetime(2026, 3, 10, 12, tzinfo=UTC),
        "last moment of the 10th": datetime(2026, 3, 10, 23, 59, 59, 999_999, UTC),
        "first moment of the 11th": datetime(2026, 3, 11, tzinfo=UTC),
    }
    return {
        ReferralFactory(
            referred_by=ama, facility_branch=branch, tests=[], referred_at=moment
        ).id: name
        for name, moment in moments.items()
    }


THE_TENTH = {"first moment of the 10th", "noon of the 10th", "last moment of the 10th"}
ALL = THE_TENTH | {"last moment of the 9th", "first moment of the 11th"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"referred_from": "2026-03-10", "referred_to": "2026-03-10"}, THE_TENTH),
        ({"referred_from": "2026-03-10"}, THE_TENTH | {"first moment of the 11th"}),
        ({"referred_to": "2026-03-10"}, THE_TENTH | {"last moment of the 9th"}),
        ({"referred_from": "2026-03-11"}, {"first moment of the 11th"}),
        ({"referred_to": "2026-03-09"}, {"last moment of the 9th"}),
        ({"referred_from": "2026-03-11", "referred_to": "2026-03-09"}, set()),
        ({"referred_from": "0001-01-01", "referred_to": "9999-12-31"}, ALL),
        ({"referred_from": "9999-12-31"}, set()),
        ({"referred_to": "0001-01-01"}, set()),
    ],
)
def test_days_in_utc_both_included(listed, around_the_tenth, query, expected):
    data = listed(**query)
    assert {around_the_tenth[referral_id] for referral_id in ids(data)} == expected
    assert data["data_summary"]["total_referrals"] == len(expected)


@pytest.mark.parametrize("key", ["referred_from", "referred_to"])
@pytest.mark.parametrize(
    "day",
    ["yesterday", "2026-02-30", "10000-01-01", "0000-01-01", "10/03/2026", "2026-03-10T10", "\0"],
)
def test_a_day_that_is_none_is_refused(listed, key, day):
    assert set(listed(expected_status=400, **{key: day})) == {key}


def test_totals_follow_search_and_filters(listed, ama, branch, one_of_each_status):
    akosua = PatientFactory(full_name_or_id="Akosua")
    for status in (PENDING, PENDING, COMPLETED):
        ReferralFactory(
            referred_by=ama, facility_branch=branch, patient=akosua, status=status, tests=[]
        )
    everything = listed()["data_summary"]
    assert everything == {
        "total_referrals": 6,
        "total_completed": 2,
        "total_pending": 3,
        "total_received": 1,
        "total_cancelled": 0,
    }
    of_akosua = listed(search_query="akosua", page_size=1)
    assert of_akosua["data_summary"] == {
        "total_referrals": 3,
        "total_completed": 1,
        "total_pending": 2,
        "total_received": 0,
        "total_cancelled": 0,
    }
    assert of_akosua["pagination"]["total_referrals"] == 3
    assert of_akosua["pagination"]["total_pages"] == 3
    assert of_akosua["pagination"]["total_is_capped"] is False
    both = listed(search_query="akosua", status=COMPLETED)
    assert both["data_summary"] == {
        "total_referrals": 1,
        "total_completed": 1,
        "total_pending": 0,
        "total_received": 0,
        "total_cancelled": 0,
    }


def test_filters_and_search_are_anded_one_by_one(listed, ama, branch, kofi, laboratory):
    """Each row misses exactly one of the conditions; one misses none."""
    tema = FacilityBranchFactory(facility=laboratory)
    kofi.branch_assignments.create(branch=tema)
    meets_all = {
        "referred_by": ama,
        "facility_branch": branch,
        "patient": PatientFactory(full_name_or_id="Akosua"),
        "status": RECEIVED,
        "referred_at": datetime(2026, 3, 10, 12, tzinfo=UTC),
        "tests": [],
    }
    found = ReferralFactory(**meets_all)
    for miss in [
        {"facility_branch": tema},
        {"patient": PatientFactory(full_name_or_id="Esi")},
        {"status": PENDING},
        {"referred_at": datetime(2026, 3, 9, 12, tzinfo=UTC)},
        {"referred_at": datetime(2026, 3, 11, 12, tzinfo=UTC)},
    ]:
        ReferralFactory(**meets_all | miss)
    data = listed(
        search_query="akosua",
        status=RECEIVED,
        branch_id=branch.id,
        referred_from="2026-03-10",
        referred_to="2026-03-10",
    )
    assert ids(data) == {found.id}
    assert Referral.objects.count() == 6
