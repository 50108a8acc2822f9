from django.urls import path, register_converter

from . import views
from .converters import ReferralIdConverter

register_converter(ReferralIdConverter, "referral_id")

app_name = "medics"

urlpatterns = [
    path("facilities", views.GetFacilitiesView.as_view(), name="get-facilities"),
    path(
        "facilities/<row_id:facility_id>/branches",
        views.GetBranchesView.as_view(),
        name="get-branches-by-facility",
    ),
    path(
        "facilities/<row_id:facility_id>/test-types",
        views.GetTestTypesView.as_view(),
        name="get-test-types-by-facility",
    ),
    path(
        "test-types/<row_id:test_type_id>/tests",
        views.GetTestsView.as_view(),
        name="get-tests-by-test-type",
    ),
    path("branches/add", views.AddBranchView.as_view(), name="add-branch"),
    path(
        "branches/deactivate/<row_id:branch_id>",
        views.DeactivateBranchView.as_view(),
        name="get-branches",
    ),
    path("lab-technicians/add", views.AddLabTechnicianView.as_view(), name="add-lab-technician"),
    path("change-password", views.ChangePasswordView.as_view(), name="change-password"),
    path("referral", views.CreateReferralView.as_view(), name="create-referral"),
    path(
        "referral/<referral_id:referral_id>",
        views.GetAndUpdateReferralView.as_view(),
        name="get-update-referral",
    ),
    path(
        "referrals/practitioner",
        views.GetPractitionerReferralsView.as_view(),
        name="get-practitioner-referrals",
    ),
    path(
        "referrals/technician",
        views.GetTechnicianReferralsView.as_view(),
        name="get-technician-referrals",
    ),
    path(
        "referral-tests/<row_id:referral_test_id>/status",
        views.UpdateTestStatusView.as_view(),
        name="update-test-status",
    ),
]
