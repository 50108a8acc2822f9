"""Every change of facilities, branches, test types and tests moves the catalogue's version."""

from random import Random

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.test import override_settings
from django.urls import reverse

from medics.models import Facility, FacilityBranch, Test, TestType
from medics.models.catalogue import CatalogueChange, catalogue_version
from medics.services.history import forgetting
from tests.factories import (
    FacilityBranchFactory,
    FacilityFactory,
    TestFactory,
    TestTypeFactory,
)
from tests.support.concurrency import at_once, on_another_connection, while_open
from tests.support.database import execute

pytestmark = pytest.mark.django_db


@pytest.fixture
def fold_next(db):
    """Makes the next change of this connection fold, which one in 40 does."""
    with connection.cursor() as cursor:
        for number in range(1000):
            seed = number / 1000
            cursor.execute("SELECT setseed(%s)", [seed])
            cursor.execute("SELECT random() < 1.0 / 40")
            if cursor.fetchone()[0]:
                return lambda: execute("SELECT setseed(%s)", [seed])
    raise AssertionError("no seed folds")


@pytest.fixture
def catalogue(laboratory, branch, haematology, blood_count):
    """A facility with a branch, a type and a test, which no referral names."""
    return laboratory


@pytest.fixture
def lists(anyone, catalogue, haematology):
    """Asks all four public lists; gives the answers, after comparing each with the tables."""
    urls = {
        reverse("medics:get-facilities"): Facility.objects.all(),
        reverse("medics:get-branches-by-facility", args=[catalogue.pk]): (
            FacilityBranch.objects.filter(facility=catalogue, is_active=True)
        ),
        reverse("medics:get-test-types-by-facility", args=[catalogue.pk]): (
            TestType.objects.filter(facility=catalogue)
        ),
        reverse("medics:get-tests-by-test-type", args=[haematology.pk]): (
            Test.objects.filter(test_type=haematology)
        ),
    }

    def lists(etag=None):
        headers = {"If-None-Match": etag} if etag else {}
        answers = [anyone.get(url, headers=headers) for url in urls]
        for answer, rows in zip(answers, urls.values(), strict=True):
            if answer.status_code == 200:
                data = {(row["id"], row["name"]) for row in answer.json()["data"]}
                assert data == set(rows.values_list("id", "name"))
        assert len({answer["ETag"] for answer in answers}) == 1
        return answers

    return lists


def save(row):
    row.name = "RENAMED"
    row.save()


def save_one_column(row):
    row.name = "RENAMED"
    row.save(update_fields=["name"])


def update(row):
    type(row).objects.filter(pk=row.pk).update(name="RENAMED")


def update_in_bulk(row):
    row.name = "RENAMED"
    type(row).objects.bulk_update([row], ["name"])


def update_by_sql(row):
    execute(f"UPDATE {row._meta.db_table} SET name = 'RENAMED' WHERE id = %s", [row.pk])  # noqa: S608


def delete(row):
    row.delete()


def delete_in_bulk(row):
    type(row).objects.filter(pk=row.pk).delete()


def delete_by_sql(row):
    execute(f"DELETE FROM {row._meta.db_table} WHERE id = %s", [row.pk])  # noqa: S608


def insert_by_sql(row):
    columns = [field.column for field in row._meta.fields if field.column not in {"id", "name"}]
    columns = ", ".join(column for column in columns if column != "admin_id")
    execute(
        f"INSERT INTO {row._meta.db_table} (name, {columns})"  # noqa: S608
        f" SELECT 'ADDED', {columns} FROM {row._meta.db_table} WHERE id = %s",
        [row.pk],
    )


def create(row):
    others = {
        FacilityBranch: lambda: {"facility": row.facility},
        TestType: lambda: {"facility": row.facility},
        Test: lambda: {"test_type": row.test_type},
    }.get(type(row), dict)()
    type(row).objects.create(name="ADDED", **others)


@pytest.mark.parametrize(
    "change",
    [
        save,
        save_one_column,
        update,
        update_in_bulk,
        update_by_sql,
        delete,
        delete_in_bulk,
        delete_by_sql,
        create,
        insert_by_sql,
    ],
)
@pytest.mark.parametrize("model", [Facility, FacilityBranch, TestType, Test])
def test_a_change_moves_the_version_and_shows_in_the_next_answer(lists, catalogue, model, change):
    row = {
        Facility: lambda: FacilityFactory(),
        FacilityBranch: lambda: FacilityBranchFactory(facility=catalogue),
        TestType: lambda: TestTypeFactory(facility=catalogue),
        Test: lambda: TestFactory(test_type=catalogue.test_types.get()),
    }[model]()
    etag = lists()[0]["ETag"]
    assert {answer.status_code for answer in lists(etag)} == {304}

    change(row)

    answers = lists(etag)
    assert {answer.status_code for answer in answers} == {200}
    new_etag = answers[0]["ETag"]
    assert new_etag != etag
    assert {answer.status_code for answer in lists(new_etag)} == {304}
    assert {answer.status_code for answer in lists(etag)} == {200}


