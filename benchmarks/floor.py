"""The limit to compare with: both lists and one referral as fast as psycopg2 can be by hand.

The same answers and the same checks of token, session, user and connection as the service's, but
for the errors, which are bare. It knows the first page of ten, practitioners, and technicians of
a single branch; the cursors are null.

    python -m gunicorn -c gunicorn_config.py benchmarks.floor:application
"""

import os
import threading
import uuid
from dataclasses import dataclass
from functools import partial
from math import ceil

import jwt
import orjson
import psycopg2
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "_tetradx.settings")

PAGE_SIZE = 10
STATUSES = ("Completed", "Pending", "Received", "Cancelled")

USER = """
SELECT app_user.id, app_user.user_type, app_user.must_change_password, facility.id,
    ARRAY(SELECT branch_id FROM medics_branchtechnician WHERE user_id = app_user.id)
FROM authentication_session session
JOIN authentication_user app_user ON app_user.id = session.user_id
LEFT JOIN medics_facility facility ON facility.admin_id = app_user.id
WHERE session.id = %s AND session.ended_at IS NULL AND app_user.is_active
"""

TOTALS = "SELECT status, sum(number) FROM medics_referralcount WHERE {counted} GROUP BY status"


def iso(column: str) -> str:
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


# Compact, unlike what json_agg makes.
TESTS = f"""
CROSS JOIN LATERAL (
    SELECT array_to_json(array_agg(row_to_json(test)))::text AS tests,
        array_agg(test.test_type_name) AS test_type_names
    FROM (
        SELECT referral_test.id AS test_id, test.name AS test_name,
            test_type.name AS test_type_name, referral_test.status,
            {iso("referral_test.created_at")} AS created_at
        FROM medics_referraltest referral_test
        JOIN medics_test test ON test.id = referral_test.test_id
        JOIN medics_testtype test_type ON test_type.id = test.test_type_id
        WHERE referral_test.referral_id = referral.id
        ORDER BY referral_test.id
    ) test
) tests
"""

# Subselects are planned in a third of the time of a join of as many tables.
BRANCH_NAME = "(SELECT name FROM medics_facilitybranch WHERE id = referral.facility_branch_id)"
FACILITY_NAME = """(
    SELECT facility.name FROM medics_facility facility
    JOIN medics_facilitybranch branch ON branch.facility_id = facility.id
    WHERE branch.id = referral.facility_branch_id
)"""
DOCTOR = "(SELECT full_name FROM authentication_user WHERE id = referral.referred_by_id)"
ADMIN = """(
    SELECT facility.admin_id FROM medics_facility facility
    JOIN medics_facilitybranch branch ON branch.facility_id = facility.id
    WHERE branch.id = referral.facility_branch_id
)"""

PAGE = f"""
SELECT referral.id, referral.patient_name_or_id, {FACILITY_NAME}, {BRANCH_NAME},
    nullif(referral.clinical_notes, ''), referral.status, {iso("referral.referred_at")},
    tests.tests, tests.test_type_names, {DOCTOR}
FROM (
    SELECT * FROM medics_referral WHERE {{scope}}
    ORDER BY referred_at DESC, id DESC LIMIT {PAGE_SIZE}
) referral
{TESTS}
ORDER BY referral.referred_at DESC, referral.id DESC
"""

REFERRAL = f"""
SELECT referral.id, referral.patient_name_or_id, {FACILITY_NAME}, {BRANCH_NAME},
    nullif(referral.clinical_notes, ''), {DOCTOR}, referral.status,
    {iso("referral.referred_at")}, {iso("referral.updated_at")}, {iso("referral.completed_at")},
    tests.tests, referral.referred_by_id, referral.facility_branch_id, {ADMIN}
FROM medics_referral referral
{TESTS}
WHERE referral.id = %s
"""

PRACTITIONER = "referred_by_id = %s"
BRANCH = "facility_branch_id = %s"
TOTALS_AND_PAGE = {
    scope: (TOTALS.format(counted=counted), PAGE.format(scope=scope))
    for scope, counted in ((PRACTITIONER, "practitioner_id = %s"), (BRANCH, "branch_id = %s"))
}

local = threading.local()


class RefusedError(Exception):
    """With the status line that says so."""


@dataclass
class User:
    id: str
    user_type: str
    must_change_password: bool
    facility_id: int | None
    branch_ids: list[int]


def connect():
    database = settings.DATABASES["default"]
    names = {
        "NAME": "dbname",
        "USER": "user",
        "PASSWORD": "password",
        "HOST": "host",
        "PORT": "port",
    }
    named = {names[key]: value for key, value in database.items() if key in names and value}
    connection = psycopg2.connect(**database["OPTIONS"], **named)
    connection.autocommit = True
    return connection


