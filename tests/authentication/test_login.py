import itertools
from collections import Counter

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher, make_password
from django.db import connection
from django.urls import reverse
from django.utils.dateparse import parse_datetime

from authentication.models import Session, User
from authentication.services import change_password
from authentication.tokens import AccessToken, RefreshToken
from tests.factories import (
    PASSWORD,
    FacilityBranchFactory,
    PractitionerFactory,
    TechnicianFactory,
)
from tests.support.concurrency import while_open
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

REFUSED = {
    "status": "error",
    "code": "400",
    "detail": {"phone_number_and_password": ["Invalid phone number or password."]},
}


@pytest.fixture
def log_in(anyone):
    def log_in(phone_number, password=PASSWORD):
        credentials = {"phone_number": phone_number, "password": password}
        return anyone.post(reverse("auth:login"), credentials)

    return log_in


def test_the_path_is_the_contracts():
    assert reverse("auth:login") == "/api/auth/login"


def test_a_practitioner_logs_in(log_in, ama):
    answer = log_in(ama.phone_number)

    assert answer.status_code == 200
    body = answer.json()
    assert body.keys() == {"status", "message", "data"}
    assert body["status"] == "success"
    assert body["message"] == "Login successful"
    assert body["data"].keys() == {"refresh_token", "access_token", "user_data"}
    assert body["data"]["user_data"] == {
        "id": str(ama.id),
        "full_name": "Ama Serwaa",
        "phone_number": ama.phone_number,
        "user_type": "Medical Practitioner",
        "date_joined": body["data"]["user_data"]["date_joined"],
    }
    assert body["data"]["user_data"]["date_joined"].endswith("Z")
    assert parse_datetime(body["data"]["user_data"]["date_joined"]) == ama.date_joined


def test_the_tokens_belong_to_a_session_that_opens(log_in, ama):
    data = log_in(ama.phone_number).json()["data"]

    session = Session.objects.get(user=ama)
    assert session.ended_at is None
    assert AccessToken(data["access_token"]).session_id == session.id
    assert RefreshToken(data["refresh_token"]).session_id == session.id


def test_tokens_live_for_fifteen_minutes_and_twelve_hours(log_in, ama):
    data = log_in(ama.phone_number).json()["data"]

    access = AccessToken(data["access_token"])
    refresh = RefreshToken(data["refresh_token"])
    assert access["exp"] - access["iat"] == 15 * 60
    assert refresh["exp"] - refresh["iat"] == 12 * 3600


def test_the_access_token_opens_the_door(log_in, anyone, efua, laboratory):
    token = log_in(efua.phone_number).json()["data"]["access_token"]
    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    assert anyone.post(reverse("medics:add-branch"), {"name": "Tema"}).status_code == 201


def test_a_technician_is_told_facility_and_branches(log_in, kofi, branch, laboratory):
    user_data = log_in(kofi.phone_number).json()["data"]["user_data"]

    assert user_data == {
        "id": str(kofi.id),
        "full_name": "Kofi Boateng",
        "phone_number": kofi.phone_number,
        "user_type": "Lab Technician",
        "date_joined": user_data["date_joined"],
        "is_new_user": False,
        "is_admin": False,
        "facility": {"id": laboratory.id, "name": "Korle Laboratory"},
        "branches": [{"id": str(branch.id), "name": "Osu"}],
    }


def test_an_administrator_is_told_the_facility_without_a_branch(log_in, efua, laboratory):
    user_data = log_in(efua.phone_number).json()["data"]["user_data"]

    assert user_data["is_admin"] is True
    assert user_data["facility"] == {"id": laboratory.id, "name": "Korle Laboratory"}
    assert user_data["branches"] == []


def test_a_technician_without_a_branch_has_no_facility(log_in):
    user_data = log_in(TechnicianFactory().phone_number).json()["data"]["user_data"]

    assert user_data["is_admin"] is False
    assert user_data["facility"] is None
    assert user_data["branches"] == []


def test_whoever_must_change_the_password_is_a_new_user(log_in):
    technician = TechnicianFactory(must_change_password=True)

    assert log_in(technician.phone_number).json()["data"]["user_data"]["is_new_user"] is True


@pytest.mark.parametrize(
    "spelling",
    [
        "0244123456",
        " 024 412 3456",
        "+233 24 412 3456",
        "(024) 412-3456",
        "233244123456",
        "00233244123456",
        "\u202a+233 24 412 3456\u202c",
        "\u2068024\u00ad4123456\u2069\ufeff",
    ],
)
def test_every_spelling_of_the_number_is_found(log_in, spelling):
    PractitionerFactory(phone_number="0244123456")

    answer = log_in(spelling)

    assert answer.status_code == 200
    assert answer.json()["data"]["user_data"]["phone_number"] == "0244123456"


