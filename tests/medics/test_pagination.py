import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event

import pytest
from django.core import signing
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from medics.models import Referral
from medics.services.referrals import create_referral
from tests.factories import PatientFactory, PractitionerFactory, ReferralFactory
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

PAGINATION_KEYS = {
    "current_page",
    "page_size",
    "total_pages",
    "total_referrals",
    "has_next",
    "has_previous",
    "next_cursor",
    "previous_cursor",
    "total_is_capped",
}
SORTS = [
    {"sort_by": sort_by, "sort_type": sort_type}
    for sort_by in ("time", "doctor", "name")
    for sort_type in ("asc", "desc")
]


@pytest.fixture
def listed_by_kofi(signed_in, kofi, asking):
    return asking(signed_in(kofi), reverse("medics:get-technician-referrals"))


def ids(data):
    return [row["referral_id"] for row in data["referrals"]]


@pytest.fixture
def refer(ama, branch):
    """Makes referrals of Ama to the branch, an hour apart, the last one now."""
    patient = PatientFactory()

    def refer(number=1, **fields):
        now = timezone.now()
        return Referral.objects.bulk_create(
            Referral(
                **{
                    "referred_by": ama,
                    "facility_branch": branch,
                    "patient": patient,
                    "referred_at": now - timedelta(hours=number - 1 - position),
                    **fields,
                }
            )
            for position in range(number)
        )

    return refer


# By number


@pytest.mark.parametrize(
    ("query", "page", "size", "pages", "first", "last"),
    [
        ({}, 1, 10, 3, 1, 10),
        ({"page_number": 2}, 2, 10, 3, 11, 20),
        ({"page_number": 3}, 3, 10, 3, 21, 25),
        ({"page_number": 4}, 3, 10, 3, 21, 25),
        ({"page_number": 10**30}, 3, 10, 3, 21, 25),
        ({"page_number": 2, "page_size": 7}, 2, 7, 4, 8, 14),
        ({"page_size": 1}, 1, 1, 25, 1, 1),
        ({"page_size": 25}, 1, 25, 1, 1, 25),
        ({"page_size": 100}, 1, 100, 1, 1, 25),
        ({"page_size": 101}, 1, 100, 1, 1, 25),
        ({"page_size": 10**30}, 1, 100, 1, 1, 25),
        ({"page_size": 10**30, "page_number": 10**30}, 1, 100, 1, 1, 25),
    ],
)
def test_pages_by_number(listed, refer, query, page, size, pages, first, last):
    newest_first = [referral.id for referral in reversed(refer(25))]
    data = listed(**query)
    assert ids(data) == newest_first[first - 1 : last]
    pagination = data["pagination"]
    assert set(pagination) == PAGINATION_KEYS
    assert pagination["current_page"] == page
    assert pagination["page_size"] == size
    assert pagination["total_pages"] == pages
    assert pagination["total_referrals"] == 25
    assert pagination["has_previous"] is (page > 1)
    assert pagination["has_next"] is (page < pages)
    assert isinstance(pagination["next_cursor"], str) is (page < pages)
    assert isinstance(pagination["previous_cursor"], str) is (page > 1)
    assert pagination["total_is_capped"] is False


def test_a_page_holds_a_hundred_rows_at_most(listed, refer):
    refer(101)
    data = listed(page_size=500)
    assert len(ids(data)) == 100
    assert data["pagination"]["page_size"] == 100
    assert data["pagination"]["total_pages"] == 2


@pytest.mark.parametrize("key", ["page_number", "page_size"])
@pytest.mark.parametrize(
    "value", ["abc", "0", "-1", "1.5", "", " ", "1e3", "0x10", "1\0", "NaN", "9" * 5000]
)
def test_a_number_that_is_none_or_below_1_is_refused(listed, key, value):
    assert set(listed(expected_status=400, **{key: value})) == {key}


def test_other_parameters_are_ignored(listed, refer):
    refer(3)
    assert len(ids(listed(colour="red", format="xml", page="9"))) == 3


def limit_of_page(sent):
    [page] = [limits[-1] for sql in sent if (limits := re.findall(r"LIMIT \d+ OFFSET \d+", sql))]
    return page


def test_a_page_reads_the_rows_that_it_shows(listed, refer):
    refer(25)
    with statements() as sent:
        listed(page_size=7, page_number=2)
    assert limit_of_page(sent) == "LIMIT 7 OFFSET 7"


