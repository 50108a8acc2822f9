from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from rest_framework.exceptions import Throttled

from _tetradx.client_address import client_address

from .services import change_password
from .throttles import give_the_try_back, limits_of_login, take_a_try

# What somebody who is due to change the password may open.
OPEN_UNTIL_CHANGED = {"password_change", "logout", "jsi18n"}

# Room for separators: Django would allow no more characters than the column has.
MAX_SPELLING_LENGTH = 40


class LoginForm(AdminAuthenticationForm):
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs.update(maxlength=MAX_SPELLING_LENGTH, inputmode="tel")

    def clean(self) -> Any:
        """Counts the try as the API counts its own."""
        limits = limits_of_login(
            phone_number=self.cleaned_data.get("username", ""),
            address=client_address(self.request.META if self.request else {}),
        )
        try:
            take_a_try(limits)
        except Throttled as throttled:
            raise ValidationError(str(throttled)) from None
        cleaned = super().clean()
        give_the_try_back(limits)
        return cleaned


class OwnPasswordForm(AdminPasswordChangeForm):
    def save(self, commit: bool = True) -> Any:
        change_password(user=self.user, new_password=self.cleaned_data["new_password1"])
        return self.user


class AutocompleteView(AutocompleteJsonView):
    """A model admin may say in `autocomplete_label(row)` what distinguishes rows of one name."""

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        label = getattr(self.model_admin, "autocomplete_label", str)
        return {"id": str(getattr(obj, to_field_name)), "text": label(obj)}


class AdminSite(admin.AdminSite):
    site_header = site_title = "tetraDX"
    index_title = "Administration"
    site_url = None
    login_form = LoginForm

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Sends people who are due to change their password to the page where they do."""

        @wraps(view)
        def password_first(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            is_due = self.has_permission(request) and request.user.must_change_password
            if is_due and request.resolver_match.url_name not in OPEN_UNTIL_CHANGED:
                return redirect("admin:password_change")
            return view(request, *args, **kwargs)

        return super().admin_view(password_first, cacheable)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        request.current_app = self.name
        return PasswordChangeView.as_view(
            form_class=OwnPasswordForm,
            success_url=reverse("admin:password_change_done", current_app=self.name),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )(request)

    def autocomplete_view(self, request: HttpRequest) -> Any:
        return AutocompleteView.as_view(admin_site=self)(request)
