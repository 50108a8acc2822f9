"""An account that comes to open more than it did gets a new password, from the operator.

A stranger may have registered the number of somebody who is to work at a laboratory, and wait.
"""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from authentication.models import User
from authentication.services import withdraw_password

from ..models import Action, Change


def maker_of(user: User) -> str:
    """Who made the account, out of the history."""
    made = Change.objects.filter(
        subject_table=User._meta.db_table,
        subject_id=str(user.pk),
        row_table=User._meta.db_table,
        action=Action.CREATED,
    )
    entry = made.select_related("changed_by").first()
    if entry is None:
        return "not known: older than the history"
    if entry.changed_by_id is not None:
        return str(entry.changed_by or "somebody whose account is gone")
    if entry.request_id.startswith("manage.py"):
        return entry.request_id
    return "self-registered" if entry.request_id else "not known: past the service"


def have_new_password_given(request: HttpRequest, user: User) -> None:
    """Ends the old one with every session; `page_of_new_password` then asks for a new one.

    Not one's own: whoever is at the admin site has proved by password and code who it is.
    """
    if user == request.user:
        return
    withdraw_password(user=user)
    request.new_password_for = user  # type: ignore[attr-defined]
    messages.warning(
        request,
        f"{user} has had this account since {user.date_joined:%Y-%m-%d} (made by: "
        f"{maker_of(user)}). It opens more now, so its old password and all of its sessions have "
        "ended. Give it a new password.",
    )


def page_of_new_password(request: HttpRequest) -> HttpResponse | None:
    """Where the operator goes on; None where no password is due, or it is not his to give."""
    user: Any = getattr(request, "new_password_for", None)
    if user is None or not request.user.has_perm("authentication.change_user"):
        return None
    return redirect("admin:auth_user_password_change", user.pk)