def test_a_page_by_cursor_reads_no_row_before_it_and_one_after_it(listed, refer):
    refer(25)
    cursor = listed(page_size=7)["pagination"]["next_cursor"]
    with statements() as sent:
        listed(page_size=7, cursor=cursor)
    assert limit_of_page(sent) == "LIMIT 8 OFFSET 0"


# By cursor


def walk(listed, *, between=lambda: None, **query):
    """The ids of each page, from the first to the last; `between` runs before the next is asked."""
    data = listed(**query)
    pages = [ids(data)]
    while data["pagination"]["has_next"]:
        between()
        data = listed(cursor=data["pagination"]["next_cursor"], **query)
        pages.append(ids(data))
    assert data["pagination"]["next_cursor"] is None
    return pages


def walk_back(listed, cursor, *, between=lambda: None, **query):
    """The ids of each page before the cursor, from there to the first."""
    pages = []
    while cursor:
        between()
        data = listed(cursor=cursor, **query)
        pages.append(ids(data))
        cursor = data["pagination"]["previous_cursor"]
    assert data["pagination"]["has_previous"] is False
    return pages


def flat(pages):
    return list(itertools.chain.from_iterable(pages))


@pytest.mark.parametrize("size", [1, 2, 5, 11, 12, 13])
def test_a_walk_forwards_and_back_meets_every_row_once(listed, refer, size):
    newest_first = [referral.id for referral in reversed(refer(12))]
    pages = walk(listed, page_size=size)
    assert flat(pages) == newest_first
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)

    last_page = listed(page_size=size, page_number=len(pages))
    cursor = last_page["pagination"]["previous_cursor"]
    back = walk_back(listed, cursor, page_size=size) if cursor else []
    assert flat(reversed(back)) + ids(last_page) == newest_first


def test_what_a_page_by_cursor_says_of_itself(listed, refer):
    refer(9)
    first = listed(page_size=3)["pagination"]
    second = listed(page_size=3, cursor=first["next_cursor"])["pagination"]
    assert set(second) == PAGINATION_KEYS
    assert second["current_page"] is None
    assert second["page_size"] == 3
    assert second["total_pages"] == 3
    assert second["total_referrals"] == 9
    assert second["has_next"] is True
    assert second["has_previous"] is True
    third = listed(page_size=3, cursor=second["next_cursor"])["pagination"]
    assert third["has_next"] is False
    assert third["next_cursor"] is None
    again_first = listed(page_size=3, cursor=second["previous_cursor"])["pagination"]
    assert again_first["has_previous"] is False
    assert again_first["previous_cursor"] is None
    assert again_first["has_next"] is True


def test_rows_added_during_a_walk_neither_repeat_nor_skip_one(listed, refer):
    made = [referral.id for referral in reversed(refer(12))]
    assert flat(walk(listed, between=refer, page_size=4)) == made


def test_rows_added_during_a_walk_back_come_as_the_newest(listed, refer):
    made = [referral.id for referral in reversed(refer(12))]
    last = listed(page_size=4, page_number=3)
    added = []

    def add_three_in_all():
        if len(added) < 3:
            [referral] = refer()
            added.insert(0, referral.id)

    back = walk_back(
        listed, last["pagination"]["previous_cursor"], between=add_three_in_all, page_size=4
    )
    assert flat(reversed(back)) + ids(last) == added + made


def test_rows_of_one_moment_neither_repeat_nor_are_skipped(listed, refer):
    moment = timezone.now()
    made = {referral.id for referral in refer(23, referred_at=moment)}
    pages = walk(listed, page_size=4)
    assert sorted(flat(pages)) == sorted(made)
    assert flat(pages) == ids(listed(page_size=100))

    added = {referral.id for referral in refer(9, referred_at=moment)}
    cursor = listed(page_size=4, page_number=5)["pagination"]["previous_cursor"]
    back = flat(reversed(walk_back(listed, cursor, page_size=4)))
    assert back == ids(listed(page_size=16))
    assert set(back) <= made | added


def test_pages_by_number_meet_rows_of_one_moment_once(listed, refer):
    made = refer(23, referred_at=timezone.now())
    found = flat(ids(listed(page_size=5, page_number=number)) for number in range(1, 6))
    assert sorted(found) == sorted(referral.id for referral in made)


