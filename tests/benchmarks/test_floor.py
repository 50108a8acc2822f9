import json
from datetime import UTC, datetime
from wsgiref.util import setup_testing_defaults

import pytest
from django.db import connection
from django.urls import reverse

from authentication.services import end_session, open_session
from benchmarks import floor
from medics.choices import TestStatus
from tests.factories import (
    FacilityBranchFactory,
    PatientFactory,
    PractitionerFactory,
    ReferralFactory,
    TechnicianFactory,
    TestFactory,
)

CURSORS = ("next_cursor", "previous_cursor")


@pytest.fixture
def on_the_floor(db, monkeypatch):
    """Calls the floor as a user, within the test's own transaction."""
    monkeypatch.setattr(floor, "connect", lambda: connection.connection)
    monkeypatch.setattr(floor.local, "connection", None, raising=False)

    def get(path, token):
        environ = {"PATH_INFO": path, "HTTP_AUTHORIZATION": f"Bearer {token}"}
        setup_testing_defaults(environ)
        started = []
        body = b"".join(floor.application(environ, lambda *start: started.append(start)))
        return int(started[0][0].split()[0]), json.loads(body or "null")

    return get


def access_token(user):
    return open_session(user=user).access_token


def without_cursors(answer):
    if pagination := answer["data"].get("pagination"):
        pagination.update(dict.fromkeys(CURSORS))
    return answer


@pytest.fixture
def referrals(referral, ama, branch, blood_count, sickling, laboratory):
    """Fifteen of Ama's at the branch beside the first: every status, with and without notes."""
    chemistry = TestFactory(test_type__facility=laboratory, test_type__name="CHEMISTRY")
    for n in range(15):
        status = TestStatus.values[n % 3]
        is_completed = status == TestStatus.COMPLETED
        # One with microseconds, the next without: Python writes them in two ways.
        at = datetime(2026, 3, 2, 8, n, microsecond=n % 2 * 120_000, tzinfo=UTC)
        ReferralFactory(
            referred_by=ama,
            facility_branch=branch,
            patient=PatientFactory(full_name_or_id=f'Akosua "Ɔ" {n}'),
            clinical_notes="" if n % 2 else "Fever for three days.",
            status=status,
            referred_at=at,
            completed_at=at if is_completed else None,
            tests=[sickling, chemistry, blood_count][: 1 + n % 3],
        )
    ReferralFactory(referred_by=ama, tests=[])
    ReferralFactory(facility_branch=branch)


@pytest.mark.parametrize(
    ("who", "route"),
    [("ama", "get-practitioner-referrals"), ("kofi", "get-technician-referrals")],
)
def test_the_floor_lists_what_the_service_lists(
    who, route, request, referrals, signed_in, on_the_floor
):
    user = request.getfixturevalue(who)
    path = reverse(f"medics:{route}")
    expected = signed_in(user).get(path).json()
    assert len(expected["data"]["referrals"]) == 10
    assert on_the_floor(path, access_token(user)) == (200, without_cursors(expected))


@pytest.mark.parametrize("who", ["yaw", "kofi"])
def test_the_floor_lists_nothing_where_there_is_nothing(
    who, request, branch, signed_in, on_the_floor
):
    user = request.getfixturevalue(who)
    route = "practitioner" if who == "yaw" else "technician"
    path = reverse(f"medics:get-{route}-referrals")
    expected = signed_in(user).get(path).json()
    assert expected["data"]["referrals"] == []
    assert on_the_floor(path, access_token(user)) == (200, expected)


@pytest.mark.parametrize("who", ["ama", "kofi", "efua"])
def test_the_floor_shows_one_referral_as_the_service_does(
    who, request, referrals, ama, signed_in, on_the_floor
):
    user = request.getfixturevalue(who)
    shown = ama.referrals.filter(facility_branch__name="Osu")
    assert shown.count() == 16
    for referral_id in shown.values_list("id", flat=True):
        path = reverse("medics:get-update-referral", args=[referral_id])
        expected = signed_in(user).get(path).json()
        assert on_the_floor(path, access_token(user)) == (200, expected)


def test_the_floor_refuses_whom_the_service_refuses(referral, ama, yaw, kofi, on_the_floor):
    path = reverse("medics:get-update-referral", args=[referral.id])
    practitioners = reverse("medics:get-practitioner-referrals")
    assert on_the_floor(path, access_token(yaw))[0] == 403
    assert on_the_floor(practitioners, access_token(kofi))[0] == 400

    refresh = open_session(user=ama)
    assert on_the_floor(path, refresh)[0] == 401
    assert on_the_floor(path, "nonsense")[0] == 401
    assert on_the_floor(path, refresh.access_token)[0] == 200
    end_session(refresh=str(refresh))
    assert on_the_floor(path, refresh.access_token)[0] == 401

    disabled = PractitionerFactory(is_active=False)
    assert on_the_floor(practitioners, access_token(disabled))[0] == 401
    new = PractitionerFactory(must_change_password=True)
    assert on_the_floor(practitioners, access_token(new))[0] == 403


def test_the_floor_says_that_it_knows_no_more(branch, on_the_floor):
    of_two = TechnicianFactory(branches=[branch, FacilityBranchFactory(facility=branch.facility)])
    path = reverse("medics:get-technician-referrals")
    assert on_the_floor(path, access_token(of_two))[0] == 501
    assert on_the_floor("/api/medics/facilities", access_token(of_two))[0] == 404


def test_the_floor_connects_by_the_settings_and_keeps_the_connection(db):
    try:
        first = floor.get_connection()
        assert floor.get_connection() is first
        with first.cursor() as cursor:
            cursor.execute("SELECT current_database(), current_setting('statement_timeout')")
            assert cursor.fetchone() == (connection.settings_dict["NAME"], "30s")
        first.close()
        second = floor.get_connection()
        assert second is not first
    finally:
        floor.local.connection.close()
        del floor.local.connection