def test_two_zeros_before_another_country_are_a_plus(log_in):
    PractitionerFactory(phone_number="+44 7911 123456")

    assert log_in("0044 7911 123456").status_code == 200


def test_a_number_of_no_region_is_found_by_its_digits(log_in):
    PractitionerFactory(phone_number="+1234567")

    assert log_in("123 45-67").status_code == 200


@pytest.mark.parametrize("password", ["passw0rd!x", f"{PASSWORD} ", f" {PASSWORD}", "x"])
def test_a_wrong_password_is_refused(log_in, ama, password):
    answer = log_in(ama.phone_number, password)

    assert answer.status_code == 400
    assert answer.json() == REFUSED
    assert not Session.objects.exists()


@pytest.mark.parametrize("number", ["0200000000", "nobody", "+", "1" * 300, "é" * 300])
def test_an_unknown_number_is_refused_in_the_same_words(log_in, number):
    answer = log_in(number)

    assert answer.status_code == 400
    assert answer.json() == REFUSED


def test_a_disabled_account_is_refused_in_the_same_words(log_in):
    ama = PractitionerFactory(is_active=False)

    answer = log_in(ama.phone_number)

    assert answer.status_code == 400
    assert answer.json() == REFUSED
    assert not Session.objects.exists()


TYPED, STORED = "Pa\u0301ssw0rd!x", "P\u00e1ssw0rd!x"


@pytest.mark.parametrize(("chosen", "typed"), [(TYPED, STORED), (STORED, TYPED), (TYPED, TYPED)])
def test_a_password_is_the_same_whatever_keyboard_typed_it(log_in, chosen, typed):
    PractitionerFactory(phone_number="0244123456", password=chosen)

    assert log_in("0244123456", typed).status_code == 200


def test_a_password_whose_hash_is_of_another_spelling_is_good_in_that_one_once(log_in, ama):
    User.objects.filter(pk=ama.pk).update(password=make_password(TYPED))

    assert log_in(ama.phone_number, STORED).status_code == 400
    assert log_in(ama.phone_number, TYPED).status_code == 200
    assert log_in(ama.phone_number, STORED).status_code == 200


@pytest.mark.parametrize("whose", ["known", "unknown", "disabled", "without a password"])
@pytest.mark.parametrize(("typed", "hashes"), [("Wr0ng-one", 1), (TYPED, 2)])
def test_known_and_unknown_numbers_cost_the_same_hashes(
    log_in, settings, monkeypatch, whose, typed, hashes
):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    monkeypatch.setattr(PBKDF2PasswordHasher, "iterations", 1000)
    ama = PractitionerFactory(phone_number="0244123456", is_active=whose != "disabled")
    if whose == "without a password":
        ama.set_unusable_password()
        ama.save()
    hashed = []
    encode = PBKDF2PasswordHasher.encode

    def count(self, password, salt, iterations=None):
        hashed.append(iterations or self.iterations)
        return encode(self, password, salt, iterations)

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", count)

    log_in("0200000000" if whose == "unknown" else "0244123456", typed)

    assert hashed == [1000] * hashes


@pytest.mark.parametrize(
    ("whose", "is_older_about"),
    [
        ("costliest", True),
        ("older", True),
        *itertools.product(
            ("of today", "nobody's", "disabled", "without a password"), (True, False)
        ),
    ],
)
@pytest.mark.parametrize("typed", ["Wr0ng-one", TYPED])
def test_while_older_hashes_exist_every_refusal_costs_what_the_costliest_does(
    log_in, settings, monkeypatch, is_older_about, whose, typed
):
    settings.PASSWORD_HASHERS = [
        "authentication.hashers.OneAtATimeArgon2Hasher",
        "authentication.hashers.OneAtATimePBKDF2Hasher",
    ]
    today = "argon2$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA"
    spent = Counter()

    def pbkdf2(self, password, salt, iterations=None):
        spent["pbkdf2"] += iterations
        return f"pbkdf2_sha256${iterations}$salt$none"

    def argon2(self, password, salt_or_encoded):
        spent["argon2"] += 1
        return "" if "$" in salt_or_encoded else today

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", pbkdf2)
    monkeypatch.setattr(Argon2PasswordHasher, "encode", argon2)
    monkeypatch.setattr(Argon2PasswordHasher, "verify", argon2)
    hashes = {
        "of today": today,
        "disabled": today,
        "without a password": "!",
        "older": "pbkdf2_sha256$90000$salt$hash",
        "costliest": "pbkdf2_sha256$1000000$salt$hash",
    }
    number = "0244123456"
    user = User(phone_number=number, password=hashes.get(whose, ""), is_active=whose != "disabled")
    User.objects.bulk_create([user] if whose in hashes else [])
    if is_older_about:
        others = (hashes["older"], hashes["costliest"], "pbkdf2_sha256$none$", "md5$salt$hash")
        User.objects.bulk_create(
            User(phone_number=f"02000000{n:02}", password=password)
            for n, password in enumerate(others)
        )
    spent.clear()

    assert log_in(number, typed).status_code == 400

    tries = 1 if typed == "Wr0ng-one" else 2
    expected = {"argon2": tries} | ({"pbkdf2": 1_000_000 * tries} if is_older_about else {})
    assert spent == expected