def test_a_branch_that_is_closed_leaves_the_list(lists, signed_in, efua, branch):
    etag = lists()[0]["ETag"]
    url = reverse("medics:get-branches", args=[branch.pk])
    assert signed_in(efua).delete(url).status_code == 200
    answers = lists(etag)
    assert answers[1].status_code == 200
    assert answers[1].json()["data"] == []


def test_what_a_facility_admin_adds_shows_at_once(lists, signed_in, efua):
    etag = lists()[0]["ETag"]
    answer = signed_in(efua).post(reverse("medics:add-branch"), {"name": "Tema"})
    assert answer.status_code == 201
    [_, branches, *_] = lists(etag)
    assert [row["name"] for row in branches.json()["data"]] == ["Osu", "Tema"]
    etag = branches["ETag"]
    body = {"name": "chemistry", "tests": [{"name": "urea"}]}
    assert signed_in(efua).post(reverse("utilities:add-test-types"), body).status_code == 200
    assert [row["name"] for row in lists(etag)[2].json()["data"]] == ["CHEMISTRY", "HAEMATOLOGY"]


def test_the_lists_of_two_facilities_or_types_are_kept_apart(anyone, lists, catalogue, haematology):
    other = FacilityFactory(name="Ridge")
    FacilityBranchFactory(facility=other, name="Legon")
    chemistry = TestTypeFactory(facility=other, name="CHEMISTRY")
    TestFactory(test_type=chemistry, name="UREA")
    for _ in range(2):
        lists()
        for route, owner, name in [
            ("get-branches-by-facility", other, "Legon"),
            ("get-test-types-by-facility", other, "CHEMISTRY"),
            ("get-tests-by-test-type", chemistry, "UREA"),
        ]:
            data = anyone.get(reverse(f"medics:{route}", args=[owner.pk])).json()["data"]
            assert [row["name"] for row in data] == [name]


def test_one_statement_over_many_rows_moves_it_once(catalogue):
    Facility.objects.bulk_create(Facility(name=f"Laboratory {n}") for n in range(5))
    before = CatalogueChange.objects.aggregate(number=Sum("number"))["number"]
    Facility.objects.update(name="Renamed")
    assert CatalogueChange.objects.aggregate(number=Sum("number"))["number"] == before + 1


def test_what_is_not_of_the_catalogue_does_not_move_it(referral, ama):
    before = catalogue_version()
    referral.status = "Received"
    referral.save()
    ama.full_name = "Ama Badu"
    ama.save()
    assert catalogue_version() == before


def test_before_any_change_there_is_a_version(db, anyone):
    execute("DELETE FROM medics_cataloguechange")
    answer = anyone.get(reverse("medics:get-facilities"))
    assert answer.status_code == 200
    etag = answer["ETag"]
    FacilityFactory()
    assert anyone.get(reverse("medics:get-facilities"))["ETag"] != etag


def test_rows_that_one_statement_truncates_are_shown_no_longer(lists, anyone, catalogue):
    etag = lists()[0]["ETag"]
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    with forgetting():
        execute("TRUNCATE medics_test CASCADE")
    assert lists(etag)[3].json()["data"] == []


# Other processes


@pytest.mark.django_db(transaction=True)
def test_another_s_next_answer_shows_what_is_committed(lists, catalogue):
    etag = lists()[0]["ETag"]
    on_another_connection(lambda: Facility.objects.filter(pk=catalogue.pk).update(name="Ridge"))
    answers = lists(etag)
    assert answers[0].status_code == 200
    assert answers[0].json()["data"] == [{"id": catalogue.pk, "name": "Ridge"}]
    Facility.objects.update(name="Legon")
    [answer, *_] = on_another_connection(lambda: lists(answers[0]["ETag"]))
    assert answer.json()["data"][0]["name"] == "Legon"


@pytest.mark.django_db(transaction=True)
def test_what_is_not_committed_is_not_seen_nor_kept(lists, fold_next):
    etag = lists()[0]["ETag"]
    with transaction.atomic():
        fold_next()
        Facility.objects.update(name="Ridge")
        [answer, *_] = on_another_connection(lambda: lists(etag))
        assert answer.status_code == 304
        [answer, *_] = on_another_connection(lists)
        assert answer["ETag"] == etag
        assert answer.json()["data"][0]["name"] == "Korle Laboratory"
    [answer, *_] = lists(etag)
    assert answer.status_code == 200
    assert answer.json()["data"][0]["name"] == "Ridge"


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_leaves_the_version(lists, fold_next):
    etag = lists()[0]["ETag"]
    with transaction.atomic():
        fold_next()
        Facility.objects.update(name="Ridge")
        # What an answer within says and keeps is the transaction's alone.
        assert lists()[0]["ETag"] != etag
        transaction.set_rollback(True)
    assert {answer.status_code for answer in lists(etag)} == {304}
    assert lists()[0].json()["data"][0]["name"] == "Korle Laboratory"
    Facility.objects.update(name="Legon")
    assert lists()[0].json()["data"][0]["name"] == "Legon"


