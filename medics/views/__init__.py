from authentication.views import ChangePasswordView

from .catalogue import AddTestTypesView, GetTestsView, GetTestTypesView
from .facilities import AddBranchView, DeactivateBranchView, GetBranchesView, GetFacilitiesView
from .referrals import (
    CreateReferralView,
    GetAndUpdateReferralView,
    GetPractitionerReferralsView,
    GetTechnicianReferralsView,
    UpdateTestStatusView,
)
from .technicians import AddLabTechnicianView

__all__ = [
    "AddBranchView",
    "AddLabTechnicianView",
    "AddTestTypesView",
    "ChangePasswordView",
    "CreateReferralView",
    "DeactivateBranchView",
    "GetAndUpdateReferralView",
    "GetBranchesView",
    "GetFacilitiesView",
    "GetPractitionerReferralsView",
    "GetTechnicianReferralsView",
    "GetTestTypesView",
    "GetTestsView",
    "UpdateTestStatusView",
]