def test_the_costliest_older_hash_is_found_by_an_index(ama):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    with statements() as sent:
        User.objects.find_for_login(phone_number=ama.phone_number, address_key="")

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sent[0]}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "older_hashes" in plan
    assert "Seq Scan on authentication_user" not in plan


def test_missing_fields_are_named(anyone):
    answer = anyone.post(reverse("auth:login"), {})

    assert answer.status_code == 400
    assert answer.json()["detail"].keys() == {"phone_number", "password"}


@pytest.mark.parametrize("field", ["phone_number", "password"])
def test_nul_is_refused_under_its_field(anyone, field):
    credentials = {"phone_number": "0244123456", "password": PASSWORD, field: "a\x00"}

    answer = anyone.post(reverse("auth:login"), credentials)

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == [field]


def test_a_dead_token_does_not_matter(anyone, log_in, ama):
    anyone.credentials(HTTP_AUTHORIZATION="Bearer dead")

    assert log_in(ama.phone_number).status_code == 200


def test_a_login_is_noted_on_the_user(log_in, ama):
    log_in(ama.phone_number)

    ama.refresh_from_db()
    assert ama.last_login is not None


def test_each_login_opens_a_session_of_its_own(log_in, ama):
    log_in(ama.phone_number)
    log_in(ama.phone_number)

    assert Session.objects.open().filter(user=ama).count() == 2


@pytest.mark.parametrize("branches", [1, 5])
def test_a_technician_logs_in_with_six_statements(log_in, laboratory, branches):
    technician = TechnicianFactory(
        branches=FacilityBranchFactory.create_batch(branches, facility=laboratory)
    )

    with statements() as sent:
        log_in(technician.phone_number)

    # the user, the count of tries and back, the login noted with its address, the session, the
    # branches
    assert len(sent) == 6


def test_a_practitioner_logs_in_with_five_statements(log_in, ama):
    with statements() as sent:
        log_in(ama.phone_number)

    # the user, the count of tries and back, the login noted with its address, the session
    assert len(sent) == 5


@pytest.mark.django_db(transaction=True)
def test_a_login_while_the_password_is_being_changed_is_by_the_new_one(log_in, ama):
    late = while_open(
        lambda: change_password(user=ama, new_password="An0ther-pass"),
        lambda: log_in(ama.phone_number),
    )

    assert late.status_code == 400
    assert not ama.sessions.open().exists()


@pytest.mark.django_db(transaction=True)
def test_a_login_while_the_account_is_being_disabled_opens_no_session(log_in, ama):
    late = while_open(
        lambda: User.objects.filter(pk=ama.pk).update(is_active=False),
        lambda: log_in(ama.phone_number),
    )

    assert late.status_code == 400
    assert not ama.sessions.open().exists()


@pytest.mark.django_db(transaction=True)
def test_a_login_while_another_one_renews_the_old_hash_is_let_in(log_in, ama):
    old = make_password(PASSWORD, hasher="pbkdf2_sha256")
    User.objects.filter(pk=ama.pk).update(password=old)

    late = while_open(
        lambda: User.objects.get(pk=ama.pk).check_password(PASSWORD),
        lambda: log_in(ama.phone_number),
    )

    assert late.status_code == 200
    assert ama.sessions.open().count() == 1


def test_an_old_hash_is_renewed_but_never_over_a_changed_password(ama):
    old = make_password(PASSWORD, hasher="pbkdf2_sha256")
    User.objects.filter(pk=ama.pk).update(password=old)
    loaded_before = User.objects.get(pk=ama.pk)

    assert User.objects.get(pk=ama.pk).check_password(PASSWORD)
    assert User.objects.get(pk=ama.pk).password.startswith("md5$")

    change_password(user=User.objects.get(pk=ama.pk), new_password="An0ther-pass")
    assert loaded_before.check_password(PASSWORD)
    assert User.objects.get(pk=ama.pk).check_password("An0ther-pass")
