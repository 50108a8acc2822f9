"""Guessing a password and registering in bulk are slowed down, and nobody is locked out by it."""

import itertools
import math
import time
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import models
from django.urls import reverse
from django.utils import timezone
from redis.exceptions import TimeoutError as RedisTimeout
from rest_framework.exceptions import Throttled
from rest_framework.test import APIClient

from authentication import throttles
from authentication.models import Attempt, KnownAddress, User
from authentication.throttles import (
    GUESSES_AT_A_NUMBER,
    GUESSES_AT_A_NUMBER_FROM_AN_ADDRESS,
    GUESSES_FROM_AN_ADDRESS,
    REGISTRATIONS_FROM_AN_ADDRESS,
    DatabaseStore,
    RedisStore,
    Rule,
    count_attempt,
    refund_attempt,
)
from tests.factories import PASSWORD, PractitionerFactory
from tests.support.concurrency import at_once

pytestmark = pytest.mark.django_db

LOGIN = reverse("auth:login")
REGISTER = reverse("auth:user-register")

FEW = Rule(free=3, window_seconds=3600, first_wait_seconds=10, longest_wait_seconds=30)
PLENTY = Rule(free=999, window_seconds=3600, first_wait_seconds=1, longest_wait_seconds=1)
MORE = Rule(free=5, window_seconds=3600, first_wait_seconds=60, longest_wait_seconds=60)


@pytest.fixture(params=["database", "redis"])
def store(request):
    """Each store with time that the test lets pass."""
    if request.param == "database":
        store = DatabaseStore()

        def let_pass(seconds):
            for row in Attempt.objects.all():
                row.next_at -= seconds
                row.expires_at -= seconds
                row.save()
    else:
        client = request.getfixturevalue("redis")
        store = RedisStore(client)

        def let_pass(seconds):
            for name in client.scan_iter():
                for field in ("next_at", "expires_at"):
                    client.hincrbyfloat(name, field, -seconds.total_seconds())

    store.let_pass = lambda seconds: let_pass(timedelta(seconds=seconds))
    return store


# The count, in both stores alike


def test_the_free_tries_wait_for_nothing(store):
    assert [store.count([("a", FEW)]) for _ in range(3)] == [0, 0, 0]
    assert 9 < store.count([("a", FEW)]) <= 10


def test_each_further_try_makes_the_next_wait_twice_as_long_up_to_the_longest(store):
    waits = []
    for _ in range(3):
        store.count([("a", FEW)])
    for _ in range(4):
        waits.append(round(store.count([("a", FEW)])))
        store.let_pass(waits[-1])
        assert store.count([("a", FEW)]) == 0
    assert waits == [10, 20, 30, 30]


def test_one_that_is_refused_counts_under_no_limit(store):
    for _ in range(3):
        store.count([("a", FEW)])
    for _ in range(10):
        assert store.count([("a", FEW), ("b", MORE)]) > 0
    assert [store.count([("b", MORE)]) for _ in range(5)] == [0] * 5


def test_the_longest_of_the_waits_is_told(store):
    for _ in range(5):
        store.count([("a", FEW)])
        store.count([("b", MORE)])
    assert 59 < store.count([("a", FEW), ("b", MORE)]) <= 60


def test_whoever_tried_less_comes_first_however_often_the_others_ask(store):
    shared = Rule(3, 3600, 60, 60, step_aside_seconds=10)
    poller, guesser, owner = ([(name, PLENTY), ("number", shared)] for name in "abc")
    for _ in range(2):
        assert store.count(poller) == 0
    assert store.count(guesser) == 0
    assert [round(store.count(limits)) for limits in (poller, guesser, owner)] == [80, 70, 60]
    store.let_pass(61)
    assert [round(store.count(limits)) for limits in (poller, guesser)] == [19, 9]
    assert store.count(owner) == 0
    store.let_pass(111)
    assert store.count(poller) == 0


