"""The predecessor's tables, in the order in which rows point at each other, and what we keep.

On the way each stands in a temporary table of ours, where the rules mend it.
"""

from dataclasses import dataclass
from typing import NamedTuple

from django.db import models

from authentication.models import User
from medics.models import (
    BranchTechnician,
    Facility,
    FacilityBranch,
    Patient,
    Referral,
    ReferralTest,
    Test,
    TestType,
)


class Column(NamedTuple):
    name: str
    type: str
    kept: bool = True  # False where no column of ours has its place
    blank: bool = False  # whether ours says '' where the predecessor says null


@dataclass(frozen=True)
class Table:
    name: str
    model: type[models.Model]
    columns: tuple[Column, ...]
    # What the rules need beside, and what is derived for ours, as the definition of columns.
    derived: str = ""

    @property
    def staging(self) -> str:
        return f"predecessor_{self.name.lower()}"

    @property
    def target(self) -> str:
        return self.model._meta.db_table

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def kept(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.kept)


CREATED_AT = Column("created_at", "timestamptz")
UPDATED_AT = Column("updated_at", "timestamptz")
COMPLETED_AT = Column("completed_at", "timestamptz")
ID = Column("id", "bigint")
NAME = Column("name", "text")
STATUS = Column("status", "text")
CONTACT_NUMBER = Column("contact_number", "text", blank=True)
DESCRIPTION = Column("description", "text", blank=True)

TABLES = (
    Table(
        "User",
        User,
        (
            Column("id", "uuid"),
            Column("password", "text"),
            Column("last_login", "timestamptz"),
            Column("is_superuser", "boolean"),
            Column("username", "text", kept=False),
            Column("first_name", "text", kept=False),
            Column("last_name", "text", kept=False),
            Column("email", "text", kept=False),
            Column("is_staff", "boolean"),
            Column("is_active", "boolean"),
            Column("date_joined", "timestamptz"),
            Column("full_name", "text"),
            Column("phone_number", "text"),
            Column("user_type", "text"),
            CREATED_AT,
            UPDATED_AT,
        ),
        "cleaned text, phone_key text, is_number boolean",
    ),
    Table(
        "Facility",
        Facility,
        (ID, NAME, CONTACT_NUMBER, CREATED_AT, Column("admin_id", "uuid")),
    ),
    Table(
        "Facility_Branch",
        FacilityBranch,
        (ID, NAME, CREATED_AT, Column("facility_id", "bigint"), Column("is_active", "boolean")),
    ),
    Table(
        "Branch_Technician",
        BranchTechnician,
        (
            ID,
            Column("is_admin", "boolean"),
            Column("assigned_at", "timestamptz"),
            Column("user_id", "uuid"),
            Column("branch_id", "bigint"),
        ),
    ),
    Table(
        "TestType",
        TestType,
        (ID, NAME, DESCRIPTION, CREATED_AT, Column("facility_id", "bigint")),
    ),
    Table(
        "Test",
        Test,
        (
            ID,
            NAME,
            DESCRIPTION,
            CREATED_AT,
            Column("test_type_id", "bigint"),
            Column("price", "numeric(10, 2)"),
        ),
        "copy_of bigint",
    ),
    Table(
        "Patient",
        Patient,
        (ID, CONTACT_NUMBER, CREATED_AT, Column("full_name_or_id", "text")),
    ),
    Table(
        "Referral",
        Referral,
        (
            Column("id", "text"),
            Column("clinical_notes", "text", blank=True),
            STATUS,
            Column("referred_at", "timestamptz"),
            Column("patient_id", "bigint"),
            Column("referred_by_id", "uuid"),
            COMPLETED_AT,
            UPDATED_AT,
            Column("facility_branch_id", "bigint"),
        ),
    ),
    Table(
        "ReferralTest",
        ReferralTest,
        (
            ID,
            Column("referral_id", "text"),
            Column("test_id", "bigint"),
            CREATED_AT,
            STATUS,
            COMPLETED_AT,
            UPDATED_AT,
        ),
    ),
)
TABLE = {table.name: table for table in TABLES}
