"""All that one account referred in a period, cancelled for one reason."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from authentication.models import User

from ..choices import (
    MAX_CLOSING_NOTE_CHARACTERS,
    OPEN_STATUSES,
    CancellationReason,
    ReferralStatus,
)
from ..models import Referral
from ..services.referrals import cancel_referrals


class CancellationForm(forms.Form):
    first_moment = forms.SplitDateTimeField(
        label="Referred from", widget=AdminSplitDateTime, help_text="UTC."
    )
    last_moment = forms.SplitDateTimeField(
        label="Until", widget=AdminSplitDateTime, help_text="UTC, that second included."
    )
    reason = forms.ChoiceField(choices=[("", "---------"), *CancellationReason.choices])
    note = forms.CharField(
        max_length=MAX_CLOSING_NOTE_CHARACTERS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Needed where the reason is another one. Whoever sees the referral may see it.",
    )

    def clean_last_moment(self) -> datetime:
        return self.cleaned_data["last_moment"].replace(microsecond=999_999)

    def clean(self) -> None:
        super().clean()
        first, last = (self.cleaned_data.get(name) for name in ("first_moment", "last_moment"))
        if first and last and first > last:
            self.add_error("last_moment", "This is before the beginning.")
        reason, note = self.cleaned_data.get("reason"), self.cleaned_data.get("note")
        if reason == CancellationReason.OTHER and not note:
            self.add_error("note", "Say which reason it is.")


class CancellingMixin:
    """A page of the referrals' admin, for operators with a permission of its own."""

    def get_urls(self) -> list[Any]:
        pages: Any = super()
        site: Any = self.admin_site  # type: ignore[attr-defined]
        view = site.admin_view(self.cancel_view)
        return [path("cancel/", view, name="medics_referral_cancel"), *pages.get_urls()]

    def cancel_view(self, request: HttpRequest) -> HttpResponse:
        """For ?practitioner=: asks for period and reason, shows how many, and does it.

        Only where what was shown is still so: it is final, and the period can be edited beside the
        button that confirms.
        """
        if not request.user.has_perm("medics.cancel_referrals"):
            raise PermissionDenied
        practitioner = practitioner_of(request)
        now = timezone.now()
        form = CancellationForm(
            request.POST or None,
            initial={"first_moment": now - timedelta(days=1), "last_moment": now},
        )
        context: dict[str, Any] = {}
        if form.is_valid():
            period = {name: form.cleaned_data[name] for name in ("first_moment", "last_moment")}
            made = Referral.objects.made_by(practitioner, **period)
            found = dict(made.order_by().values_list("status").annotate(Count("pk")))
            number = sum(found.get(status, 0) for status in OPEN_STATUSES)
            shown = " ".join([*(moment.isoformat() for moment in period.values()), str(number)])
            if "confirmed" in request.POST and request.POST.get("shown") == shown:
                number = cancel_referrals(
                    practitioner=practitioner,
                    reason=CancellationReason(form.cleaned_data["reason"]),
                    note=form.cleaned_data["note"],
                    **period,
                )
                messages.success(request, f"Referrals cancelled: {number}.")
                return redirect(list_of(practitioner, **period))
            if "confirmed" in request.POST:
                messages.warning(request, "Look again: this is not what was counted before.")
            context = {
                "counts": [(status, found.get(status, 0)) for status in ReferralStatus.values],
                "number": number,
                "shown": shown,
                "list_of_them": list_of(practitioner, **period),
            }
        site: Any = self.admin_site  # type: ignore[attr-defined]
        context |= site.each_context(request) | {
            "title": f"Cancel what {practitioner} referred",
            "opts": Referral._meta,
            "form": form,
            "media": self.media + form.media,  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/medics/cancel_referrals.html", context)


def practitioner_of(request: HttpRequest) -> User:
    try:
        return get_object_or_404(User, pk=UUID(request.GET.get("practitioner", "")))
    except ValueError:
        raise Http404("No such account.") from None


def list_of(practitioner: User, *, first_moment: datetime, last_moment: datetime) -> str:
    query = {
        "referred_by__exact": practitioner.pk,
        "referred_at__gte": first_moment.isoformat(),
        "referred_at__lte": last_moment.isoformat(),
    }
    return reverse("admin:medics_referral_changelist", query=query)