def test_when_the_window_ends_all_is_forgotten(store):
    for _ in range(4):
        store.count([("a", FEW)])
    store.let_pass(3601)
    assert [store.count([("a", FEW)]) for _ in range(3)] == [0, 0, 0]


def test_a_try_that_was_no_guess_is_given_back(store):
    for _ in range(20):
        assert store.count([("a", FEW), ("b", MORE)]) == 0
        store.refund(["a", "b"])
    assert store.count([("b", MORE)]) == 0


def test_after_it_the_first_limit_is_forgotten_and_the_others_are_not(store):
    for _ in range(2):
        store.count([("a", FEW), ("b", MORE)])
    store.count([("a", FEW), ("b", MORE)])
    store.refund(["a", "b"])
    assert [store.count([("a", FEW)]) for _ in range(3)] == [0, 0, 0]
    assert [store.count([("b", MORE)]) for _ in range(3)] == [0, 0, 0]
    assert store.count([("b", MORE)]) > 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["database", "redis"])
def test_of_tries_at_once_no_more_than_the_free_ones_get_through(name, request):
    client = request.getfixturevalue("redis") if name == "redis" else None
    store = RedisStore(client) if client else DatabaseStore()
    waits = at_once(lambda _: store.count([("a", FEW), ("b", MORE)]), range(20))
    assert sorted(waits)[:4] == [0, 0, 0, pytest.approx(10, abs=2)]


@pytest.mark.django_db(transaction=True)
def test_people_who_log_in_at_once_from_one_address_do_not_wait_for_each_other(store):
    def log_in(person):
        limits = [(f"pair {person % 4}", PLENTY), ("from", PLENTY), (f"to {person % 4}", PLENTY)]
        for _ in range(20):
            assert store.count(limits) == 0
            store.refund([name for name, _ in limits])
        return True

    assert all(at_once(log_in, range(16)))


def test_redis_forgets_by_itself(redis):
    RedisStore(redis).count([("a", FEW)])
    [name] = redis.keys()
    assert 0 < redis.ttl(name) <= 3600


# Which store


def test_all_workers_share_redis_where_there_is_one(redis, redis_url, settings):
    settings.REDIS_URL = redis_url
    count_attempt([("a", FEW)])
    assert redis.keys() == [b"tetradx:try:a"]
    assert not Attempt.objects.exists()
    refund_attempt([("a", FEW)])
    assert redis.keys() == []


