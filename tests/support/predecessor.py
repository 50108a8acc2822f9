"""A database of the predecessor: its tables, and rows that a test adds by plain SQL."""

import itertools
import uuid
from contextlib import closing
from typing import Any

import psycopg2
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from psycopg2 import sql

PASSWORD = "Old-Passw0rd"
HASH = PBKDF2PasswordHasher().encode(PASSWORD, "saltsaltsalt", iterations=1000)
MORNING, NOON, EVENING = (f"2025-02-03 {hour}:00:00+00" for hour in ("08", "12", "18"))

SCHEMA = """
CREATE TABLE "User" (
    id uuid PRIMARY KEY, password varchar(128) NOT NULL, last_login timestamptz,
    is_superuser boolean NOT NULL, username varchar(150) NOT NULL,
    first_name varchar(150) NOT NULL, last_name varchar(150) NOT NULL, email varchar(254) NOT NULL,
    is_staff boolean NOT NULL, is_active boolean NOT NULL, date_joined timestamptz NOT NULL,
    full_name varchar(255), phone_number varchar(15) UNIQUE, user_type varchar(30) NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
);
CREATE TABLE "Facility" (
    id bigint PRIMARY KEY, name varchar(255), contact_number varchar(15),
    created_at timestamptz NOT NULL, admin_id uuid REFERENCES "User"
);
CREATE TABLE "Facility_Branch" (
    id bigint PRIMARY KEY, name varchar(255), created_at timestamptz NOT NULL,
    facility_id bigint REFERENCES "Facility", is_active boolean NOT NULL
);
CREATE TABLE "Branch_Technician" (
    id bigint PRIMARY KEY, is_admin boolean NOT NULL, assigned_at timestamptz NOT NULL,
    user_id uuid REFERENCES "User", branch_id bigint REFERENCES "Facility_Branch",
    UNIQUE (user_id, branch_id)
);
CREATE TABLE "TestType" (
    id bigint PRIMARY KEY, name varchar(255), description text, created_at timestamptz NOT NULL,
    facility_id bigint REFERENCES "Facility"
);
CREATE TABLE "Test" (
    id bigint PRIMARY KEY, name varchar(255), description text, created_at timestamptz NOT NULL,
    test_type_id bigint REFERENCES "TestType", price numeric(10, 2) NOT NULL
);
CREATE TABLE "Patient" (
    id bigint PRIMARY KEY, contact_number varchar(15), created_at timestamptz NOT NULL,
    full_name_or_id varchar(255)
);
CREATE TABLE "Referral" (
    id varchar(10) PRIMARY KEY, clinical_notes text, status varchar(10) NOT NULL,
    referred_at timestamptz NOT NULL, patient_id bigint NOT NULL REFERENCES "Patient",
    referred_by_id uuid REFERENCES "User", completed_at timestamptz,
    updated_at timestamptz NOT NULL, facility_branch_id bigint REFERENCES "Facility_Branch"
);
CREATE TABLE "ReferralTest" (
    id bigint PRIMARY KEY, referral_id varchar(10) NOT NULL REFERENCES "Referral",
    test_id bigint NOT NULL REFERENCES "Test", created_at timestamptz NOT NULL,
    status varchar(10) NOT NULL, completed_at timestamptz, updated_at timestamptz NOT NULL,
    UNIQUE (referral_id, test_id)
);
"""

COMMON: dict[str, dict[str, Any]] = {
    "User": {
        "password": HASH,
        "last_login": None,
        "is_superuser": False,
        "first_name": "",
        "last_name": "",
        "email": "",
        "is_staff": False,
        "is_active": True,
        "date_joined": MORNING,
        "full_name": "Ama Serwaa",
        "user_type": "Medical Practitioner",
        "created_at": MORNING,
        "updated_at": NOON,
    },
    "Facility": {"contact_number": None, "created_at": MORNING, "admin_id": None},
    "Facility_Branch": {"created_at": MORNING, "is_active": True},
    "Branch_Technician": {"is_admin": False, "assigned_at": MORNING},
    "TestType": {"description": None, "created_at": MORNING},
    "Test": {"description": None, "created_at": MORNING, "price": "12.50"},
    "Patient": {"contact_number": None, "created_at": MORNING},
    "Referral": {
        "clinical_notes": None,
        "status": "Pending",
        "referred_at": MORNING,
        "completed_at": None,
        "updated_at": NOON,
    },
    "ReferralTest": {
        "created_at": MORNING,
        "status": "Pending",
        "completed_at": None,
        "updated_at": NOON,
    },
}


class Predecessor:
    """A predecessor's database. Every row is committed, so that other sessions see it."""

    def __init__(self, url: str):
        self.url = url
        self.connection = psycopg2.connect(url)
        self.connection.autocommit = True
        self.numbers = itertools.count(1)

    def execute(self, statement: Any, values: Any = None) -> list[tuple]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def empty(self) -> None:
        tables = ", ".join(f'"{table}"' for table in COMMON)
        self.execute(f"TRUNCATE {tables}")

    def add(self, table: str, **columns: Any) -> Any:
        """Add a row; return its id. A column that is not given has its usual value."""
        number = next(self.numbers)
        row = {"id": number, **COMMON[table], **columns}
        if table == "User":
            row["id"] = str(columns.get("id", uuid.uuid4()))
            row.setdefault("phone_number", f"0244{number:06}")
            row.setdefault("username", row["phone_number"] or f"person{number}")
        if table == "Referral":
            row["id"] = columns.get("id", f"REF{number:07}")
        self.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(map(sql.Placeholder, row)),
            ),
            row,
        )
        return row["id"]


def make_database(server_url: str, name: str) -> str:
    """Create a predecessor's database on the server of the URL; return the new database's URL."""
    with closing(psycopg2.connect(server_url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = f"{server_url.rpartition('/')[0]}/{name}"
    with closing(psycopg2.connect(url)) as connection, connection:
        connection.cursor().execute(SCHEMA)
    return url


def drop_database(server_url: str, name: str) -> None:
    with closing(psycopg2.connect(server_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )
