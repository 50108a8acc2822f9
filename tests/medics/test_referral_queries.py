"""The SQL of the lists against plain querysets: equal answers to whatever is asked."""

from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from random import Random

import pytest
from django.db.models import Count
from django.urls import reverse
from django.utils import timezone

from _tetradx.values.folding import Fold
from medics.models import FacilityBranch, Referral, ReferralTest, TestStatus
from medics.models.referral import REFERRAL_ID_CHARACTERS
from medics.referral_queries import referral_list, search
from tests.factories import (
    FacilityBranchFactory,
    FacilityFactory,
    PatientFactory,
    PractitionerFactory,
    TechnicianFactory,
    TestFactory,
    TestTypeFactory,
)

pytestmark = pytest.mark.django_db

OWN, AT_BRANCHES = "get-practitioner-referrals", "get-technician-referrals"
EPOCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
DOCTORS = [
    "Kwame Mensah",
    "Kwame Mensah",
    "kwame mensah",
    "Ama Serwaa",
    "ama Serwaa-Bonsu",
    "Ɔkyere Darko",
    "Ɛsi Ŋkɔ",
    "ƐSI ŊKƆ",
    "Yaw O'Brien",
    'Adjoa "Obi" Badu',
    "Dr_100%",
    "",
]
PATIENTS = [
    "Akosua Mensah",
    "AKOSUA MENSAH",
    "akosua",
    "Ɔbɛn Ɛdufɔ",
    "ƆBƐN",
    "Kofi 100%",
    "a_b",
    "a\\b",
    "O'Neil",
    'said "Esi"',
    "GHA-123456-7",
    "Ridge",
    "Abena  Osei",
    "李小龍",
    "Straße",
    "x",
]
NOWHERE = ["nobody of that name", "zzz", "%%%", "__", "\\\\", "Akosua  Mensah", "q%q"]


