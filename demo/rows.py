"""The rows of the demo network; their fields are columns, all but those that are derived."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple


class UserRow(NamedTuple):
    id: uuid.UUID
    password: str
    full_name: str
    phone_number: str
    user_type: str
    is_active: bool
    is_staff: bool
    is_superuser: bool
    must_change_password: bool
    date_joined: datetime
    created_at: datetime
    updated_at: datetime


class FacilityRow(NamedTuple):
    id: int
    name: str
    contact_number: str
    admin_id: uuid.UUID
    created_at: datetime


class BranchRow(NamedTuple):
    id: int
    facility_id: int
    name: str
    is_active: bool
    created_at: datetime


class BranchTechnicianRow(NamedTuple):
    id: int
    user_id: uuid.UUID
    branch_id: int
    is_admin: bool
    assigned_at: datetime


class TestTypeRow(NamedTuple):
    id: int
    facility_id: int
    name: str
    description: str
    created_at: datetime


class TestRow(NamedTuple):
    id: int
    test_type_id: int
    name: str
    description: str
    price: Decimal
    created_at: datetime


class PatientRow(NamedTuple):
    id: int
    full_name_or_id: str
    contact_number: str
    created_at: datetime


class ReferralRow(NamedTuple):
    id: str
    facility_branch_id: int
    patient_id: int
    clinical_notes: str
    referred_by_id: uuid.UUID
    status: str
    referred_at: datetime
    updated_at: datetime
    completed_at: datetime | None


class ReferralTestRow(NamedTuple):
    id: int
    referral_id: str
    test_id: int
    status: str
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None


class StatusChangeRow(NamedTuple):
    id: int
    referral_id: str
    referral_test_id: int | None
    from_status: str
    to_status: str
    changed_by_id: uuid.UUID
    changed_at: datetime