@pytest.fixture
def many_doctors(refer):
    """Referrals of namesakes (case aside) and others, with moments that several share."""
    now = timezone.now()
    names = ["Ama Serwaa", "ama serwaa", "Yaw, \\ 'Darko'", "Ɛsi", "", "Zoë"]
    for name in names:
        doctor = PractitionerFactory(full_name=name)
        for hour in (0, 0, 1, 2, 2):
            refer(referred_by=doctor, referred_at=now - timedelta(hours=hour))
    return len(names) * 5


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("size", [3, 29])
def test_a_walk_in_every_order(listed_by_kofi, many_doctors, sort, size):
    in_one_page = listed_by_kofi(page_size=100, **sort)
    assert len(set(ids(in_one_page))) == many_doctors
    assert flat(walk(listed_by_kofi, page_size=size, **sort)) == ids(in_one_page)

    key = "referred_at" if sort["sort_by"] == "time" else "referral_doctor"
    values = [row[key].lower() for row in in_one_page["referrals"]]
    assert values == sorted(values, reverse=sort["sort_type"] == "desc")


@pytest.mark.parametrize("sort", SORTS)
def test_a_walk_back_in_every_order(listed_by_kofi, many_doctors, sort):
    last = listed_by_kofi(page_size=4, page_number=1000, **sort)
    back = walk_back(listed_by_kofi, last["pagination"]["previous_cursor"], page_size=4, **sort)
    assert flat(reversed(back)) + ids(last) == ids(listed_by_kofi(page_size=100, **sort))


@pytest.mark.parametrize("sort", SORTS)
def test_rows_added_during_a_walk_in_any_order_neither_repeat_nor_skip_one(
    listed_by_kofi, refer, many_doctors, sort
):
    before = set(ids(listed_by_kofi(page_size=100, **sort)))
    doctors = itertools.cycle(PractitionerFactory(full_name=name) for name in ("Abena", "Yaa"))
    additions = iter(range(10))

    def add():
        if next(additions, None) is not None:
            refer(referred_by=next(doctors))

    found = flat(walk(listed_by_kofi, between=add, page_size=4, **sort))
    assert len(found) == len(set(found))
    assert before <= set(found)


UPWARDS = {"sort_by": "time", "sort_type": "asc"}


@pytest.fixture
def late(ama, branch, blood_count):
    """A referral that is committed only when the block ends: made before what is made in it."""

    @contextmanager
    def late():
        made, go_on = Event(), Event()

        def refer():
            try:
                with transaction.atomic():
                    referral = create_referral(
                        practitioner=ama,
                        branch_id=branch.id,
                        test_ids=[blood_count.id],
                        patient_full_name_or_id="Late",
                    )
                    made.set()
                    go_on.wait(30)
                    return referral.id
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as thread:
            referring = thread.submit(refer)
            assert made.wait(30)
            found = []
            yield found
            go_on.set()
            found.append(referring.result())

    return late


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first_page", [{}, {"page_number": 2}])
@pytest.mark.parametrize("query", [{}, {"search_query": "Osu", "status": "Pending"}])
def test_a_walk_upwards_misses_none_that_is_committed_late(
    listed_by_kofi, refer, late, first_page, query
):
    def ask(**more):
        data = listed_by_kofi(page_size=1, **UPWARDS, **query, **more)
        return ids(data), data["pagination"]["has_next"], data["pagination"]["next_cursor"]

    old = [referral.id for referral in refer(2)]
    with late() as committed_late:
        [newer] = refer()
        walked, cursor = [], None
        for _ in range(4):
            page, has_next, cursor = ask(cursor=cursor) if cursor else ask(**first_page)
            walked += page
            # It is told to come back, however often it asks.
            assert has_next
        assert walked == (old[1:] if first_page else old)
    while cursor:
        page, has_next, cursor = ask(cursor=cursor)
        walked += page
        assert has_next is (cursor is not None)
    assert walked[-2:] == [*committed_late, newer.id]
    assert len(walked) == (3 if first_page else 4)


@pytest.mark.django_db(transaction=True)
def test_a_walk_upwards_begins_where_nothing_is_certain_yet(listed_by_kofi, refer, late):
    with late() as committed_late:
        newer = [referral.id for referral in refer(2, referred_at=timezone.now())]
        data = listed_by_kofi(**UPWARDS)
        assert ids(data) == []
        cursor = data["pagination"]["next_cursor"]
        # Downwards, and where others are elsewhere at work, all that is there is shown at once.
        assert set(ids(listed_by_kofi())) == set(newer)
        assert set(ids(listed_by_kofi(sort_by="doctor", sort_type="asc"))) == set(newer)
    rest = listed_by_kofi(cursor=cursor, **UPWARDS)
    assert ids(rest) == [*committed_late, *sorted(newer)]
    assert rest["pagination"]["has_next"] is False