class Network:
    """Three facilities, their people and some three hundred referrals, the same in every run."""

    def __init__(self):
        self.random = Random(20260301)  # noqa: S311 - made-up data
        facility_names = ["Korle Laboratory", "Ridge Scans", "Ɔman Lab_50%"]
        self.admins = [TechnicianFactory(), PractitionerFactory(full_name="Efua Asante"), None]
        facilities = [
            FacilityFactory(name=name, admin=admin)
            for name, admin in zip(facility_names, self.admins, strict=True)
        ]
        branch_names = [["Osu", "Tema", "Osu Ridge", "Ŋkran"], ["Osu", "Legon"], ["O'Kai \\ %"]]
        self.branches = [
            FacilityBranchFactory(facility=facility, name=name, is_active=name != "Tema")
            for facility, names in zip(facilities, branch_names, strict=True)
            for name in names
        ]
        self.tests = {
            facility.pk: [
                TestFactory(test_type=test_type, name=test_name)
                for test_type in (
                    TestTypeFactory(facility=facility, name=name)
                    for name in ("HAEMATOLOGY", "chemistry", f"Type_{facility.pk}%")
                )
                for test_name in ("FULL BLOOD COUNT", "Malaria RDT", f"Ɔ-TEST {test_type.name}")
            ]
            for facility in facilities
        }
        self.doctors = [PractitionerFactory(full_name=name) for name in DOCTORS]
        self.patients = [PatientFactory(full_name_or_id=name) for name in PATIENTS]
        self._refer(300)
        at_one = TechnicianFactory(branches=self.branches[:1])
        at_three = TechnicianFactory(branches=self.branches[:3])
        practitioner_at_two = PractitionerFactory()
        for branch in self.branches[4:6]:
            branch.assignments.create(user=practitioner_at_two)
        # Who asks for which list.
        self.askers = [
            (OWN, self.doctors[0]),
            (OWN, self.doctors[1]),
            (OWN, self.doctors[6]),
            (OWN, self.admins[1]),
            (OWN, practitioner_at_two),
            (AT_BRANCHES, at_one),
            (AT_BRANCHES, at_three),
            (AT_BRANCHES, self.admins[0]),
            (AT_BRANCHES, self.admins[1]),
            (AT_BRANCHES, TechnicianFactory()),
        ]

    def _refer(self, number):
        choice, randint = self.random.choice, self.random.randint
        moments = [
            EPOCH + timedelta(hours=hours, microseconds=choice([0, 0, 1, 120_000, 999_999]))
            for hours in range(0, 240, 6)
        ]
        self.referrals = Referral.objects.bulk_create(
            Referral(
                id="".join(self.random.choices(REFERRAL_ID_CHARACTERS, k=10)),
                # The first of each make up most of the lists.
                facility_branch=self.branches[min(randint(0, 9), 6) * randint(0, 1)],
                referred_by=self.doctors[min(randint(0, 16), 11) * randint(0, 1)],
                patient=choice(self.patients),
                clinical_notes=choice(["", "Fever", 'for "three" days\n\\ Ɔ']),
                referred_at=choice(moments),
                **(
                    {"status": TestStatus.COMPLETED, "completed_at": EPOCH + timedelta(days=20)}
                    if randint(0, 2) == 0
                    else {"status": choice([TestStatus.PENDING, TestStatus.RECEIVED])}
                ),
            )
            for _ in range(number)
        )
        ReferralTest.objects.bulk_create(
            ReferralTest(referral=referral, test=test, created_at=choice(moments))
            for referral in self.referrals
            for test in self.random.sample(
                self.tests[referral.facility_branch.facility_id], k=randint(0, 5)
            )
        )

    def some_text(self):
        choice, randint = self.random.choice, self.random.randint
        kind = choice(["name", "name", "name", "letters", "sign", "id", "nowhere"])
        if kind == "sign":
            return choice(["%", "_", "\\", "'", '"', "00%", "_b", "\\b", "O'", '"E'])
        if kind == "id":
            referral_id = choice(self.referrals).id
            return choice([referral_id, referral_id.lower(), referral_id[:9]])
        if kind == "nowhere":
            return choice(NOWHERE)
        names = [
            choice(self.patients).full_name_or_id,
            choice(self.branches).name,
            choice(self.branches).facility.name,
            choice(self.doctors).full_name or "Kwame",
            choice(self.tests[self.branches[0].facility_id]).name,
            choice(self.tests[self.branches[4].facility_id]).test_type.name,
        ]
        name = choice(names)
        length = randint(1, 2) if kind == "letters" else randint(3, 12)
        start = randint(0, max(0, len(name) - length))
        text = name[start : start + length]
        return choice([text, text.upper(), text.lower(), text.swapcase()])

    def some_query(self, route):
        choice, randint, chance = self.random.choice, self.random.randint, self.random.random
        query = {}
        if chance() < 0.6:
            query["search_query"] = self.some_text()
        if chance() < 0.25:
            query["status"] = choice(TestStatus.values)
        if chance() < 0.2:
            query["branch_id"] = choice(self.branches).pk
        for key in ("referred_from", "referred_to"):
            if chance() < 0.15:
                query[key] = (EPOCH + timedelta(days=randint(0, 10))).date().isoformat()
        if route == AT_BRANCHES and chance() < 0.7:
            query["sort_by"] = choice(["time", "doctor", "name"])
        if route == AT_BRANCHES and chance() < 0.7:
            query["sort_type"] = choice(["asc", "desc"])
        if chance() < 0.6:
            query["page_number"] = choice([1, 2, 3, 5, 1000])
        if chance() < 0.7:
            query["page_size"] = choice([1, 3, 7, 25, 100, 500])
        return query


@pytest.fixture
def network():
    return Network()


@pytest.fixture
def ask(signed_in):
    """Asks a list as one of its users; gives the data of the answer."""
    clients = {}

    def ask(route, user, **query):
        client = clients.setdefault(user.pk, signed_in(user))
        response = client.get(reverse(f"medics:{route}"), query)
        assert response.status_code == 200, (query, response.json())
        return response.json()["data"]

    return ask


# The plain way


def plain_list(route, user, query):
    """The whole list in its order, as a queryset."""
    if route == OWN:
        referrals = Referral.objects.filter(referred_by=user)
    else:
        referrals = Referral.objects.filter(
            facility_branch__in=FacilityBranch.objects.worked_by(user)
        )
    text = query.get("search_query", "").strip()
    if text:
        referrals = referrals.search(text)
    if "status" in query:
        referrals = referrals.filter(status=query["status"])
    if "branch_id" in query:
        referrals = referrals.filter(facility_branch=query["branch_id"])
    if "referred_from" in query:
        day = date.fromisoformat(query["referred_from"])
        referrals = referrals.filter(referred_at__gte=datetime.combine(day, time.min, UTC))
    if "referred_to" in query:
        day = date.fromisoformat(query["referred_to"])
        referrals = referrals.filter(referred_at__lte=datetime.combine(day, time.max, UTC))
    order = ["referred_at", "id"]
    if query.get("sort_by") in {"doctor", "name"}:
        order = ["doctor_name", "referred_by_id", *order]
    down = "" if query.get("sort_type") == "asc" else "-"
    return (
        referrals.annotate(doctor_name=Fold("referred_by__full_name"))
        .order_by(*(f"{down}{key}" for key in order))
        .with_details()
    )


