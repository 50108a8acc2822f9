"""The admin site's classes for accounts and sessions.

`medics.admin.staff` registers the users, to whom it adds their place of work, and the groups.
"""

import re
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextInputWidget
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    BaseUserCreationForm,
    UserChangeForm,
)
from django.contrib.auth.models import Group
from django.db import DatabaseError, connection
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.html import format_html
from django_otp.plugins.otp_totp.models import TOTPDevice

from _tetradx.api.exceptions import Conflict, is_concurrent_change

from .models import Session, User, UserType
from .passwords import SAME_PASSWORD
from .phone_numbers import clean_phone_number, phone_key, validate_phone_number
from .services import change_password
from .stale_forms import SEEN, SeenField, read_token, token_of, values_shown


class PhoneSearchAdmin(admin.ModelAdmin):
    """Also searches the phone number: the whole number in any spelling, or a part of it."""

    search_help_text = "A name, or a phone number in any spelling."
    phone_number_path = "phone_number"
    phone_key_path = "phone_key"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        found, may_have_duplicates = super().get_search_results(request, queryset, search_term)
        number = clean_phone_number(search_term)
        if re.fullmatch(r"\+?[0-9]+", number):
            is_key = Q((f"{self.phone_key_path}__contains", phone_key(number)))
            is_number = Q((f"{self.phone_number_path}__contains", number))
            found |= queryset.filter(is_key | is_number)
        return found, may_have_duplicates


class ReadOnlyMixin:
    """Lets nobody add, change or delete rows, not even superusers."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ConflictAdmin(admin.ModelAdmin):
    """The base of every model admin that changes rows: it never overwrites another user's change.

    A form that shows outdated values is refused, with the typed values still in it. A conflict that
    only the database sees, between the check and the save, becomes a message to the user.
    """

    change_form_template: ClassVar[Any] = "admin/change_form_with_token.html"

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except (DatabaseError, Conflict) as error:
            if not isinstance(error, Conflict) and not is_concurrent_change(error):
                raise
            messages.error(request, Conflict.default_detail)
            return redirect(request.get_full_path())

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Locks a row before it is read for saving, since all of its columns are written."""
        row = super().get_object(request, object_id, from_field)
        if row is None or request.method != "POST" or not connection.in_atomic_block:
            return row
        lock(self.model, pk=row.pk)
        return super().get_object(request, object_id, from_field)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form_class: Any = super().get_form(request, obj, change=change, **kwargs)
        if not change or not self.has_change_permission(request, obj):
            return form_class
        refuse_stale = self.refuse_stale

        class SeenForm(form_class):
            seen = SeenField()

            def clean(self) -> Any:
                cleaned = super().clean()
                if not self.errors:
                    unbound = form_class(instance=self.instance)
                    refuse_stale(request, unbound, self.cleaned_data[SEEN])
                return cleaned

        return SeenForm

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [name for name in super().get_fields(request, obj) if name != SEEN]

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        form = context["adminform"].form
        if SEEN in form.fields and not form.is_bound:
            formsets = [
                inline.formset
                for inline in context["inline_admin_formsets"]
                if changes_rows(inline.opts, request, obj)
            ]
            form.initial[SEEN] = token_of(values_shown(form, formsets))
        pages: Any = super()
        return pages.render_change_form(request, context, *args, obj=obj, **kwargs)

    def refuse_stale(self, request: HttpRequest, form: forms.ModelForm, token: str) -> None:
        """Raises ValidationError where the row, or one of its inlines, is not as it was shown.

        `form` is unbound, and of the row as it is now. Locks the rows of the inlines.
        """
        rows = {self.model: [form.instance.pk]}
        formsets = []
        for formset_class, inline in self.get_formsets_with_inlines(request, form.instance):
            if changes_rows(inline, request, form.instance):
                pks = lock(inline.model, **{formset_class.fk.name: form.instance})
                rows[inline.model] = rows.get(inline.model, []) + pks
                queryset = inline.get_queryset(request)
                formsets.append(formset_class(instance=form.instance, queryset=queryset))
        seen = read_token(token)
        if seen is None:
            how = "This form does not say which state of the data it was made of"
        elif seen.values != values_shown(form, formsets):
            how = f"This was changed {self.latest_change(rows, since=seen.at)}"
        else:
            return
        raise forms.ValidationError(
            format_html(
                '{}, <a href="{}" target="_blank">look again</a>. Nothing was saved. What you typed'
                " is still here, but it can only be saved on the page as it is now.",
                how,
                request.get_full_path(),
            )
        )

    def latest_change(self, rows: dict[type[Model], list[Any]], *, since: datetime) -> str:
        """Says by whom and when one of these rows was changed, as far as it is known."""
        return "since you opened it"


def lock(model: type[Model], **which: Any) -> list[Any]:
    """Locks the rows until this transaction ends, and returns their keys."""
    rows = model._base_manager.filter(**which).order_by("pk")
    return list(rows.select_for_update(no_key=True).values_list("pk", flat=True))


def changes_rows(inline: Any, request: HttpRequest, parent: Any) -> bool:
    """Tells whether the inline can overwrite a change; an added row overwrites nothing."""
    may_change = inline.has_change_permission(request, parent)
    return may_change or inline.has_delete_permission(request, parent)


class PhoneNumberField(forms.CharField):
    """Accepts a number whose separators would not fit into the column."""

    default_validators = [validate_phone_number]

    def to_python(self, value: Any) -> str:
        return clean_phone_number(super().to_python(value) or "")