def get_connection():
    """This thread's, once it has shown that it lives, as CONN_HEALTH_CHECKS has it."""
    try:
        local.connection.cursor().execute("SELECT 1")
    except (AttributeError, psycopg2.Error):
        local.connection = connect()
    return local.connection


def get_user(cursor, environ) -> User:
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    try:
        claims = jwt.decode(token, settings.JWT_SIGNING_KEY, algorithms=["HS256"])
        if scheme != "Bearer" or claims["token_type"] != "access":
            raise RefusedError("401 Unauthorized")
        session_id = str(uuid.UUID(claims["sid"]))
    except (jwt.InvalidTokenError, KeyError, ValueError):
        raise RefusedError("401 Unauthorized") from None
    cursor.execute(USER, [session_id])
    if (row := cursor.fetchone()) is None:
        raise RefusedError("401 Unauthorized")
    user = User(*row)
    if user.must_change_password:
        raise RefusedError("403 Forbidden")
    return user


def practitioner_list(cursor, user: User) -> dict:
    if user.user_type != "Medical Practitioner":
        raise RefusedError("400 Bad Request")
    return referral_list(cursor, PRACTITIONER, user.id, with_doctor=False)


def technician_list(cursor, user: User) -> dict:
    if user.user_type != "Lab Technician" and user.facility_id is None:
        raise RefusedError("400 Bad Request")
    if user.facility_id is not None or len(user.branch_ids) != 1:
        raise RefusedError("501 Not Implemented")
    return referral_list(cursor, BRANCH, user.branch_ids[0], with_doctor=True)


def referral_list(cursor, scope: str, owner: str | int, *, with_doctor: bool) -> dict:
    totals, page = TOTALS_AND_PAGE[scope]
    cursor.execute(totals, [owner])
    counts = dict(cursor.fetchall())
    total = sum(counts.values())
    cursor.execute(page, [owner])
    return {
        "referrals": [list_row(row, with_doctor=with_doctor) for row in cursor.fetchall()],
        "data_summary": {
            "total_referrals": total,
            **{f"total_{status.lower()}": counts.get(status, 0) for status in STATUSES},
        },
        "pagination": {
            "current_page": 1,
            "page_size": PAGE_SIZE,
            "total_pages": max(1, ceil(total / PAGE_SIZE)),
            "total_referrals": total,
            "has_next": total > PAGE_SIZE,
            "has_previous": False,
            "next_cursor": None,
            "previous_cursor": None,
            "total_is_capped": False,
        },
    }


def list_row(row, *, with_doctor: bool) -> dict:
    (referral_id, patient, facility, branch, notes, status, referred_at, tests, types, doctor) = row
    answer = {
        "referral_id": referral_id,
        "patient_name_or_id": patient,
        "facility_name": facility,
        "branch_name": branch,
        "status": status,
        "referred_at": referred_at,
        "tests": orjson.Fragment(tests or "[]"),
        "clinical_notes": notes,
        "test_type_name": ", ".join(dict.fromkeys(types or ())),
    }
    if with_doctor:
        answer["referral_doctor"] = doctor
    return answer


def one_referral(cursor, user: User, *, referral_id: str) -> dict:
    cursor.execute(REFERRAL, [referral_id])
    if (row := cursor.fetchone()) is None:
        raise RefusedError("400 Bad Request")
    *columns, tests, practitioner_id, branch_id, administrator_id = row
    if user.id not in (practitioner_id, administrator_id) and branch_id not in user.branch_ids:
        raise RefusedError("403 Forbidden")
    (referral_id, patient, facility, branch, notes, doctor, status, *times) = columns
    referred_at, updated_at, completed_at = times
    return {
        "referral_id": referral_id,
        "patient_name_or_id": patient,
        "facility_name": facility,
        "branch_name": branch,
        "status": status,
        "referred_at": referred_at,
        "tests": orjson.Fragment(tests or "[]"),
        "referring_doctor": doctor,
        "clinical_notes": notes,
        "updated_at": updated_at,
        "completed_at": completed_at,
    }


LISTS = {
    "/api/medics/referrals/practitioner": practitioner_list,
    "/api/medics/referrals/technician": technician_list,
}
REFERRAL_PATH = "/api/medics/referral/"


def answer(environ) -> bytes:
    path = environ["PATH_INFO"]
    if path in LISTS:
        view, message = LISTS[path], "Referrals retrieved successfully"
    elif path.startswith(REFERRAL_PATH):
        view = partial(one_referral, referral_id=path.removeprefix(REFERRAL_PATH))
        message = "Referral retrieved successfully"
    else:
        raise RefusedError("404 Not Found")
    with get_connection().cursor() as cursor:
        data = view(cursor, get_user(cursor, environ))
    return orjson.dumps({"status": "success", "message": message, "data": data})


def application(environ, start_response):
    try:
        status, body = "200 OK", answer(environ)
    except RefusedError as refused:
        status, body = str(refused), b""
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]