def plain_time(moment):
    return moment and moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plain_referral(referral):
    """What every answer shows."""
    return {
        "referral_id": referral.id,
        "patient_name_or_id": referral.patient_name_or_id,
        "facility_name": referral.facility_branch.facility.name,
        "branch_name": referral.facility_branch.name,
        "status": referral.status,
        "referred_at": plain_time(referral.referred_at),
        "tests": [
            {
                "test_id": test.id,
                "test_name": test.test.name,
                "test_type_name": test.test.test_type.name,
                "status": test.status,
                "created_at": plain_time(test.created_at),
            }
            for test in referral.tests.all()
        ],
    }


def plain_detail(referral):
    return plain_referral(referral) | {
        "referring_doctor": referral.referred_by.full_name,
        "clinical_notes": referral.clinical_notes or None,
        "updated_at": plain_time(referral.updated_at),
        "completed_at": plain_time(referral.completed_at),
    }


def plain_row(route, referral):
    types = [test.test.test_type.name for test in referral.tests.all()]
    row = plain_referral(referral) | {
        "clinical_notes": referral.clinical_notes or None,
        "test_type_name": ", ".join(dict.fromkeys(types)),
    }
    return row if route == OWN else row | {"referral_doctor": referral.referred_by.full_name}


def plain_rows(route, referrals):
    return [plain_row(route, referral) for referral in referrals]


def plain_totals(referrals):
    counts = dict(referrals.order_by().values_list("status").annotate(number=Count("*")))
    return {
        "total_referrals": sum(counts.values()),
        "total_completed": counts.get(TestStatus.COMPLETED, 0),
        "total_pending": counts.get(TestStatus.PENDING, 0),
        "total_received": counts.get(TestStatus.RECEIVED, 0),
        "total_cancelled": counts.get("Cancelled", 0),
    }


def plain_answer(route, user, query):
    """What the list answers, its cursors aside."""
    referrals = plain_list(route, user, query)
    totals = plain_totals(referrals)
    size = min(query.get("page_size", 10), 100)
    pages = max(1, ceil(totals["total_referrals"] / size))
    page = min(query.get("page_number", 1), pages)
    return {
        "referrals": plain_rows(route, referrals[(page - 1) * size : page * size]),
        "data_summary": totals,
        "pagination": {
            "current_page": page,
            "page_size": size,
            "total_pages": pages,
            "total_referrals": totals["total_referrals"],
            "has_next": page < pages,
            "has_previous": page > 1,
            "total_is_capped": False,
        },
    }


def without_cursors(answer):
    pagination = dict(answer["pagination"])
    assert (pagination.pop("next_cursor") is not None) is pagination["has_next"]
    assert (pagination.pop("previous_cursor") is not None) is pagination["has_previous"]
    return answer | {"pagination": pagination}


# Equal answers


def test_the_network_has_what_can_be_confused(network):
    """Else the comparisons below would compare little."""
    rows = list(Referral.objects.with_details())
    assert len({(row.facility_branch_id, row.referred_at) for row in rows}) < len(rows) - 50
    assert {row.status for row in rows} == set(TestStatus.values)
    assert {len(row.tests.all()) for row in rows} == set(range(6))
    assert {row.referred_at.microsecond == 0 for row in rows} == {True, False}
    assert {row.clinical_notes == "" for row in rows} == {True, False}
    sizes = [plain_list(route, user, {}).count() for route, user in network.askers]
    assert [size > 100 for size in sizes] == [
        *(True, False, False, False, False),
        *(True, True, True, False, False),
    ]
    assert [size == 0 for size in sizes] == [
        *(False, False, False, True, True),
        *(False, False, False, False, True),
    ]