class AccountForm(forms.ModelForm):
    phone_number = PhoneNumberField(
        widget=AdminTextInputWidget(attrs={"inputmode": "tel", "autocomplete": "off"})
    )

    def clean_phone_number(self) -> str:
        number = self.cleaned_data["phone_number"]
        owner = User.objects.filter(phone_key=phone_key(number)).exclude(pk=self.instance.pk)
        if owner.exists():
            raise forms.ValidationError("A user with this phone number already exists.")
        return number


class AddUserForm(AccountForm, BaseUserCreationForm):
    # With the model's default, technicians would become practitioners by mistake.
    user_type = forms.ChoiceField(choices=[("", "---------"), *UserType.choices])

    class Meta:
        model = User
        fields = ("phone_number", "full_name", "user_type", "must_change_password")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.initial.setdefault("must_change_password", True)


class ChangeUserForm(AccountForm, UserChangeForm):
    class Meta:
        model = User
        fields = (
            "phone_number",
            "full_name",
            "user_type",
            "password",
            "must_change_password",
            "is_active",
        )


class NewPasswordForm(AdminPasswordChangeForm):
    """Gives another user a password, which that user must change."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields.pop("usable_password", None)
        for field in self.fields.values():
            field.required = True

    def clean(self) -> Any:
        cleaned = super().clean()
        password = self.cleaned_data.get("password1")
        if password and self.user.check_password(password):
            self.add_error("password1", SAME_PASSWORD)
        return cleaned

    def save(self, commit: bool = True) -> User:
        change_password(
            user=self.user,
            new_password=self.cleaned_data["password1"],
            must_change_password=True,
        )
        return self.user


class UserAdmin(ConflictAdmin, PhoneSearchAdmin, DjangoUserAdmin):
    """Accounts. Only superusers can create or change the account of an operator."""

    form = ChangeUserForm
    add_form = AddUserForm
    change_password_form = NewPasswordForm
    add_form_template = None
    change_user_password_template = "admin/authentication/user/new_password.html"  # noqa: S105 (a path)

    list_display: Any = (
        "full_name",
        "phone_number",
        "user_type",
        "is_active",
        "last_login",
    )
    list_display_links = ("full_name", "phone_number")
    list_filter: ClassVar[Any] = (
        "user_type",
        "is_active",
        "must_change_password",
        "is_staff",
        "date_joined",
    )
    list_per_page = 50
    ordering = ("full_name", "id")
    search_fields = ("full_name__folded_contains",)
    show_full_result_count = False
    filter_horizontal = ("groups",)
    readonly_fields: ClassVar[Any] = ("last_login", "date_joined")

    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("phone_number", "full_name", "user_type")}),
        ("Access", {"fields": ("password", "must_change_password", "is_active")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets: Any = (
        (None, {"fields": ("phone_number", "full_name", "user_type")}),
        ("Access", {"fields": ("password1", "password2", "must_change_password")}),
    )
    superuser_fieldset = (
        "Administration",
        {
            "fields": ("is_staff", "is_superuser", "groups"),
            "description": "Operators may do what their groups allow; superusers everything.",
        },
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        return (*fieldsets, self.superuser_fieldset) if request.user.is_superuser else fieldsets

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and (obj.is_staff or obj.is_superuser) and not request.user.is_superuser:
            # By a new password or phone number the operator could take over the other's role.
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:  # noqa: A002
        if id == str(request.user.pk):
            return redirect("admin:password_change")
        return super().user_change_password(request, id, form_url)

    def response_add(self, request: HttpRequest, obj: User, post_url_continue: Any = None) -> Any:
        # Django's own UserAdmin would continue with the change form.
        return admin.ModelAdmin.response_add(self, request, obj, post_url_continue)


class SuperuserOnlyMixin:
    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    has_add_permission = has_module_permission
    has_change_permission = has_view_permission
    has_delete_permission = has_view_permission


admin.site.unregister(Group)
# Its pages would show the secrets.
admin.site.unregister(TOTPDevice)


class OperatorGroupAdmin(SuperuserOnlyMixin, ConflictAdmin, GroupAdmin):
    """Whoever may change a group could give it every permission."""


class OpenSessionFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("ended", "Ended or expired")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        open_ones = queryset.open().filter(expires_at__gt=timezone.now())
        if self.value() == "open":
            return open_ones
        return queryset.exclude(pk__in=open_ones) if self.value() == "ended" else queryset


@admin.register(Session)
class SessionAdmin(ReadOnlyMixin, PhoneSearchAdmin):
    fields = ("user", "created_at", "expires_at", "ended_at")
    list_display = ("user", "created_at", "expires_at", "is_open")
    list_filter = (OpenSessionFilter, "created_at")
    list_per_page = 50
    list_select_related = ("user",)
    ordering = ("-created_at", "id")
    search_fields = ("user__full_name__folded_contains",)
    phone_number_path = "user__phone_number"
    phone_key_path = "user__phone_key"
    show_full_result_count = False
    actions = ("end_sessions",)

    @admin.display(boolean=True, description="open")
    def is_open(self, session: Session) -> bool:
        return session.is_open

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("authentication.change_session")

    @admin.action(description="End the selected sessions", permissions=["end"])
    def end_sessions(self, request: HttpRequest, queryset: Any) -> None:
        number = queryset.end()
        self.message_user(request, f"Sessions ended: {number}.", messages.SUCCESS)
