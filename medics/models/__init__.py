from ..choices import TestStatus
from .catalogue import CatalogueChange, Test, TestType
from .facility import BranchTechnician, Facility, FacilityBranch
from .patient import Patient
from .referral import Referral, ReferralTest, StatusChange
from .repeats import ReferralRequest
from .totals import ReferralCount

__all__ = [
    "BranchTechnician",
    "CatalogueChange",
    "Facility",
    "FacilityBranch",
    "Patient",
    "Referral",
    "ReferralCount",
    "ReferralRequest",
    "ReferralTest",
    "StatusChange",
    "Test",
    "TestStatus",
    "TestType",
]
