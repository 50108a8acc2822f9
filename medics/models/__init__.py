from ..choices import ReferralStatus, TestStatus
from ..idempotency.models import ReferralRequest
from .catalogue import CatalogueChange, Test, TestType
from .facility import BranchTechnician, Facility, FacilityBranch
from .history import Action, Change, HistoryEntry
from .patient import Patient
from .referral import Referral, ReferralTest, StatusChange
from .totals import ReferralCount

__all__ = [
    "Action",
    "BranchTechnician",
    "CatalogueChange",
    "Change",
    "Facility",
    "FacilityBranch",
    "HistoryEntry",
    "Patient",
    "Referral",
    "ReferralCount",
    "ReferralRequest",
    "ReferralStatus",
    "ReferralTest",
    "StatusChange",
    "Test",
    "TestStatus",
    "TestType",
]
