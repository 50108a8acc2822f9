from ..choices import TestStatus
from .catalogue import Test, TestType
from .facility import BranchTechnician, Facility, FacilityBranch
from .patient import Patient
from .referral import Referral, ReferralTest, StatusChange

__all__ = [
    "BranchTechnician",
    "Facility",
    "FacilityBranch",
    "Patient",
    "Referral",
    "ReferralTest",
    "StatusChange",
    "Test",
    "TestStatus",
    "TestType",
]
