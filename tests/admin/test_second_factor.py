"""Operators show a code of an authenticator app beside their password."""

import logging
from base64 import b32encode
from io import StringIO

import pytest
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django_otp.plugins.otp_totp.models import TOTPDevice

from authentication import throttles
from tests.factories import PASSWORD, UserFactory
from tests.support.authenticator_app import code_of
from tests.support.concurrency import at_once
from tests.support.content_security import assert_allowed

PAGE = "/admin/second-factor/"
USERS = "/admin/authentication/user/"
GUESSES = throttles.Rule(
    free=5, window_seconds=3600, first_wait_seconds=60, longest_wait_seconds=900
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _second_factor(settings, monkeypatch):
    settings.ADMIN_SECOND_FACTOR = True
    # No test hangs on when one code gives way to the next, or on how slow the machine is.
    settings.OTP_TOTP_SYNC = False
    monkeypatch.setattr(throttles, "GUESSES_AT_A_NUMBER_FROM_AN_ADDRESS", GUESSES)


@pytest.fixture
def operator(db):
    return UserFactory(phone_number="0244123456", is_staff=True, is_superuser=True)


@pytest.fixture
def device(operator):
    """The operator's app, set up before."""
    return TOTPDevice.objects.create(user=operator)


def logged_in(user, address="198.51.100.1") -> Client:
    """A browser of which the password alone is known."""
    client = Client(REMOTE_ADDR=address)
    form = {"username": user.phone_number, "password": PASSWORD}
    assert client.post(reverse("admin:login"), form).status_code == 302
    return client


def wrong_code(device) -> str:
    good = {code_of(device, later) for later in range(-2, 3)}
    return next(code for code in map("{:06}".format, range(6)) if code not in good)


def offered_key(client) -> TOTPDevice:
    return TOTPDevice(key=client.session["offered_second_factor"])


def show(client, code, **more):
    return client.post(PAGE, {"code": code, **more})


def is_in(client) -> bool:
    return client.get("/admin/").status_code == 200


# The first login


def test_the_first_login_sets_up_an_app(operator):
    client = logged_in(operator)

    answer = client.get(USERS)
    assert (answer.status_code, answer.url) == (302, f"{PAGE}?next={USERS}")
    page = client.get(answer.url)
    assert_allowed(page)
    app = offered_key(client)
    assert b'src="data:image/svg+xml' in page.content
    assert b32encode(app.bin_key).decode() in page.content.decode().replace(" ", "")
    assert offered_key(client).key == app.key
    answer = show(client, code_of(app), next=USERS)

    assert (answer.status_code, answer.url) == (302, USERS)
    assert client.get(USERS).status_code == 200
    assert TOTPDevice.objects.get().user == operator
    assert "offered_second_factor" not in client.session


def test_a_page_that_is_loaded_anew_offers_the_same_key(operator):
    client = logged_in(operator)

    first, second = (client.get(PAGE).context["key"] for _ in range(2))

    assert first == second


def test_a_wrong_code_sets_nothing_up(operator):
    client = logged_in(operator)
    client.get(PAGE)

    answer = show(client, wrong_code(offered_key(client)))

    assert answer.context["form"].errors
    assert not is_in(client)
    assert not TOTPDevice.objects.exists()


def test_whoever_knows_the_password_alone_sets_up_no_second_app(operator, device):
    client = logged_in(operator)
    page = client.get(PAGE)

    assert b"data:image" not in page.content
    assert "offered_second_factor" not in client.session


def test_an_app_that_was_offered_is_worth_nothing_once_there_is_another(operator):
    early = logged_in(operator)
    early.get(PAGE)
    TOTPDevice.objects.create(user=operator)

    show(early, code_of(offered_key(early)))

    assert not is_in(early)


# Every login after it


def test_a_code_opens_the_site_to_that_session_alone(operator, device):
    client, other = logged_in(operator), logged_in(operator)
    before = client.session.session_key

    assert not is_in(client)
    assert_allowed(client.get(PAGE))
    answer = show(client, f" {code_of(device)[:3]} {code_of(device)[3:]} ")

    assert (answer.status_code, answer.url) == (302, "/admin/")
    assert is_in(client)
    assert not is_in(other)
    assert client.session.session_key != before
    assert client.get(PAGE).url == "/admin/"


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "-12345", "\x00" * 6])
def test_what_is_no_code_is_refused(operator, device, code):
    client = logged_in(operator)

    assert show(client, code).context["form"].errors["code"]
    assert not is_in(client)


def test_a_code_is_good_once(operator, device):
    code = code_of(device)
    first, second = logged_in(operator), logged_in(operator)

    show(first, code)
    answer = show(second, code)

    assert is_in(first)
    assert answer.context["form"].errors["code"]
    assert not is_in(second)
    show(second, code_of(device, later=1))
    assert is_in(second)


@pytest.mark.django_db(transaction=True)
def test_a_code_is_good_once_for_browsers_that_show_it_at_once(operator, device):
    code = code_of(device)
    clients = [logged_in(operator) for _ in range(4)]

    answers = at_once(lambda client: show(client, code).status_code, clients)

    assert sorted(answers) == [200, 200, 200, 302]