@pytest.mark.django_db(transaction=True)
def test_a_change_that_began_earlier_and_commits_later_is_seen(lists, catalogue):
    with transaction.atomic():
        Facility.objects.update(name="Ridge")
        on_another_connection(lambda: FacilityFactory(name="Legon"))
        [answer, *_] = on_another_connection(lists)
        names = {row["name"] for row in answer.json()["data"]}
        assert names == {"Korle Laboratory", "Legon"}
        etag = answer["ETag"]
    [answer, *_] = lists(etag)
    assert answer.status_code == 200
    assert {row["name"] for row in answer.json()["data"]} == {"Ridge", "Legon"}


@pytest.mark.django_db(transaction=True)
def test_changes_do_not_wait_for_each_other(catalogue, fold_next):
    def change(name):
        with transaction.atomic():
            fold_next()
            Facility.objects.create(name=name)
        return set(Facility.objects.values_list("name", flat=True))

    found = while_open(first=lambda: change("Ridge"), then=lambda: change("Legon"))

    # Had it waited for Ridge, it would see it.
    assert found == {"Korle Laboratory", "Legon"}


# The version goes forwards alone


def number_of(version):
    return int(version.split("-")[0])


def moment_of(version):
    return float(version.split("-")[1])


def test_a_change_that_folds_moves_the_version_as_any_other(catalogue, fold_next):
    for number in range(5):
        FacilityFactory(name=f"Laboratory {number}")
    before = catalogue_version()
    fold_next()
    FacilityFactory()
    assert CatalogueChange.objects.count() == 1
    assert number_of(catalogue_version()) == number_of(before) + 1
    assert moment_of(catalogue_version()) > moment_of(before)
    fold_next()
    Facility.objects.update(name="Renamed")
    assert number_of(catalogue_version()) == number_of(before) + 2


def test_changes_fold_now_and_then_by_themselves(catalogue):
    versions = [catalogue_version()]
    for number in range(400):
        Facility.objects.update(name=f"Laboratory {number}")
        versions.append(catalogue_version())
    numbers = [number_of(version) for version in versions]
    assert numbers == list(range(numbers[0], numbers[0] + 401))
    moments = [moment_of(version) for version in versions]
    assert moments == sorted(moments)
    # One in 40 folds: that none of 400 does has a chance of one in 25,000.
    assert CatalogueChange.objects.count() < 400


@pytest.mark.django_db(transaction=True)
def test_no_version_is_seen_twice_with_another_between(catalogue, fold_next):
    branches = FacilityBranchFactory.create_batch(4, facility=catalogue)
    before = number_of(catalogue_version())
    seen = {}

    def act(number):
        random = Random(number)  # noqa: S311 - made-up data
        if number < 4:
            for step in range(25):
                with transaction.atomic():
                    if random.random() < 0.3:
                        fold_next()
                    branch = FacilityBranch.objects.filter(pk=branches[number].pk)
                    branch.update(name=f"{number} {step}")
                    transaction.set_rollback(random.random() < 0.2)
        else:
            versions = seen[number] = []
            for _ in range(150):
                versions.append(catalogue_version())

    at_once(act, range(6))

    for versions in seen.values():
        numbers = [number_of(version) for version in versions]
        assert numbers == sorted(numbers)
        times_by_number = dict(version.split("-") for version in versions)
        assert len(times_by_number) == len(set(versions))
    after = number_of(catalogue_version())
    assert before < after <= before + 100


# Without a cache


@pytest.mark.parametrize("cache_class", ["AwayCache", "FullCache"])
def test_the_lists_answer_while_the_cache_is_away(lists, catalogue, cache_class):
    path = f"tests._tetradx.cache.test_serializer.{cache_class}"
    with override_settings(CACHES={"default": {"BACKEND": path, "LOCATION": path}}):
        etag = lists()[0]["ETag"]
        assert {answer.status_code for answer in lists(etag)} == {304}
        Facility.objects.update(name="Ridge")
        [answer, *_] = lists(etag)
        assert answer.status_code == 200
        assert answer.json()["data"] == [{"id": catalogue.pk, "name": "Ridge"}]


def test_an_unknown_facility_is_refused_each_time_and_not_kept(anyone, catalogue):
    url = reverse("medics:get-test-types-by-facility", args=[catalogue.pk + 1])
    for _ in range(2):
        answer = anyone.get(url)
        assert answer.status_code == 400
        assert answer.json()["detail"] == "Facility with the given ID does not exist."
    FacilityFactory(id=catalogue.pk + 1)
    assert anyone.get(url).json()["data"] == []
