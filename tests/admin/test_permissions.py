"""Who may open which page of the admin site: the whole table. A page not in it fails a test."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from authentication.models import Session
from authentication.services import open_session
from medics.models import HistoryEntry
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

# What a page answers to a superuser, to an operator who may view everything and nothing more, and
# to one without any permission.
PAGES = {
    "index": (200, 200, 200),
    "login": (302, 302, 302),
    "logout": (405, 405, 405),
    "password_change": (200, 200, 200),
    "password_change_done": (200, 200, 200),
    "second_factor": (302, 302, 302),
    "jsi18n": (200, 200, 200),
    "view_on_site": (404, 404, 404),
    "app_list": (200, 200, 404),
    "autocomplete": (200, 200, 403),
    "auth_user_password_change": (200, 403, 403),
    "authentication_user_branches": (200, 403, 403),
    # Without the account it is for.
    "medics_referral_cancel": (404, 403, 403),
    **{
        f"medics_{model}_{page}": answers
        for model in ("test", "testtype")
        for page, answers in {
            "import": (200, 403, 403),
            # A preview that is confirmed is posted.
            "process_import": (405, 405, 405),
            "export": (200, 200, 403),
        }.items()
    },
}
# The five pages of a model: of those that are kept by hand, and of records that nobody may change.
SEEN = {"changelist": (200, 200, 403), "history": (200, 200, 403), "change": (200, 200, 403)}
KEPT = {**SEEN, "add": (200, 403, 403), "delete": (403, 403, 403)}
RECORD = {**SEEN, "add": (403, 403, 403), "delete": (403, 403, 403)}
FREE = {**KEPT, "delete": (200, 403, 403)}
MODELS = {
    "authentication_session": RECORD,
    "authentication_user": KEPT,
    # A group could be given every permission: superusers alone see one.
    "auth_group": dict.fromkeys(KEPT, (200, 403, 403)),
    "medics_facility": KEPT,
    "medics_historyentry": RECORD,
    "medics_patient": RECORD,
    "medics_referral": RECORD,
    # What no referral hangs on may be deleted.
    "medics_test": KEPT,
    "medics_testtype": KEPT,
}
PAGES |= {
    f"{model}_{page}": answers for model, pages in MODELS.items() for page, answers in pages.items()
}

# Whom the site does not know: it sends them to the login.
OUTSIDERS = ["anonymous", "ama", "kofi", "efua", "disabled"]
OPEN_WITHOUT_CODE = {"login", "logout", "jsi18n", "second_factor"}
OPEN_TO_NEWCOMERS = {*OPEN_WITHOUT_CODE, "password_change"}
CHANGING = {page for page in PAGES if page.endswith(("_add", "_change", "_delete", "_import"))}


@pytest.fixture
def ids(kofi, referral, laboratory, blood_count, haematology) -> dict[str, list]:
    """The arguments in the path of each page that has some."""
    open_session(user=kofi)
    rows = {
        "authentication_session": Session.objects.get().pk,
        "authentication_user": kofi.pk,
        "auth_group": Group.objects.create(name="Clerks").pk,
        "medics_facility": laboratory.pk,
        "medics_historyentry": HistoryEntry.objects.latest("pk").pk,
        "medics_patient": referral.patient_id,
        "medics_referral": referral.pk,
        "medics_test": blood_count.pk,
        "medics_testtype": haematology.pk,
    }
    return {
        "app_list": ["medics"],
        "auth_user_password_change": [kofi.pk],
        "view_on_site": [1, 1],
        **{f"{model}_{page}": [pk] for model, pk in rows.items() for page in ("history", "change")},
        **{f"{model}_delete": [pk] for model, pk in rows.items()},
    }


@pytest.fixture
def browser_of(request, browser):
    """A browser of the person in this role, in which who is no outsider is signed in."""

    def browser_of(role: str) -> Client:
        if role == "anonymous":
            return Client()
        if role in OUTSIDERS and role != "disabled":
            return browser(request.getfixturevalue(role))
        user = UserFactory(is_staff=True, is_superuser=role != "viewer" and role != "clerk")
        if role == "viewer":
            user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
        client = browser(user)
        if role == "disabled":
            type(user).objects.filter(pk=user.pk).update(is_active=False)
        if role == "newcomer":
            type(user).objects.filter(pk=user.pk).update(must_change_password=True)
        return client

    return browser_of


QUERIES = {
    "autocomplete": {
        "app_label": "medics",
        "model_name": "testtype",
        "field_name": "facility",
        "term": "",
    }
}


def answers(client, ids, method="get", pages=PAGES) -> Iterator[tuple[str, Any]]:
    for page in pages:
        url = reverse(f"admin:{page}", args=ids.get(page))
        yield page, getattr(client, method)(url, QUERIES.get(page))


@pytest.mark.parametrize(("column", "role"), [*enumerate(["superuser", "viewer", "clerk"])])
def test_an_operator_gets_what_the_table_says(browser_of, ids, column, role):
    client = browser_of(role)

    got = {page: answer.status_code for page, answer in answers(client, ids)}

    assert got == {page: expected[column] for page, expected in PAGES.items()}


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("role", OUTSIDERS)
def test_an_outsider_is_sent_to_the_login_from_everywhere(browser_of, ids, role, method):
    client = browser_of(role)
    login = reverse("admin:login")

    for page, answer in answers(client, ids, method):
        if page == "login":
            assert answer.status_code == 200
        elif page == "logout":
            assert (answer.status_code, answer.url) == (302, reverse("admin:index"))
        else:
            assert answer.status_code == 302, page
            assert answer.url.startswith(f"{login}?next="), page


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_newcomer_is_sent_to_change_the_password_first(browser_of, ids, method):
    client = browser_of("newcomer")

    for page, answer in answers(client, ids, method, PAGES.keys() - OPEN_TO_NEWCOMERS):
        assert answer.status_code == 302, page
        assert answer.url == reverse("admin:password_change"), page


@pytest.mark.parametrize("method", ["get", "post"])
def test_whoever_has_yet_to_show_a_code_is_sent_to_do_it(browser_of, ids, settings, method):
    settings.ADMIN_SECOND_FACTOR = True
    client = browser_of("superuser")

    for page, answer in answers(client, ids, method, PAGES.keys() - OPEN_WITHOUT_CODE):
        assert answer.status_code == 302, page
        assert answer.url.startswith(reverse("admin:second_factor")), page


@pytest.mark.parametrize("role", ["viewer", "clerk"])
def test_whoever_may_not_change_a_thing_cannot_post_it_either(browser_of, ids, role):
    pages = CHANGING - {"password_change"}

    for page, answer in answers(browser_of(role), ids, "post", pages):
        assert answer.status_code == 403, page


def names_of_pages() -> set[str]:
    return {pattern.name for pattern in all_patterns(admin.site.urls[0]) if pattern.name}


def all_patterns(patterns) -> Iterator:
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from all_patterns(pattern.url_patterns)
        else:
            yield pattern


def test_every_page_is_in_the_table():
    assert names_of_pages() == PAGES.keys()