def test_a_walk_upwards_ends_also_with_a_referral_that_is_dated_ahead(listed_by_kofi, refer):
    made = [*refer(2), *refer(referred_at=timezone.now() + timedelta(days=1))]
    pages = walk(listed_by_kofi, page_size=1, **UPWARDS)
    assert flat(pages) == [referral.id for referral in made]


def test_a_walk_upwards_takes_no_more_statements(listed_by_kofi, refer):
    refer(3)
    with statements() as sent:
        cursor = listed_by_kofi(page_size=1, **UPWARDS)["pagination"]["next_cursor"]
    assert len(sent) == 3
    with statements() as sent:
        listed_by_kofi(page_size=1, cursor=cursor, **UPWARDS)
    assert len(sent) == 3
    with statements() as sent:
        listed_by_kofi(page_size=1)
    assert not any("pg_stat_activity" in sql for sql in sent)


def test_a_walk_keeps_to_search_and_filters(listed, ama, branch, refer):
    refer(6)
    akosua = PatientFactory(full_name_or_id="Akosua")
    hers = {referral.id for referral in refer(7, patient=akosua)}
    refer(6)
    query = {"search_query": "akosua", "status": "Pending", "page_size": 2}
    assert set(flat(walk(listed, **query))) == hers


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("other", SORTS)
def test_a_cursor_belongs_to_one_order(listed_by_kofi, refer, sort, other):
    refer(3)
    cursor = listed_by_kofi(page_size=1, **sort)["pagination"]["next_cursor"]
    by_doctor = {"doctor", "name"}
    same_order = sort["sort_type"] == other["sort_type"] and (
        sort["sort_by"] == other["sort_by"] or {sort["sort_by"], other["sort_by"]} == by_doctor
    )
    if same_order:
        assert len(ids(listed_by_kofi(page_size=1, cursor=cursor, **other))) == 1
    else:
        assert set(listed_by_kofi(cursor=cursor, expected_status=400, **other)) == {"cursor"}


def test_a_tampered_cursor_is_refused(listed, refer):
    refer(3)
    cursor = listed(page_size=1)["pagination"]["next_cursor"]
    forged = signing.dumps([["-referred_at", "-id"], False, ["x", "y"]], salt="another")
    wrong = ["x", "1", cursor[:-1], cursor + "x", cursor.swapcase(), "a:b:c", "\0", "ɛ", "", forged]
    for text in [*wrong, "x" * 5000]:
        assert set(listed(cursor=text, expected_status=400)) == {"cursor"}


def test_a_cursor_shows_nobody_another_s_rows(signed_in, listed_by_kofi, asking, refer, yaw):
    refer(3)
    cursor = listed_by_kofi(page_size=1)["pagination"]["next_cursor"]
    of_yaw = asking(signed_in(yaw), reverse("medics:get-practitioner-referrals"))
    assert ids(of_yaw(cursor=cursor)) == []


def test_a_row_that_is_gone_ends_no_walk(listed, refer):
    oldest, *_, newest = refer(5)
    cursor = listed(page_size=1)["pagination"]["next_cursor"]
    newest.delete()
    found = listed(page_size=10, cursor=cursor)
    assert len(ids(found)) == 4
    assert ids(found)[-1] == oldest.id


def test_a_page_that_others_emptied_offers_no_cursor_and_no_neighbour(listed, refer):
    older, _newer = refer(2)
    cursor = listed(page_size=1)["pagination"]["next_cursor"]
    older.delete()
    data = listed(page_size=1, cursor=cursor)
    assert ids(data) == []
    pagination = data["pagination"]
    assert pagination["has_next"] is (pagination["next_cursor"] is not None)
    assert pagination["has_previous"] is (pagination["previous_cursor"] is not None)


def test_an_empty_list_has_no_cursors(listed):
    pagination = listed()["pagination"]
    assert pagination["next_cursor"] is None
    assert pagination["previous_cursor"] is None


def test_a_page_by_cursor_takes_no_more_statements_than_one_by_number(listed, ama, branch):
    for _ in range(6):
        ReferralFactory(referred_by=ama, facility_branch=branch)
    cursor = listed(page_size=2)["pagination"]["next_cursor"]
    with statements() as sent:
        listed(page_size=2, cursor=cursor)
    # the user with the session, the totals, the page with its tests
    assert len(sent) == 3