def test_the_answer_to_any_query_is_that_of_plain_querysets(network, ask):
    found = 0
    for number in range(250):
        route, user = network.askers[number % len(network.askers)]
        query = network.some_query(route)
        expected = plain_answer(route, user, query)
        assert without_cursors(ask(route, user, **query)) == expected, (route, user.pk, query)
        found += bool(expected["referrals"])
    assert 80 < found < 220


def test_every_name_is_found_as_plain_querysets_find_it(network, ask):
    texts = {
        *PATIENTS,
        *filter(None, DOCTORS),
        *(name for branch in network.branches for name in (branch.name, branch.facility.name)),
        *(
            name
            for test in network.tests[network.branches[0].facility_id]
            for name in (test.name, test.test_type.name)
        ),
        *(referral.id for referral in network.referrals[:10]),
    }
    for text in sorted(texts):
        for route, user in (network.askers[0], network.askers[6]):
            query = {"search_query": text, "page_size": 5}
            expected = plain_answer(route, user, query)
            assert without_cursors(ask(route, user, **query)) == expected, (route, text)


WALKS = [
    {},
    {"search_query": "akosua"},
    {"search_query": "a"},
    {"search_query": "malaria", "status": "Pending"},
    {"referred_from": "2026-03-03", "referred_to": "2026-03-08"},
]
SORTS = [
    {"sort_by": sort_by, "sort_type": sort_type}
    for sort_by in ("time", "doctor")
    for sort_type in ("asc", "desc")
]


@pytest.mark.parametrize("asker", [0, 6, 7])
def test_a_walk_by_cursor_there_and_back_is_the_plain_list(network, ask, asker):
    route, user = network.askers[asker]
    size = 17
    for query in WALKS if route == OWN else [query | sort for query in WALKS for sort in SORTS]:
        expected = plain_rows(route, plain_list(route, user, query))
        assert len(expected) > size, query
        pages = [expected[start : start + size] for start in range(0, len(expected), size)]

        page = ask(route, user, page_size=size, **query)
        there = [page["referrals"]]
        while cursor := page["pagination"]["next_cursor"]:
            page = ask(route, user, page_size=size, cursor=cursor, **query)
            there.append(page["referrals"])
        assert there == pages, query

        back = []
        while cursor := page["pagination"]["previous_cursor"]:
            page = ask(route, user, page_size=size, cursor=cursor, **query)
            back.append(page["referrals"])
        assert back[::-1] == pages[:-1], query


def test_one_referral_is_what_plain_querysets_show(network, signed_in):
    referrals = Referral.objects.with_details()
    for referral in network.random.sample(list(referrals), k=40):
        url = reverse("medics:get-update-referral", args=[referral.pk])
        data = signed_in(referral.referred_by).get(url).json()["data"]
        assert data == plain_detail(referral)


def test_who_sees_one_referral_is_the_querysets_rule(network, signed_in):
    for user in {user for _, user in network.askers}:
        client = signed_in(user)
        for referral in network.random.sample(network.referrals, k=12):
            url = reverse("medics:get-update-referral", args=[referral.pk])
            is_visible = Referral.objects.visible_to(user).filter(pk=referral.pk).exists()
            assert client.get(url).status_code == (200 if is_visible else 403)


# Totals that stop


MOST = 20


@pytest.fixture
def _counted_to_twenty(monkeypatch):
    monkeypatch.setattr(referral_list, "MOST_COUNTED", MOST)


@pytest.fixture
def listed(signed_in, kofi, asking):
    return asking(signed_in(kofi), reverse(f"medics:{AT_BRANCHES}"))


@pytest.fixture
def refer(ama, branch):
    """Makes referrals of one patient to Kofi's branch, a third of them in each status."""
    akosua = PatientFactory(full_name_or_id="Akosua Mensah")

    def refer(number, to=branch):
        now = timezone.now()
        for status in TestStatus.values:
            Referral.objects.bulk_create(
                Referral(
                    referred_by=ama,
                    facility_branch=to,
                    patient=akosua,
                    status=status,
                    completed_at=now if status == TestStatus.COMPLETED else None,
                )
                for position in range(number)
                if TestStatus.values[position % 3] == status
            )

    return refer


CAPPED_QUERIES = [
    {"search_query": "akosua"},
    {"search_query": "ak"},
    {"referred_from": "2026-01-01"},
    {"referred_to": "9999-12-31", "sort_by": "doctor"},
]


