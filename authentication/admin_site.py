import re
from base64 import b32encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from textwrap import wrap
from traceback import walk_tb
from typing import Any

import segno
from django import forms
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.auth.views import PasswordChangeView, RedirectURLMixin, redirect_to_login
from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.views.generic import FormView
from rest_framework.exceptions import Throttled

from _tetradx.http.client_address import client_address

from . import second_factor
from .passwords import SAME_PASSWORD, is_same_password
from .services import change_password, check_own_password, note_login

# The pages that need no code, and those that are open to a user who has to change the password.
OPEN_WITHOUT_CODE = {"second_factor", "logout", "jsi18n"}
OPEN_UNTIL_CHANGED = {*OPEN_WITHOUT_CODE, "password_change"}

# Room for separators: Django would only allow as many characters as the column has.
MAX_SPELLING_LENGTH = 40


class LoginForm(AdminAuthenticationForm):
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs.update(maxlength=MAX_SPELLING_LENGTH, inputmode="tel")

    def clean(self) -> Any:
        try:
            cleaned = super().clean()
        except Throttled as throttled:
            raise ValidationError(str(throttled)) from None
        user = self.get_user()
        if user is not None and self.request is not None:
            note_login(user=user, address=client_address(self.request.META))
        return cleaned


class OwnPasswordForm(AdminPasswordChangeForm):
    def __init__(self, *args: Any, address: str, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.address = address

    def clean_old_password(self) -> str:
        password = self.cleaned_data["old_password"]
        try:
            is_right = check_own_password(user=self.user, password=password, address=self.address)
        except Throttled as throttled:
            raise ValidationError(str(throttled)) from None
        if not is_right:
            raise ValidationError(self.error_messages["password_incorrect"])
        return password

    def clean(self) -> Any:
        cleaned = super().clean()
        old, new = self.cleaned_data.get("old_password"), self.cleaned_data.get("new_password1")
        if old and new and is_same_password(old, new):
            self.add_error("new_password1", SAME_PASSWORD)
        return cleaned

    def save(self, commit: bool = True) -> Any:
        change_password(user=self.user, new_password=self.cleaned_data["new_password1"])
        return self.user


class OwnPasswordView(PasswordChangeView):
    form_class = OwnPasswordForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "address": client_address(self.request.META)}


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=20,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autofocus": True, "inputmode": "numeric"}
        ),
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_code(self) -> str:
        """Verifies the code, which uses it up."""
        code = "".join(self.cleaned_data["code"].split())
        if not re.fullmatch("[0-9]{6}", code):
            raise ValidationError("A code has six digits.")
        try:
            is_good = second_factor.verify_code(
                self.request, code=code, address=client_address(self.request.META)
            )
        except Throttled as throttled:
            raise ValidationError(str(throttled)) from None
        if not is_good:
            raise ValidationError("This code is wrong, or was used before. Wait for the next one.")
        return code


class SecondFactorView(RedirectURLMixin, FormView):
    """Asks for a code; shows an operator without an app the key to set one up."""

    form_class = CodeForm
    template_name = "admin/second_factor.html"
    next_page = "admin:index"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if second_factor.is_due(request):
            return super().dispatch(request, *args, **kwargs)
        return redirect(self.get_success_url())

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        context["next"] = self.get_redirect_url()
        if second_factor.device_of(self.request.user) is None:
            device = second_factor.offered_device(self.request)
            key = b32encode(device.bin_key).decode()
            context["key"] = " ".join(wrap(key, 4))
            context["qr_code"] = segno.make(device.config_url).svg_data_uri(scale=4, light="white")
        return context


class AutocompleteView(AutocompleteJsonView):
    """Autocompletes with two hooks of a model admin.

    `autocomplete_label(row)` distinguishes rows of one name; `rows_shown(request, rows)` is called
    with the rows of the answer.
    """

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if tell := getattr(self.model_admin, "rows_shown", None):
            tell(self.request, list(context["object_list"]))
        return context

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        label = getattr(self.model_admin, "autocomplete_label", str)
        return {"id": str(getattr(obj, to_field_name)), "text": label(obj)}


def refuse_nul(request: HttpRequest) -> None:
    """Raises BadRequest where the URL holds a NUL, which PostgreSQL's text cannot store.

    In a form a NUL is the field's error.
    """
    values = [value for name in request.GET for value in (name, *request.GET.getlist(name))]
    if any("\0" in text for text in (request.path, *values)):
        raise BadRequest("The address holds a NUL.")


@contextmanager
def bad_values_are_bad_requests() -> Iterator[None]:
    """Turns errors of values that a column cannot store into BadRequest.

    Django's admin passes the values of a URL, and the rows ticked in a list, to the ORM unchecked.
    A ValueError that does not come from the ORM is a bug, and raised on.
    """
    try:
        yield
    except (DataError, OverflowError, ValidationError):
        # Without its cause, which quotes the value, a patient's name for one, in the log.
        raise BadRequest("A value is out of range.") from None
    except ValueError as error:
        *_, (frame, _) = walk_tb(error.__traceback__)
        if not frame.f_globals["__name__"].startswith("django.db."):
            raise
        raise BadRequest("A value is not of its kind.") from None


class AdminSite(admin.AdminSite):
    site_header = site_title = "tetraDX"
    index_title = "Administration"
    site_url = None
    login_form = LoginForm

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Redirects users who have yet to enter a code, or to change their password, to that page.

        Raises BadRequest where the URL holds a value that no column can store.
        """

        @wraps(view)
        def view_after_requirements(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            refuse_nul(request)
            if self.has_permission(request):
                page = request.resolver_match.url_name
                if page not in OPEN_WITHOUT_CODE and second_factor.is_due(request):
                    return redirect_to_login(
                        request.get_full_path(), reverse("admin:second_factor")
                    )
                if page not in OPEN_UNTIL_CHANGED and request.user.must_change_password:
                    return redirect("admin:password_change")
            with bad_values_are_bad_requests():
                response = view(request, *args, **kwargs)
                # Rendered inside the context: only then do forms query what they show.
                return response.render() if hasattr(response, "render") else response

        return super().admin_view(view_after_requirements, cacheable)

    def get_urls(self) -> list[Any]:
        view = self.admin_view(self.second_factor)
        return [path("second-factor/", view, name="second_factor"), *super().get_urls()]

    def second_factor(self, request: HttpRequest) -> Any:
        return SecondFactorView.as_view(
            extra_context={**self.each_context(request), "title": "Second factor"}
        )(request)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        request.current_app = self.name
        return OwnPasswordView.as_view(
            success_url=reverse("admin:password_change_done", current_app=self.name),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )(request)

    def autocomplete_view(self, request: HttpRequest) -> Any:
        return AutocompleteView.as_view(admin_site=self)(request)
