"""Clinical records, and how they came to be what they are: to look at. Of it all only a patient's
particulars can be corrected."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from _tetradx.api.exceptions import Conflict
from authentication.admin import (
    ConflictAdmin,
    PhoneNumberField,
    PhoneSearchAdmin,
    ReadOnlyMixin,
)

from ..models import Facility, FacilityBranch, Patient, Referral, ReferralTest, StatusChange
from ..services.patients import EqualsAnotherError, correct_patient, refuse_equal
from .base import NewestInline, facility_filter
from .cancelling import CancellingMixin
from .history import HistoryMixin
from .reading import PatientDataMixin


class ReferralTestInline(NewestInline):
    model = ReferralTest
    verbose_name_plural = "tests"
    fields = ("test", "test_type", "status", "completed_at")
    readonly_fields = ("test_type",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("test__test_type")

    @admin.display(description="type")
    def test_type(self, referral_test: ReferralTest) -> str:
        return referral_test.test.test_type.name


class StatusChangeInline(NewestInline):
    model = StatusChange
    verbose_name_plural = "history"
    fields = ("changed_at", "changed", "from_status", "to_status", "changed_by")
    readonly_fields = ("changed",)
    ordering = ("-id",)

    def url_of_all(self, referral: Referral) -> str:
        return reverse("admin:medics_referral_history", args=[referral.pk])

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("referral_test__test", "changed_by")

    @admin.display(description="what")
    def changed(self, change: StatusChange) -> str:
        return change.referral_test.test.name if change.referral_test else "The referral"


def referred_to(facility: Facility) -> Q:
    return Q(facility_branch__in=FacilityBranch.objects.filter(facility=facility))


@admin.register(Referral)
class ReferralAdmin(
    CancellingMixin, PatientDataMixin, HistoryMixin, ReadOnlyMixin, admin.ModelAdmin
):
    inlines = (ReferralTestInline, StatusChangeInline)
    fieldsets = (
        (None, {"fields": ("id", "patient_name_or_id", "patient", "clinical_notes")}),
        ("Where", {"fields": ("referred_by", "facility", "facility_branch")}),
        (
            "Progress",
            {
                "fields": (
                    "status",
                    "referred_at",
                    "updated_at",
                    "completed_at",
                    "turnaround_hours",
                    "closed_at",
                    "closing_code",
                    "closing_note",
                )
            },
        ),
    )
    list_display = (
        "id",
        "patient_name_or_id",
        "facility",
        "facility_branch",
        "referred_by",
        "status",
        "referred_at",
    )
    list_filter = ("status", "referred_at", facility_filter(referred_to))
    list_per_page = 50
    list_select_related = ("patient", "facility_branch__facility", "referred_by")
    ordering = ("-referred_at", "-id")
    # get_search_results searches as the service's lists do; these make the admin offer it.
    search_fields = ("id", "patient_name_or_id")
    search_help_text = (
        "A referral's id, or a part of a patient's, practitioner's, branch's, facility's, "
        "test's or test type's name."
    )
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related(*self.list_select_related)

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[QuerySet, bool]:
        text = search_term.strip()
        return (queryset.search(text) if text else queryset), False

    @admin.display(ordering="facility_branch__facility__name")
    def facility(self, referral: Referral) -> Facility:
        return referral.facility_branch.facility

    @admin.display(description="turnaround time in hours")
    def turnaround_hours(self, referral: Referral) -> str:
        hours = referral.turnaround_time()
        return "-" if hours is None else f"{hours:.1f}"


class ReferralInline(NewestInline):
    model = Referral
    fields = (
        *("patient_name_or_id", "facility", "facility_branch"),
        *("referred_by", "status", "referred_at"),
    )
    readonly_fields = ("facility", "referred_at")
    ordering = ("-referred_at", "-id")
    show_change_link = True

    def url_of_all(self, patient: Patient) -> str:
        return reverse("admin:medics_referral_changelist", query={"patient__exact": patient.pk})

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        referrals = super().get_queryset(request)
        return referrals.select_related("facility_branch__facility", "referred_by")

    @admin.display
    def facility(self, referral: Referral) -> Facility:
        return referral.facility_branch.facility


class PatientSearchAdmin(admin.ModelAdmin):
    """Each word of the search in any name that the patient goes by."""

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[QuerySet, bool]:
        for word in search_term.split():
            queryset = queryset.named_like(word)
        return queryset, False


class CorrectPatientForm(forms.ModelForm):
    contact_number = PhoneNumberField(required=False)
    may_equal_another = forms.BooleanField(
        required=False,
        label="Save it although another patient is the same",
    )

    class Meta:
        model = Patient
        fields = ("full_name_or_id", "contact_number")

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors and not self.cleaned_data["may_equal_another"]:
            try:
                refuse_equal(self.instance)
            except EqualsAnotherError as error:
                self.add_error(None, str(error))


@admin.register(Patient)
class PatientAdmin(
    ConflictAdmin,
    PatientDataMixin,
    HistoryMixin,
    ReadOnlyMixin,
    PhoneSearchAdmin,
    PatientSearchAdmin,
):
    """To look at; to correct, by a permission of its own."""

    form = CorrectPatientForm
    readonly_fields = ("created_at",)
    inlines = (ReferralInline,)
    list_display = ("full_name_or_id", "contact_number", "created_at")
    list_filter = (("contact_number", admin.EmptyFieldListFilter), "created_at")
    list_per_page = 50
    ordering = ("-id",)
    search_fields = ("full_name_or_id",)  # get_search_results knows its index
    search_help_text = "A name or id, or a contact number in any spelling."
    phone_number_path = "contact_number"
    phone_key_path = "contact_key"
    show_full_result_count = False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("medics.correct_patient")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        corrected = ("may_equal_another",) if self.has_change_permission(request, obj) else ()
        return ("full_name_or_id", "contact_number", *corrected, "created_at")

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if not self.has_change_permission(request, obj):
            kwargs["form"] = forms.ModelForm
        return super().get_form(request, obj, change=change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Patient, form: Any, change: bool) -> None:
        try:
            correct_patient(
                patient_id=obj.pk,
                full_name_or_id=form.cleaned_data["full_name_or_id"],
                contact_number=form.cleaned_data["contact_number"],
                may_equal_another=form.cleaned_data["may_equal_another"],
            )
        except (Patient.DoesNotExist, EqualsAnotherError):
            # Removed, or another made or corrected, since the form was read.
            raise Conflict from None
