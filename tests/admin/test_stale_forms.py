"""Two people at one page: whoever saves second has to look again."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db import connection

from authentication.models import User
from authentication.stale_forms import SEEN, token_of
from medics.models import BranchTechnician, Facility, FacilityBranch, Test, TestType
from tests.factories import FacilityBranchFactory, TestFactory, UserFactory
from tests.support.admin_pages import errors_on, filled_in, messages_on, page_of, sent_by
from tests.support.audit_context import changes_by
from tests.support.concurrency import at_once, while_open


def everything() -> list[list]:
    """What the pages write, but for the times of the last change."""
    rows = [list(User.objects.order_by("pk").values())]
    for row in rows[0]:
        del row["updated_at"]
    tables = (
        Facility,
        FacilityBranch,
        BranchTechnician,
        TestType,
        Test,
        Group,
        User.groups.through,
        Group.permissions.through,
    )
    return rows + [list(table.objects.order_by("pk").values()) for table in tables]


@pytest.fixture
def clerks(db) -> Group:
    return Group.objects.create(name="Clerks")


@pytest.fixture
def rows(kofi, laboratory, haematology, blood_count, branch, clerks) -> dict:
    return {
        "user": kofi,
        "facility": laboratory,
        "testtype": haematology,
        "test": blood_count,
        "group": clerks,
    }


# What the first operator types, and what happens meanwhile.
TYPED = {
    "user": {"full_name": "Kofi B."},
    "facility": {"contact_number": "0302000000"},
    "testtype": {"description": "Blood"},
    "test": {"description": "Drawn in the morning"},
    "group": {"name": "Front desk"},
}


def close_over_api(rows, signed_in):
    efua = rows["facility"].admin
    branch = rows["facility"].branches.get()
    assert signed_in(efua).delete(f"/api/medics/branches/deactivate/{branch.pk}").status_code == 200


def add_branch_over_api(rows, signed_in):
    client = signed_in(rows["facility"].admin)
    assert client.post("/api/medics/branches/add", {"name": "Legon"}).status_code == 201


def become_operator(rows, signed_in):
    User.objects.filter(pk=rows["user"].pk).update(is_staff=True)


def be_disabled(rows, signed_in):
    User.objects.filter(pk=rows["user"].pk).update(is_active=False)


def join_group(rows, signed_in):
    rows["user"].groups.add(rows["group"])


def work_elsewhere_too(rows, signed_in):
    branch = FacilityBranchFactory(facility=rows["facility"])
    BranchTechnician.objects.create(user=rows["user"], branch=branch)


def cease_to_work(rows, signed_in):
    rows["user"].branch_assignments.all().delete()


def be_administrator(rows, signed_in):
    Facility.objects.update(admin=rows["user"])


def administer_no_more(rows, signed_in):
    Facility.objects.update(admin=None)


def be_renamed(rows, signed_in):
    Facility.objects.update(name="Korle Bu Laboratory")


def cost_more(rows, signed_in):
    Test.objects.filter(pk=rows["test"].pk).update(price=90)


def be_offered_no_more(rows, signed_in):
    rows["test"].delete()


def be_offered(rows, signed_in):
    TestFactory(test_type=rows["testtype"])


def describe(rows, signed_in):
    TestType.objects.update(description="Of blood")


def may_view_users(rows, signed_in):
    rows["group"].permissions.add(Permission.objects.get(codename="view_user"))


CHANGES = [
    ("user", be_disabled),
    ("user", become_operator),
    ("user", join_group),
    ("user", work_elsewhere_too),
    ("user", cease_to_work),
    ("user", be_administrator),
    ("facility", be_renamed),
    ("facility", administer_no_more),
    ("facility", close_over_api),
    ("facility", add_branch_over_api),
    ("testtype", describe),
    ("testtype", cost_more),
    ("testtype", be_offered),
    ("testtype", be_offered_no_more),
    ("test", cost_more),
    ("group", may_view_users),
]


@pytest.mark.parametrize(("page", "change"), CHANGES)
def test_what_others_changed_meanwhile_is_not_undone(superuser, rows, signed_in, page, change):
    url = page_of(rows[page])
    data = filled_in(superuser, url, **TYPED[page])
    change(rows, signed_in)
    before = everything()

    refused = superuser.post(url, data)
    # The form as it was shown again.
    again = superuser.post(url, data | sent_by(refused.context["adminform"].form))

    for response in (refused, again):
        assert response.status_code == 200
        assert "look again" in errors_on(response)["__all__"][0]
        [[name, typed]] = TYPED[page].items()
        assert response.context["adminform"].form[name].value() == typed
        assert typed in response.content.decode()
    assert everything() == before

    superuser.post(url, filled_in(superuser, url, **TYPED[page]))

    assert everything() != before


def test_a_branch_that_is_typed_into_a_stale_form_is_kept_in_it(superuser, laboratory, branch):
    data = filled_in(superuser, page_of(laboratory), **{"branches-0-name": "Osu Castle"})
    FacilityBranch.objects.update(is_active=False)

    response = superuser.post(page_of(laboratory), data)

    [inline] = response.context["inline_admin_formsets"]
    assert inline.formset.forms[0]["name"].value() == "Osu Castle"
    branch.refresh_from_db()
    assert (branch.name, branch.is_active) == ("Osu", False)


@pytest.mark.parametrize(("page", "change"), CHANGES[:1] + CHANGES[6:7] + CHANGES[11:12])
def test_it_is_told_who_changed_it_and_when(superuser, rows, signed_in, efua, page, change):
    data = filled_in(superuser, page_of(rows[page]), **TYPED[page])
    with changes_by(efua):
        change(rows, signed_in)

    [error] = errors_on(superuser.post(page_of(rows[page]), data))["__all__"]

    said = r"This was changed by Efua Asante at [0-2]\d:[0-5]\d \(UTC\), <a [^>]*>look again</a>\."
    assert re.match(said, error)


def test_without_a_name_it_is_told_all_the_same(superuser, rows, signed_in):
    for change, how in [
        (be_disabled, r"at \d\d:\d\d \(UTC\)"),  # by nobody who was signed in
        (be_offered_no_more, "since you opened it"),  # a row that is gone has no page
    ]:
        page = "user" if change is be_disabled else "testtype"
        data = filled_in(superuser, page_of(rows[page]), **TYPED[page])
        change(rows, signed_in)
        [error] = errors_on(superuser.post(page_of(rows[page]), data))["__all__"]
        assert re.match(f"This was changed {how}, ", error)


@pytest.mark.parametrize("page", TYPED)
def test_a_form_without_its_token_is_refused(superuser, rows, sickling, page):
    url, other = page_of(rows[page]), page_of(sickling)
    data = filled_in(superuser, url, **TYPED[page])
    of_another = filled_in(superuser, other)[SEEN]
    before = everything()

    for token in (None, "", "x", data[SEEN][:-1], of_another, token_of("0" * 64)):
        sent = {name: value for name, value in (data | {SEEN: token}).items() if value is not None}
        assert "look again" in errors_on(superuser.post(url, sent))["__all__"][0]

    assert everything() == before


def test_the_token_is_in_the_page_and_read_by_nobody_else(superuser, kofi):
    data = filled_in(superuser, page_of(kofi), full_name="Kofi B.")
    page = superuser.get(page_of(kofi)).content.decode()

    assert len(re.findall(r'<input type="hidden" name="seen" value="[^"]{100,}"', page)) == 1
    superuser.post(page_of(kofi), data)
    log = admin.models.LogEntry.objects.latest("pk")
    assert log.get_change_message() == "Changed Full name."


# What is no reason to refuse


def log_in_meanwhile(kofi, client, anyone):
    login = {"phone_number": kofi.phone_number, "password": "Passw0rd!x"}
    assert anyone.post("/api/auth/login", login).status_code == 200


def save_the_page_beside(kofi, client, anyone):
    client.post(page_of(kofi), filled_in(client, page_of(kofi)))


def change_the_password(kofi, client, anyone):
    kofi.set_password("Another1!pass")
    kofi.save()


def have_another_row_changed(kofi, client, anyone):
    branch = kofi.branch_assignments.get().branch
    branch.name = "Osu Castle"
    branch.save()


@pytest.mark.parametrize(
    "happens",
    [log_in_meanwhile, save_the_page_beside, change_the_password, have_another_row_changed],
)
def test_what_the_form_does_not_offer_may_change(superuser, kofi, anyone, happens):
    data = filled_in(superuser, page_of(kofi), full_name="Kofi B.")
    happens(kofi, superuser, anyone)
    kofi.refresh_from_db()
    password, last_login = kofi.password, kofi.last_login

    assert superuser.post(page_of(kofi), data).status_code == 302

    kofi.refresh_from_db()
    assert kofi.full_name == "Kofi B."
    assert (kofi.password, kofi.last_login) == (password, last_login)


def test_saving_as_new_writes_nothing_to_the_old(superuser, blood_count):
    data = filled_in(superuser, page_of(blood_count), name="ANOTHER", price="1")
    Test.objects.update(description="Drawn in the morning")

    superuser.post(page_of(blood_count), data | {"_saveasnew": "1"})

    blood_count.refresh_from_db()
    assert blood_count.name == "FULL BLOOD COUNT"
    assert blood_count.description == "Drawn in the morning"


def test_a_list_offers_nothing_to_edit():
    """Its forms carry no token."""
    assert {each.list_editable for each in admin.site._registry.values()} == {()}


# At the same time


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("page", ["user", "facility", "testtype", "group"])
def test_of_two_who_save_at_once_one_has_to_look_again(superuser, browser, rows, page):
    clients = [superuser, browser(UserFactory(is_staff=True, is_superuser=True))]
    url = page_of(rows[page])
    [[name, typed]] = TYPED[page].items()
    forms = [
        (client, filled_in(client, url, **{name: f"{typed} {n}"}))
        for n, client in enumerate(clients)
    ]

    answers = at_once(lambda form: form[0].post(url, form[1]), forms)

    assert sorted(answer.status_code for answer in answers) == [200, 302]
    winner = [answer.status_code for answer in answers].index(302)
    rows[page].refresh_from_db()
    assert getattr(rows[page], name) == f"{typed} {winner}"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("page", "change"), [("user", be_disabled), ("facility", close_over_api), CHANGES[11]]
)
def test_a_save_waits_for_a_change_under_way_and_sees_it(superuser, rows, signed_in, page, change):
    data = filled_in(superuser, page_of(rows[page]), **TYPED[page])

    response = while_open(
        lambda: change(rows, signed_in), lambda: superuser.post(page_of(rows[page]), data)
    )

    assert "look again" in errors_on(response)["__all__"][0]


@pytest.mark.django_db(transaction=True)
def test_pages_that_lock_each_other_s_rows_end_in_a_message(superuser, monkeypatch, kofi):
    """PostgreSQL ends one of two transactions that wait for each other."""
    data = filled_in(superuser, page_of(kofi), full_name="Kofi B.")

    def deadlock(**place):
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$")

    monkeypatch.setattr("medics.admin.staff.set_place_of_work", deadlock)
    response = superuser.post(page_of(kofi), data, follow=True)

    assert messages_on(response) == [
        "This was changed by somebody else at the same time. Try again."
    ]
    kofi.refresh_from_db()
    assert kofi.full_name == "Kofi Boateng"


def test_who_was_given_more_meanwhile_keeps_it(browser, operator, kofi):
    """An operator who is no superuser is shown no roles, and so takes none."""
    client = browser(operator)
    data = filled_in(client, page_of(kofi), full_name="Kofi B.")
    permission = Permission.objects.get(codename="view_user")
    kofi.user_permissions.add(permission)

    assert client.post(page_of(kofi), data).status_code == 302

    kofi.refresh_from_db()
    assert list(kofi.user_permissions.all()) == [permission]