def test_while_it_is_away_the_database_counts(settings, caplog, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/nobody"
    for _ in range(3):
        count_attempt([("a", FEW)])
    with pytest.raises(Throttled):
        count_attempt([("a", FEW)])
    assert "Redis is away, the database counts: ConnectionError" in caplog.messages


def test_while_it_is_away_not_every_try_waits_for_it(settings, monkeypatch, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/nobody"
    asked = []

    def hang(*_):
        asked.append(1)
        raise RedisTimeout

    monkeypatch.setattr(RedisStore, "count", hang)
    for _ in range(3):
        count_attempt([("a", FEW)])
    assert len(asked) == 1


def test_neither_number_nor_address_can_be_read_from_it(anyone):
    anyone.post(LOGIN, {"phone_number": "0244123456", "password": "wrong"})
    names = list(Attempt.objects.values_list("name", flat=True))
    assert len(names) == 3
    assert not any("244123456" in name or "127.0.0.1" in name for name in names)


# Logins


@pytest.fixture
def log_in(anyone):
    def log_in(number, password=PASSWORD, address="198.51.100.1"):
        body = {"phone_number": number, "password": password}
        return anyone.post(LOGIN, body, REMOTE_ADDR=address)

    return log_in


def test_a_guesser_waits_and_is_told_how_long(log_in, ama):
    for _ in range(5):
        assert log_in(ama.phone_number, "wrong").status_code == 400
    refused = log_in(ama.phone_number)

    assert refused.status_code == 429
    assert refused["Retry-After"] == "1"
    assert refused.json() == {
        "status": "error",
        "code": "429",
        "detail": "Request was throttled. Expected available in 1 second.",
    }
    assert not ama.sessions.exists()


def test_another_spelling_of_the_number_is_no_way_around(log_in, ama):
    local = ama.phone_number
    international = f"+233{local[1:]}"
    statuses = [log_in(number, "wrong").status_code for number in (local, international) * 4]
    assert statuses == [400] * 5 + [429] * 3


def test_the_owner_logs_in_from_elsewhere_meanwhile(log_in, ama):
    for _ in range(8):
        log_in(ama.phone_number, "wrong")
    assert log_in(ama.phone_number, address="203.0.113.9").status_code == 200


def test_a_good_login_is_no_guess(log_in, ama):
    for _ in range(12):
        assert log_in(ama.phone_number).status_code == 200
    assert not Attempt.objects.exclude(number=0).exists()


def test_a_number_that_nobody_has_is_throttled_alike(log_in):
    statuses = [log_in("0209999999", "wrong").status_code for _ in range(7)]
    assert statuses == [400] * 5 + [429] * 2


def test_guesses_from_many_addresses_leave_one_a_minute(log_in, ama):
    statuses = [
        log_in(ama.phone_number, "wrong", address=f"198.51.100.{n}").status_code for n in range(55)
    ]
    assert statuses == [400] * 50 + [429] * 5
    assert int(log_in(ama.phone_number, address="203.0.113.9")["Retry-After"]) <= 60
    let_a_minute_pass()
    assert log_in(ama.phone_number, address="203.0.113.9").status_code == 200


@pytest.fixture
def fifty_guesses():
    """As from many addresses, the last of them just now."""

    def fifty_guesses(user):
        Attempt.objects.update_or_create(
            name=throttles.key("login to", throttles.phone_key(user.phone_number)),
            defaults={
                "number": GUESSES_AT_A_NUMBER.free,
                "expires_at": timezone.now() + timedelta(minutes=50),
                "next_at": timezone.now() + timedelta(minutes=1),
            },
        )

    return fifty_guesses


def test_a_network_of_ipv6_is_one_address(log_in, ama):
    statuses = [
        log_in(ama.phone_number, "wrong", address=f"2001:db8:1:1::{n:x}").status_code
        for n in range(1, 8)
    ]
    assert statuses == [400] * 5 + [429] * 2
    assert log_in(ama.phone_number, address="2001:db8:1:2::1").status_code == 200


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:DB8:1:1:2:3:4:5", "2001:db8:1:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_what_counts_as_one_address(address, network):
    assert throttles.network_of(address) == network


def test_registrations_and_codes_are_counted_by_network_too():
    one, other = "2001:db8::1", "2001:db8::2"
    assert throttles.limits_of_registration(address=one) == throttles.limits_of_registration(
        address=other
    )
    assert throttles.limits_of_second_factor(
        user_id="1", address=one
    ) == throttles.limits_of_second_factor(user_id="1", address=other)


def test_whoever_polls_does_not_take_the_owners_try(log_in, ama, fifty_guesses):
    """The owner at an address from which he never logged in."""
    for _ in range(2):
        assert log_in(ama.phone_number, "wrong", address="198.51.100.7").status_code == 400
    fifty_guesses(ama)
    assert log_in(ama.phone_number, address="203.0.113.9").status_code == 429
    let_a_minute_pass()
    for _ in range(20):
        assert log_in(ama.phone_number, "wrong", address="198.51.100.7").status_code == 429
    assert log_in(ama.phone_number, address="203.0.113.9").status_code == 200


def test_where_the_owner_logged_in_before_the_guesses_of_others_do_not_count(
    log_in, ama, fifty_guesses
):
    assert log_in(ama.phone_number, address="2001:db8:9:9::1").status_code == 200
    fifty_guesses(ama)

    assert log_in(ama.phone_number, address="203.0.113.9").status_code == 429
    # The next day the provider gave another address of the same network.
    assert log_in(ama.phone_number, address="2001:db8:9:9:a::7").status_code == 200
    statuses = [
        log_in(ama.phone_number, "wrong", address="2001:db8:9:9::1").status_code for _ in range(7)
    ]
    assert statuses == [400] * 5 + [429] * 2


def test_nor_do_they_keep_the_owner_from_a_new_password_there(
    signed_in, log_in, ama, fifty_guesses
):
    new = {
        "current_password": PASSWORD,
        "new_password": "An0ther!one",
        "confirm_new_password": "An0ther!one",
    }
    client = signed_in(ama)
    log_in(ama.phone_number, address="2001:db8:9:9::1")
    fifty_guesses(ama)

    url = reverse("medics:change-password")
    assert client.post(url, new, REMOTE_ADDR="203.0.113.9").status_code == 429
    assert client.post(url, new, REMOTE_ADDR="2001:db8:9:9:a::7").status_code == 200


def test_an_address_is_known_to_its_own_user_alone(log_in, ama, yaw, fifty_guesses):
    assert log_in(yaw.phone_number, address="203.0.113.9").status_code == 200
    fifty_guesses(ama)

    assert log_in(ama.phone_number, address="203.0.113.9").status_code == 429


def test_few_addresses_are_known_and_none_for_ever(log_in, ama, fifty_guesses):
    addresses = [f"203.0.113.{n}" for n in range(12)]
    for address in [addresses[0], *addresses, addresses[0]]:
        assert log_in(ama.phone_number, address=address).status_code == 200
    known = KnownAddress.objects.filter(user=ama)
    assert known.count() == 10
    assert not known.filter(address_key__contains=".").exists()
    fifty_guesses(ama)
    statuses = [log_in(ama.phone_number, address=address).status_code for address in addresses]
    assert statuses == [200, 429, 429] + [200] * 9

    known.filter(pk__in=known.order_by("seen_at").values("pk")[:4]).update(
        seen_at=timezone.now() - timedelta(days=91)
    )
    call_command("purge_expired")
    assert known.count() == 6


def test_the_admin_site_knows_addresses_too(client, log_in, fifty_guesses):
    operator = PractitionerFactory(is_staff=True)
    form = {"username": operator.phone_number, "password": PASSWORD}
    assert client.post("/admin/login/", form, REMOTE_ADDR="203.0.113.9").status_code == 302
    fifty_guesses(operator)

    client.logout()
    assert client.post("/admin/login/", form, REMOTE_ADDR="203.0.113.9").status_code == 302
    assert log_in(operator.phone_number, address="203.0.113.9").status_code == 200
    assert log_in(operator.phone_number, address="198.51.100.9").status_code == 429


def test_guesses_at_ones_own_password_in_the_admin_site_are_counted_with_the_others(client, log_in):
    operator = PractitionerFactory(is_staff=True)
    client.force_login(operator)
    new = "An0ther!one"

    def change(old, address="198.51.100.1"):
        form = {"old_password": old, "new_password1": new, "new_password2": new}
        answer = client.post("/admin/password_change/", form, REMOTE_ADDR=address)
        return answer.status_code == 302 or str(answer.context["form"].errors)

    told = [change("wrong") for _ in range(7)]
    assert ["throttled" in errors for errors in told] == [False] * 5 + [True] * 2
    assert "throttled" in change(PASSWORD)
    assert log_in(operator.phone_number).status_code == 429
    assert change(PASSWORD, address="203.0.113.9") is True


def test_guesses_at_many_numbers_from_one_address_end(log_in, ama):
    Attempt.objects.create(
        name=throttles.key("login from", "198.51.100.1"),
        number=GUESSES_FROM_AN_ADDRESS.free - 1,
        expires_at=timezone.now() + timedelta(minutes=9),
        next_at=timezone.now(),
    )
    assert log_in("0209999998", "wrong").status_code == 400
    assert log_in("0209999999", "wrong").status_code == 429
    assert log_in(ama.phone_number, address="203.0.113.9").status_code == 200


def test_behind_a_proxy_the_clients_address_counts(anyone, ama, settings):
    body = {"phone_number": ama.phone_number, "password": "wrong"}

    def status(client):
        headers = {"X-Forwarded-For": f"10.1.1.1, {client}"}
        return anyone.post(LOGIN, body, headers=headers).status_code

    assert [status("198.51.100.1") for _ in range(6)] == [400] * 5 + [429]
    assert status("198.51.100.2") == 400


@pytest.mark.django_db(transaction=True)
def test_a_thousand_guesses_from_fifty_threads_hardly_reach_the_password_check(
    ama, monkeypatch, settings
):
    checked = []

    def check(self, password):
        checked.append(password)
        return password == PASSWORD

    monkeypatch.setattr(User, "check_password", check)

    def guess(thread):
        client = APIClient()
        body = {"phone_number": ama.phone_number, "password": "wrong"}
        return [client.post(LOGIN, body).status_code for _ in range(20)]

    start = time.monotonic()
    statuses = list(itertools.chain(*at_once(guess, range(50))))
    seconds = time.monotonic() - start

    assert len(statuses) == 1000
    assert set(statuses) == {400, 429}
    # Five at once, then one after 1, 2, 4, 8, ... seconds.
    assert len(checked) <= 5 + math.log2(1 + seconds) + 1
    answer = APIClient().post(
        LOGIN, {"phone_number": ama.phone_number, "password": PASSWORD}, REMOTE_ADDR="203.0.113.9"
    )
    assert answer.status_code == 200


def test_the_admin_sites_login_is_counted_with_the_others(client, log_in):
    operator = PractitionerFactory(is_staff=True)
    form = {"username": operator.phone_number, "password": "wrong"}
    for _ in range(5):
        page = client.post("/admin/login/", form, REMOTE_ADDR="198.51.100.1")
        assert "Please enter the correct" in page.content.decode()

    page = client.post("/admin/login/", form | {"password": PASSWORD}, REMOTE_ADDR="198.51.100.1")
    assert "throttled" in page.content.decode()
    assert log_in(operator.phone_number).status_code == 429
    page = client.post("/admin/login/", form | {"password": PASSWORD}, REMOTE_ADDR="203.0.113.9")
    assert page.status_code == 302


# Registrations


def let_a_minute_pass():
    Attempt.objects.update(
        next_at=models.F("next_at") - timedelta(minutes=1),
        expires_at=models.F("expires_at") - timedelta(minutes=1),
    )


@pytest.fixture
def register(anyone):
    def register(n, address="198.51.100.1"):
        body = {"full_name": "Ama", "phone_number": f"02441{n:05}", "password": PASSWORD}
        return anyone.post(REGISTER, body, REMOTE_ADDR=address)

    return register


def test_registrations_from_one_address_end_at_three_hundred_an_hour(register):
    Attempt.objects.create(
        name=throttles.key("register from", "198.51.100.1"),
        number=REGISTRATIONS_FROM_AN_ADDRESS.free - 1,
        expires_at=timezone.now() + timedelta(minutes=59),
        next_at=timezone.now(),
    )
    assert register(1).status_code == 201
    assert register(2).status_code == 429
    assert register(2, address="203.0.113.9").status_code == 201
    assert User.objects.count() == 2


def test_registration_can_be_closed(register, settings):
    settings.SELF_REGISTRATION = False
    answer = register(1)
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("Registration is closed.")
    assert not User.objects.exists()


def test_the_limits_are_those_that_were_decided():
    assert GUESSES_AT_A_NUMBER_FROM_AN_ADDRESS.free == 5
    assert (GUESSES_AT_A_NUMBER.free, GUESSES_AT_A_NUMBER.window_seconds) == (50, 3600)
    assert (GUESSES_FROM_AN_ADDRESS.free, GUESSES_FROM_AN_ADDRESS.window_seconds) == (300, 600)


def test_expired_counts_are_purged(log_in):
    log_in("0209999999", "wrong")
    Attempt.objects.filter(name=Attempt.objects.first().name).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    call_command("purge_expired")
    assert Attempt.objects.count() == 2
