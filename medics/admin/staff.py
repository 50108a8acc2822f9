"""The users, with the facility and the branches where they work, on one form."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from _tetradx.values.folding import SortKey
from authentication.admin import (
    AddUserForm,
    ChangeUserForm,
    OperatorGroupAdmin,
    UserAdmin,
)
from authentication.models import User

from ..models import BranchTechnician, Facility, FacilityBranch
from ..permissions import administered_facility
from ..services.technicians import set_place_of_work
from .base import facility_filter
from .history import HistoryMixin
from .new_passwords import have_new_password_given, maker_of, page_of_new_password


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
        if "facility" not in self.fields:
            return
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
        if "facility" not in self.fields:
            return
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
    def clean(self) -> None:
        super().clean()
        if self.cleaned_data.get("facility") and not self.cleaned_data.get("must_change_password"):
            self.add_error(
                "must_change_password",
                "Whoever is given a place of work changes the password at the first login.",
            )


class ChangeStaffForm(PlaceOfWorkForm, ChangeUserForm):
    pass


DATES = ("Dates", {"fields": ("last_login", "date_joined", "made_by")})
REFERRALS = ("Referrals", {"fields": ("referrals",)})
PLACE_OF_WORK = ("Place of work", {"fields": ("facility", "branches", "administers")})


def works_at(facility: Facility) -> Q:
    assigned = BranchTechnician.objects.filter(branch__facility=facility)
    return Q(administered_facility=facility) | Q(pk__in=assigned.values("user"))


@admin.register(User)
class StaffUserAdmin(HistoryMixin, UserAdmin):
    form = ChangeStaffForm
    add_form = AddStaffForm
    fieldsets = (UserAdmin.fieldsets[0], PLACE_OF_WORK, UserAdmin.fieldsets[1], DATES)
    readonly_fields: ClassVar[Any] = (*UserAdmin.readonly_fields, "made_by", "referrals")
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

    @admin.display(description="made by this account")
    def referrals(self, user: User) -> SafeString:
        return format_html(
            '<a href="{}">See them</a>, or <a href="{}">cancel those of a period</a>',
            reverse("admin:medics_referral_changelist", query={"referred_by__exact": user.pk}),
            reverse("admin:medics_referral_cancel", query={"practitioner": user.pk}),
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        queryset = super().get_queryset(request)
        return queryset.prefetch_related("branch_assignments__branch__facility")

    def history_of(self, object_id: str) -> Q:
        """With the facilities that the user came to administer, or ceased to."""
        administers = Q(old__admin_id=object_id) | Q(new__admin_id=object_id)
        return super().history_of(object_id) | (Q(row_table="medics_facility") & administers)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            # Django takes what is read-only out of `form` alone.
            withheld = set(self.get_readonly_fields(request)) & set(self.add_form.declared_fields)
            metaclass: Any = type(self.add_form)
            attributes = dict.fromkeys(withheld)
            kwargs["form"] = metaclass(self.add_form.__name__, (self.add_form,), attributes)
        return super().get_form(request, obj, change=change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may not give a place of work sees it; an administrator's takes both permissions."""
        fields = super().get_readonly_fields(request, obj)
        may_appoint = request.user.has_perm("medics.appoint_administrator")
        administers = obj is not None and administered_facility(obj) is not None
        if not request.user.has_perm("medics.assign_staff") or (administers and not may_appoint):
            return (*fields, *PLACE_OF_WORK[1]["fields"])
        return fields if may_appoint else (*fields, "administers")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None and "facility" in self.get_readonly_fields(request):
            return [each for each in fieldsets if each is not PLACE_OF_WORK]
        may_cancel = obj and request.user.has_perm("medics.cancel_referrals")
        return (*fieldsets, REFERRALS) if may_cancel else fieldsets

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:  # noqa: A002
        """The password of somebody who has a place of work opens what the place does."""
        user = self.get_object(request, unquote(id))
        if user is not None and user != request.user and not self.may_give_place_of(request, user):
            raise PermissionDenied
        return super().user_change_password(request, id, form_url)

    def may_give_place_of(self, request: HttpRequest, user: User) -> bool:
        if administered_facility(user) is not None:
            return request.user.has_perm("medics.appoint_administrator")
        return facility_of(user) is None or request.user.has_perm("medics.assign_staff")

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
        user = form.instance
        roles = {"user_type", "is_staff", "is_superuser"} & set(form.changed_data)
        opens_more = any(form.cleaned_data[role] for role in roles)
        if "facility" in form.fields:
            place = {name: form.cleaned_data[name] for name in ("facility", "branches")}
            administers = form.cleaned_data.get("administers", False)
            is_new = set_place_of_work(user=user, **place, administers=administers)
            opens_more = opens_more or is_new
        # One that is being added has its password from the operator.
        if change and opens_more:
            have_new_password_given(request, user)

    def response_change(self, request: HttpRequest, obj: User) -> HttpResponse:
        return page_of_new_password(request) or super().response_change(request, obj)

    @admin.display(description="made by")
    def made_by(self, user: User) -> str:
        return maker_of(user)


@admin.register(Group)
class GroupAdmin(HistoryMixin, OperatorGroupAdmin):
    """What a group may do is what its members may."""
