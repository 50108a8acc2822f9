"""Getting in, and one's own password."""

import pytest
from django.test import Client
from django.urls import reverse

from authentication.models import Session, User
from authentication.services import open_session
from tests.factories import PASSWORD, UserFactory

NEW_PASSWORD = "Another1!pass"

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerk(db) -> User:
    """An operator to whom somebody gave a password."""
    return UserFactory(
        phone_number="0244123456", is_staff=True, is_superuser=True, must_change_password=True
    )


def change_password(client: Client, old: str = PASSWORD, new: str = NEW_PASSWORD):
    return client.post(
        reverse("admin:password_change"),
        {"old_password": old, "new_password1": new, "new_password2": new},
    )


@pytest.mark.parametrize("spelling", ["0244123456", "+233 24 412 3456", "+233 (24) 412 - 3456"])
def test_operators_log_in_with_any_spelling_of_their_number(client, spelling):
    UserFactory(phone_number="0244123456", is_staff=True)
    login = reverse("admin:login")
    maxlength = client.get(login).context["form"].fields["username"].widget.attrs["maxlength"]

    response = client.post(f"{login}?next=/admin/", {"username": spelling, "password": PASSWORD})

    assert len(spelling) <= maxlength
    assert (response.status_code, response.url) == (302, "/admin/")
    assert client.get("/admin/").status_code == 200


def test_people_who_are_no_operators_do_not_get_in(client, ama, kofi, efua):
    for user in (ama, kofi, efua):
        response = client.post(
            reverse("admin:login"), {"username": user.phone_number, "password": PASSWORD}
        )
        assert response.status_code == 200
        assert response.context["form"].errors
        assert client.get("/admin/").status_code == 302


def test_an_operator_who_is_switched_off_does_not_get_in(client):
    UserFactory(phone_number="0244123456", is_staff=True, is_active=False)

    response = client.post(reverse("admin:login"), {"username": "0244123456", "password": PASSWORD})

    assert response.context["form"].errors


@pytest.mark.parametrize("name", ["", "\x00", "x" * 5000, "0" * 300, "ﬀ½"])
def test_no_text_breaks_the_login(client, db, name):
    response = client.post(reverse("admin:login"), {"username": name, "password": PASSWORD})

    assert response.status_code == 200
    assert response.context["form"].errors


def test_whoever_is_due_to_change_the_password_is_sent_to_do_it(browser, clerk, kofi):
    client = browser(clerk)
    page = reverse("admin:password_change")

    for url in ("/admin/", "/admin/authentication/user/", "/admin/medics/test/import/"):
        response = client.get(url)
        assert (response.status_code, response.url) == (302, page)
    posted = client.post(
        reverse("admin:authentication_user_change", args=[kofi.pk]), {"full_name": "Other"}
    )
    assert (posted.status_code, posted.url) == (302, page)
    assert client.get(page).status_code == 200
    assert client.get(reverse("admin:jsi18n")).status_code == 200


def test_the_change_lets_them_in_and_ends_their_other_sessions(browser, clerk):
    open_session(user=clerk)
    client, other_browser = browser(clerk), browser(clerk)

    response = change_password(client)

    assert (response.status_code, response.url) == (302, reverse("admin:password_change_done"))
    clerk.refresh_from_db()
    assert clerk.must_change_password is False
    assert clerk.check_password(NEW_PASSWORD)
    assert not Session.objects.open().filter(user=clerk).exists()
    assert client.get("/admin/").status_code == 200
    assert other_browser.get("/admin/").status_code == 302


def test_the_password_that_one_has_is_no_new_one(browser, clerk):
    response = change_password(browser(clerk), new=PASSWORD)

    assert list(response.context["form"].errors) == ["new_password1"]
    clerk.refresh_from_db()
    assert clerk.must_change_password is True


def test_a_wrong_old_password_changes_nothing(browser, clerk):
    response = change_password(browser(clerk), old="Wrong1!pass")

    assert list(response.context["form"].errors) == ["old_password"]
    clerk.refresh_from_db()
    assert clerk.must_change_password is True


def test_whoever_is_due_may_log_out(browser, clerk):
    client = browser(clerk)

    assert client.post(reverse("admin:logout")).status_code == 200
    assert client.get("/admin/").url.startswith(reverse("admin:login"))


def test_the_site_has_its_name(superuser):
    page = superuser.get("/admin/").content.decode()

    assert "<title>Administration | tetraDX</title>" in page
    assert "Django" not in page