def ids(data):
    return [row["referral_id"] for row in data["referrals"]]


@pytest.mark.usefixtures("_counted_to_twenty")
@pytest.mark.parametrize("query", CAPPED_QUERIES)
@pytest.mark.parametrize("number", [MOST - 1, MOST, MOST + 1, MOST + 9])
def test_totals_stop_where_there_are_more_and_say_so(listed, refer, query, number):
    refer(number)
    data = listed(page_size=3, **query)
    totals, pagination = data["data_summary"], data["pagination"]
    assert totals["total_referrals"] == min(number, MOST)
    assert pagination["total_is_capped"] is (number > MOST)
    assert pagination["total_referrals"] == min(number, MOST)
    assert pagination["total_pages"] == ceil(min(number, MOST) / 3)
    by_status = {status: totals[f"total_{status.lower()}"] for status in TestStatus.values}
    assert sum(by_status.values()) == totals["total_referrals"]
    for status, counted in by_status.items():
        assert counted <= Referral.objects.filter(status=status).count()


@pytest.mark.usefixtures("_counted_to_twenty")
@pytest.mark.parametrize("number", [MOST, MOST + 1])
def test_totals_over_several_branches_stop_together(
    listed, refer, kofi, branch, laboratory, number
):
    tema = FacilityBranchFactory(facility=laboratory)
    kofi.branch_assignments.create(branch=tema)
    refer(12)
    refer(number - 12, to=tema)
    data = listed(search_query="akosua")
    assert data["data_summary"]["total_referrals"] == MOST
    assert data["pagination"]["total_is_capped"] is (number > MOST)


@pytest.mark.usefixtures("_counted_to_twenty")
def test_totals_of_all_or_of_a_status_never_stop(listed, refer):
    refer(3 * MOST + 3)
    # Osu is the branch, so that the search leaves the whole list.
    for query in ({}, {"search_query": "osu"}):
        data = listed(**query)
        assert data["data_summary"]["total_referrals"] == 3 * MOST + 3
        assert data["pagination"]["total_is_capped"] is False
        data = listed(status="Pending", **query)
        assert data["data_summary"] == {
            "total_referrals": MOST + 1,
            "total_pending": MOST + 1,
            "total_received": 0,
            "total_cancelled": 0,
            "total_completed": 0,
        }
        assert data["pagination"]["total_is_capped"] is False


@pytest.mark.usefixtures("_counted_to_twenty")
@pytest.mark.parametrize("query", CAPPED_QUERIES)
def test_a_walk_by_cursor_goes_beyond_the_totals(listed, refer, kofi, query):
    refer(MOST + 9)
    page = listed(page_size=4, **query)
    found = ids(page)
    while cursor := page["pagination"]["next_cursor"]:
        page = listed(page_size=4, cursor=cursor, **query)
        assert page["pagination"]["total_is_capped"] is True
        found += ids(page)
    expected = plain_list(AT_BRANCHES, kofi, query)
    assert found == [referral.pk for referral in expected]
    assert len(found) == MOST + 9


@pytest.mark.usefixtures("_counted_to_twenty")
@pytest.mark.parametrize("query", CAPPED_QUERIES)
def test_the_numbered_pages_within_the_totals_are_those_of_the_whole_list(
    listed, refer, kofi, query
):
    refer(MOST + 9)
    expected = [referral.pk for referral in plain_list(AT_BRANCHES, kofi, query)]
    for number in range(1, 6):
        page = listed(page_size=4, page_number=number, **query)
        assert ids(page) == expected[4 * (number - 1) : 4 * number]
    assert ids(listed(page_size=4, page_number=6, **query)) == expected[16:20]


# A text that means many patients


def test_how_many_patients_are_looked_up_changes_no_answer(monkeypatch, network, ask):
    for route, user in (network.askers[0], network.askers[6]):
        for text in ("akosua", "Mensah", "ɔbɛn", "nobody", "O'N", "laboratory"):
            for more in ({}, {"status": "Received"}):
                query = {"search_query": text, "page_size": 8, "page_number": 2, **more}
                expected = plain_answer(route, user, query)
                for most in (0, 1, 2, 3, 100):
                    monkeypatch.setattr(search, "MOST_PATIENTS", most)
                    assert without_cursors(ask(route, user, **query)) == expected, (most, query)
