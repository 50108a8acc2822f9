import pytest
from django.urls import reverse

from authentication.models import Session
from authentication.services import open_session
from tests.factories import PASSWORD, TechnicianFactory
from tests.support.concurrency import at_once
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "An0ther!one"
URL = "/api/medics/change-password"


def change_password(client, **changes):
    body = {
        "current_password": PASSWORD,
        "new_password": NEW_PASSWORD,
        "confirm_new_password": NEW_PASSWORD,
    }
    return client.post(reverse("medics:change-password"), {**body, **changes})


def assert_refused(answer, *, user, field):
    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == [field]
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_the_path_is_the_contracts():
    assert reverse("medics:change-password") == URL


def test_the_password_is_changed(signed_in, ama):
    answer = change_password(signed_in(ama))

    assert answer.status_code == 200
    assert answer.json() == {"status": "success", "message": "Password changed successfully."}
    ama.refresh_from_db()
    assert ama.check_password(NEW_PASSWORD)


def test_the_client_goes_on_with_the_tokens_it_has(anyone, ama):
    token = open_session(user=ama)
    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {token.access_token}")

    change_password(anyone)

    assert anyone.get(reverse("medics:get-practitioner-referrals")).status_code == 200
    body = {"refresh_token": str(token)}
    assert anyone.post(reverse("auth:client-refresh"), body).status_code == 200
    body = {"refresh": str(token)}
    assert anyone.post(reverse("auth:token-refresh"), body).status_code == 200


def test_every_other_session_of_the_user_ends(signed_in, ama, yaw):
    elsewhere, yaws = signed_in(ama), signed_in(yaw)
    other = open_session(user=ama)

    change_password(signed_in(ama))

    assert elsewhere.get(reverse("medics:get-practitioner-referrals")).status_code == 401
    body = {"refresh": str(other)}
    assert elsewhere.post(reverse("auth:token-refresh"), body).status_code == 401
    assert yaws.get(reverse("medics:get-practitioner-referrals")).status_code == 200
    assert Session.objects.open().filter(user=ama).count() == 1


def test_a_wrong_current_password_is_refused(signed_in, ama):
    answer = change_password(signed_in(ama), current_password="Wr0ng-one")

    assert_refused(answer, user=ama, field="current_password")


@pytest.mark.parametrize("is_forced", [False, True])
@pytest.mark.parametrize("new", [PASSWORD, "\N{FULLWIDTH LATIN CAPITAL LETTER P}assw0rd!x"])
def test_the_password_that_one_has_is_no_new_one(signed_in, is_forced, new):
    esi = TechnicianFactory(must_change_password=is_forced)

    answer = change_password(signed_in(esi), new_password=new, confirm_new_password=new)

    assert_refused(answer, user=esi, field="new_password")
    assert esi.must_change_password is is_forced


def test_a_confirmation_that_differs_is_refused(signed_in, ama):
    answer = change_password(signed_in(ama), confirm_new_password="An0ther!two")

    assert_refused(answer, user=ama, field="confirm_new_password")


def test_a_weak_new_password_is_refused(signed_in, ama):
    answer = change_password(signed_in(ama), new_password="weak", confirm_new_password="weak")

    assert_refused(answer, user=ama, field="new_password")


@pytest.mark.parametrize("field", ["current_password", "new_password", "confirm_new_password"])
@pytest.mark.parametrize("value", ["", None, [], "a\x00b"])
def test_a_value_that_is_none_is_refused_under_its_field(signed_in, ama, field, value):
    answer = change_password(signed_in(ama), **{field: value})

    assert_refused(answer, user=ama, field=field)


def test_missing_fields_are_all_named(signed_in, ama):
    answer = signed_in(ama).post(URL, {})

    assert answer.status_code == 400
    assert answer.json()["detail"].keys() == {
        "current_password",
        "new_password",
        "confirm_new_password",
    }


def test_without_a_token_nothing_is_changed(anyone):
    assert change_password(anyone).status_code == 401


def test_a_new_user_may_do_nothing_but_change_the_password(signed_in, laboratory, branch):
    technician = TechnicianFactory(branches=[branch], must_change_password=True)
    client = signed_in(technician)

    for url, method in {
        reverse("medics:get-technician-referrals"): client.get,
        reverse("medics:get-practitioner-referrals"): client.get,
        reverse("medics:get-update-referral", args=["ABCDEFGH12"]): client.get,
        reverse("medics:update-test-status", args=[1]): client.put,
        reverse("medics:create-referral"): client.post,
        reverse("medics:add-branch"): client.post,
        reverse("medics:get-branches", args=[branch.id]): client.delete,
        reverse("medics:add-lab-technician"): client.post,
        reverse("utilities:add-test-types"): client.post,
    }.items():
        answer = method(url)
        assert answer.status_code == 403
        assert answer.json()["code"] == "403"
        assert "password" in answer.json()["detail"]


def test_a_new_user_is_none_once_the_password_is_changed(signed_in, branch):
    technician = TechnicianFactory(branches=[branch], must_change_password=True)
    client = signed_in(technician)

    assert change_password(client).status_code == 200

    technician.refresh_from_db()
    assert not technician.must_change_password
    assert client.get(reverse("medics:get-technician-referrals")).status_code == 200


def test_a_new_user_whose_change_is_refused_stays_one(signed_in):
    technician = TechnicianFactory(must_change_password=True)

    change_password(signed_in(technician), current_password="Wr0ng-one")

    technician.refresh_from_db()
    assert technician.must_change_password


def test_guesses_at_the_current_password_count_with_those_at_a_login(signed_in, anyone, ama):
    client = signed_in(ama)
    wrong = [change_password(client, current_password="wrong").status_code for _ in range(7)]
    login = {"phone_number": ama.phone_number, "password": "wrong"}

    assert wrong == [400] * 5 + [429] * 2
    assert change_password(client).status_code == 429
    assert anyone.post(reverse("auth:login"), login).status_code == 429


def test_a_right_current_password_is_no_guess(signed_in, ama):
    client = signed_in(ama)
    for _ in range(7):
        answer = change_password(client, confirm_new_password="another")
        assert answer.json()["detail"].keys() == {"confirm_new_password"}


def test_a_change_takes_eight_statements(signed_in, ama):
    client = signed_in(ama)

    with statements() as sent:
        change_password(client)

    # the user with the session, whether the address is known, the count of tries and back, the user
    # again under a lock, the session, the password, the other sessions
    assert len(sent) == 8


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_the_first_stands_and_goes_on(signed_in, ama):
    clients = {"Chosen-by-1": signed_in(ama), "Chosen-by-2": signed_in(ama)}

    def change(password):
        return change_password(
            clients[password], new_password=password, confirm_new_password=password
        ).status_code

    answers = dict(zip(clients, at_once(change, list(clients)), strict=True))

    [winner] = [password for password, status in answers.items() if status == 200]
    ama.refresh_from_db()
    assert ama.check_password(winner)
    assert ama.sessions.open().count() == 1
    assert clients[winner].get(reverse("medics:get-practitioner-referrals")).status_code == 200
