"""The users, with the facility and the branches where they work, on one form."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path, reverse
from django.utils.html import format_html

from _tetradx.folding import SortKey
from authentication.admin import (
    AddUserForm,
    ChangeUserForm,
    OperatorGroupAdmin,
    UserAdmin,
)
from authentication.models import User

from ..models import BranchTechnician, Facility, FacilityBranch
from ..permissions import administered_facility
from ..services.facilities import set_place_of_work
from .base import facility_filter
from .history import HistoryMixin


def facility_of(user: User) -> Facility | None:
    """The facility administered, else that of the branches; as login tells it."""
    facility = administered_facility(user)
    if facility is None:
        facility = next((a.branch.facility for a in user.branch_assignments.all()), None)
    return facility


class FacilitySelect(AutocompleteSelect):
    def __init__(self, **kwargs: Any):
        super().__init__(FacilityBranch._meta.get_field("facility"), admin.site, **kwargs)

    def build_attrs(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        attrs = super().build_attrs(*args, **kwargs)
        return {**attrs, "data-branches-url": reverse("admin:authentication_user_branches")}


def branch_label(branch: FacilityBranch) -> str:
    return branch.name if branch.is_active else f"{branch.name} (closed)"


class BranchesField(forms.ModelMultipleChoiceField):
    default_error_messages = {"invalid_choice": "A branch of another facility was chosen."}
    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, branch: FacilityBranch) -> str:
        return branch_label(branch)


class PlaceOfWorkForm(forms.ModelForm):
    facility = forms.ModelChoiceField(
        Facility.objects,
        required=False,
        widget=FacilitySelect,
        help_text="For laboratory staff. Practitioners who only refer belong to none.",
    )
    branches = BranchesField(
        FacilityBranch.objects.none(),
        required=False,
        help_text="Those of the facility where this person works.",
    )
    administers = forms.BooleanField(label="Administers the facility", required=False)

    class Media:
        js = ("admin/js/jquery.init.js", "medics/branches_of_facility.js")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            facility = facility_of(self.instance)
            self.initial["facility"] = facility and facility.pk
            self.initial["administers"] = administered_facility(self.instance) is not None
            self.initial["branches"] = [
                assignment.branch_id for assignment in self.instance.branch_assignments.all()
            ]
        branches: Any = self.fields["branches"]
        branches.queryset = FacilityBranch.objects.filter(facility=self.chosen_facility()).order_by(
            SortKey("name"), "id"
        )

    def chosen_facility(self) -> Facility | None:
        try:
            return self.fields["facility"].clean(self["facility"].value())
        except forms.ValidationError:
            return None

    def clean(self) -> None:
        super().clean()
        facility = self.cleaned_data.get("facility")
        administers = self.cleaned_data.get("administers")
        if "facility" in self.errors or "branches" in self.errors:
            return
        if facility is None and administers:
            self.add_error("facility", "Choose the facility that this person administers.")
        elif facility is not None and administers:
            self.refuse_take_over(facility)
        elif facility is not None and not self.cleaned_data.get("branches"):
            self.add_error(
                "branches",
                "Choose a branch, unless this person administers the facility: "
                "nothing else would tie them to it.",
            )

    def refuse_take_over(self, facility: Facility) -> None:
        if facility.admin_id in (None, self.instance.pk):
            return
        self.add_error(
            "administers",
            format_html(
                "{} is administered by {}. To hand it over, choose the new administrator on <a "
                'href="{}">the page of the facility</a>.',
                facility,
                facility.admin,
                reverse("admin:medics_facility_change", args=[facility.pk]),
            ),
        )


class AddStaffForm(PlaceOfWorkForm, AddUserForm):
    pass


class ChangeStaffForm(PlaceOfWorkForm, ChangeUserForm):
    pass


PLACE_OF_WORK = ("Place of work", {"fields": ("facility", "branches", "administers")})


def works_at(facility: Facility) -> Q:
    assigned = BranchTechnician.objects.filter(branch__facility=facility)
    return Q(administered_facility=facility) | Q(pk__in=assigned.values("user"))


@admin.register(User)
class StaffUserAdmin(HistoryMixin, UserAdmin):
    form = ChangeStaffForm
    add_form = AddStaffForm
    fieldsets = (UserAdmin.fieldsets[0], PLACE_OF_WORK, *UserAdmin.fieldsets[1:])
    add_fieldsets = (UserAdmin.add_fieldsets[0], PLACE_OF_WORK, *UserAdmin.add_fieldsets[1:])
    list_display = (
        "full_name",
        "phone_number",
        "user_type",
        "facility",
        "branches",
        "administers",
        "is_active",
        "last_login",
    )
    list_filter = (*UserAdmin.list_filter, facility_filter(works_at))
    list_select_related = ("administered_facility",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        queryset = super().get_queryset(request)
        return queryset.prefetch_related("branch_assignments__branch__facility")

    def history_of(self, object_id: str) -> Q:
        """With the facilities that the user came to administer, or ceased to."""
        administers = Q(old__admin_id=object_id) | Q(new__admin_id=object_id)
        return super().history_of(object_id) | (Q(row_table="medics_facility") & administers)

    @admin.display(ordering="administered_facility__name")
    def facility(self, user: User) -> str:
        return str(facility_of(user) or "-")

    @admin.display
    def branches(self, user: User) -> str:
        names = (branch_label(assignment.branch) for assignment in user.branch_assignments.all())
        return ", ".join(sorted(names)) or "-"

    @admin.display
    def administers(self, user: User) -> str:
        return str(administered_facility(user) or "-")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.branches_view)
        return [path("branches/", view, name="authentication_user_branches"), *super().get_urls()]

    def branches_view(self, request: HttpRequest) -> HttpResponse:
        """The branches of ?facility=, for the form."""
        if not (self.has_change_permission(request) or self.has_add_permission(request)):
            raise PermissionDenied
        try:
            facility = forms.ModelChoiceField(Facility.objects).clean(request.GET.get("facility"))
        except forms.ValidationError:
            return JsonResponse({"branches": []})
        branches = facility.branches.order_by(SortKey("name"), "id")
        offered = [{"id": branch.pk, "label": branch_label(branch)} for branch in branches]
        return JsonResponse({"branches": offered})

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        place = {name: form.cleaned_data[name] for name in ("facility", "branches", "administers")}
        set_place_of_work(user=form.instance, **place)


@admin.register(Group)
class GroupAdmin(HistoryMixin, OperatorGroupAdmin):
    """What a group may do is what its members may."""