def test_the_code_of_somebody_else_opens_nothing(operator, device):
    other = UserFactory(is_staff=True)
    TOTPDevice.objects.create(user=other)
    client = logged_in(other)

    show(client, code_of(device))

    assert not is_in(client)


def test_a_session_that_shows_somebody_elses_device_stays_closed(operator, device):
    client = logged_in(UserFactory(is_staff=True))
    session = client.session
    session["second_factor"] = device.pk
    session.save()

    assert not is_in(client)


def test_the_way_back_leads_nowhere_else(operator, device):
    client = logged_in(operator)

    assert show(client, code_of(device), next="https://evil.example/").url == "/admin/"


def test_whoever_has_yet_to_show_a_code_may_log_out(operator, device):
    client = logged_in(operator)

    assert client.post(reverse("admin:logout")).status_code == 200
    assert client.get(PAGE).url.startswith(reverse("admin:login"))


def test_people_who_are_no_operators_set_up_nothing(browser, ama):
    assert browser(ama).get(PAGE).url == f"{reverse('admin:login')}?next={PAGE}"
    assert Client().get(PAGE).url == f"{reverse('admin:login')}?next={PAGE}"


def test_a_password_that_is_due_to_be_changed_is_so_after_the_code(operator, device):
    operator.must_change_password = True
    operator.save()
    client = logged_in(operator)

    assert client.get("/admin/").url.startswith(PAGE)
    assert client.get(reverse("admin:password_change")).url.startswith(PAGE)
    show(client, code_of(device))
    assert client.get("/admin/").url == reverse("admin:password_change")


def test_a_changed_password_asks_for_no_new_code_in_that_browser(operator, device):
    client, other = logged_in(operator), logged_in(operator)
    show(client, code_of(device))
    show(other, code_of(device, later=1))
    new = "Another1!pass"

    client.post(
        reverse("admin:password_change"),
        {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
    )

    assert is_in(client)
    assert not is_in(other)


# Guessing


def test_guesses_are_counted_and_wait(operator, device):
    guesser = logged_in(operator)

    for _ in range(GUESSES.free):
        [refusal] = show(guesser, wrong_code(device)).context["form"].errors["code"]
        assert "wrong" in refusal
    [refusal] = show(guesser, code_of(device)).context["form"].errors["code"]
    assert "throttled" in refusal
    assert not is_in(guesser)

    owner = logged_in(operator, address="203.0.113.9")
    show(owner, code_of(device))
    assert is_in(owner)


def test_a_good_code_is_no_guess(operator, device):
    client = logged_in(operator)
    for _ in range(GUESSES.free - 1):
        show(client, wrong_code(device))

    show(client, code_of(device))
    again = logged_in(operator)

    [refusal] = show(again, wrong_code(device)).context["form"].errors["code"]
    assert "wrong" in refusal


def test_the_log_says_who_and_never_what(operator, caplog):
    caplog.set_level(logging.DEBUG)
    client = logged_in(operator)
    client.get(PAGE)
    app = offered_key(client)
    wrong, good = wrong_code(app), code_of(app)

    show(client, wrong)
    show(client, good)

    lines = [record.getMessage() for record in caplog.records]
    assert f"A code was refused: user_id={operator.pk}" in lines
    assert f"A second factor was set up: user_id={operator.pk}" in lines
    for secret in (app.key, b32encode(app.bin_key).decode(), wrong, good):
        assert not any(secret in line for line in lines)


def test_no_page_of_the_admin_site_shows_a_secret(operator, device):
    client = logged_in(operator)
    show(client, code_of(device))

    assert TOTPDevice not in admin.site._registry
    for url in ("/admin/", f"{USERS}{operator.pk}/change/", f"{USERS}{operator.pk}/history/", PAGE):
        page = client.get(url, follow=True).content.decode()
        assert device.key not in page
        assert b32encode(device.bin_key).decode() not in page


# A lost app


def reset(phone_number) -> str:
    output = StringIO()
    call_command("reset_second_factor", phone_number, stdout=output)
    return output.getvalue()


def test_a_lost_app_is_replaced_by_a_command(operator, device):
    finder = logged_in(operator)
    show(finder, code_of(device))
    assert is_in(finder)

    said = reset("+233 24 412 3456")

    assert str(operator) in said
    assert not is_in(finder)
    client = logged_in(operator)
    client.get(PAGE)
    show(client, code_of(offered_key(client)))
    assert is_in(client)


def test_the_command_says_where_there_is_nothing_to_forget(operator):
    with pytest.raises(CommandError, match="has no second factor"):
        reset(operator.phone_number)
    with pytest.raises(CommandError, match="Nobody has this phone number"):
        reset("0200000000")


# Where it is not asked for


def test_where_it_is_switched_off_the_password_is_enough(operator, device, settings):
    settings.ADMIN_SECOND_FACTOR = False
    client = logged_in(operator)

    assert is_in(client)
    assert client.get(PAGE).url == "/admin/"


def test_the_api_asks_nobody_for_a_code(anyone, operator, device):
    login = {"phone_number": operator.phone_number, "password": PASSWORD}

    assert anyone.post("/api/auth/login", login).status_code == 200
