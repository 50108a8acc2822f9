from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from authentication.models import Session, User
from authentication.services import open_session
from tests.factories import UserFactory

LIST = "/admin/authentication/session/"


def end(client, *sessions: Session):
    chosen = {"action": "end_sessions", "_selected_action": [session.pk for session in sessions]}
    return client.post(LIST, chosen)


@pytest.fixture
def kofis_phone(kofi, signed_in):
    return signed_in(kofi)


def test_a_session_is_ended(superuser, kofi, kofis_phone, ama):
    open_session(user=ama)

    end(superuser, Session.objects.get(user=kofi))

    assert kofis_phone.get("/api/medics/referrals/technician").status_code == 401
    assert Session.objects.open().get().user == ama


def test_only_operators_who_may_change_sessions_end_them(browser, kofi, kofis_phone):
    onlooker = UserFactory(is_staff=True)
    viewing = Permission.objects.get(
        codename="view_session", content_type__app_label="authentication"
    )
    onlooker.user_permissions.add(viewing)

    end(browser(User.objects.get(pk=onlooker.pk)), Session.objects.get())

    assert Session.objects.open().filter(user=kofi).exists()


def test_open_and_ended_sessions_are_two_lists(superuser, ama, kofi, yaw):
    for user in (ama, kofi, yaw):
        open_session(user=user)
    kofi.sessions.all().end()
    yaw.sessions.update(expires_at=timezone.now() - timedelta(seconds=1))

    listed = {
        state: {row.user for row in superuser.get(LIST, {"state": state}).context["cl"].result_list}
        for state in ("open", "ended")
    }

    assert listed == {"open": {ama}, "ended": {kofi, yaw}}


def test_sessions_are_found_by_number(superuser, kofi):
    user = UserFactory(phone_number="0244123456")
    open_session(user=user)
    open_session(user=kofi)

    found = superuser.get(LIST, {"q": "+233 24 412 3456"}).context["cl"].result_list

    assert [session.user for session in found] == [user]
