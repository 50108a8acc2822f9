"""Optimistic locking for forms of the admin site: saving never overwrites another user's change.

The page carries a signed token of the values that it showed, including those of its inlines. Saving
locks the rows, reads them again and compares. Only loading the page again renews the token: a user
who presses Save twice has still not seen the change.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from django import forms
from django.core import signing
from django.utils import timezone

# The hidden field of the token.
SEEN = "seen"


class SeenField(forms.CharField):
    """Holds the token. It never counts as changed: the admin's log must not list it."""

    widget = forms.HiddenInput

    def __init__(self) -> None:
        super().__init__(required=False)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class Seen(NamedTuple):
    values: str
    at: datetime


def token_of(values: str) -> str:
    return signing.dumps([values, timezone.now().isoformat()], salt=__name__)


def read_token(token: str) -> Seen | None:
    """Reads a token; None where it is missing or its signature is not valid."""
    try:
        values, at = signing.loads(token, salt=__name__)
    except signing.BadSignature:
        return None
    return Seen(values, datetime.fromisoformat(at))


def values_shown(form: forms.ModelForm, formsets: Iterable[forms.BaseModelFormSet]) -> str:
    """Returns a digest of the row's key and the values that these unbound forms offer for editing.

    A form does not write the columns that it does not offer, so these may change meanwhile.
    """
    row = form.instance
    values = [row._meta.label, str(row.pk), values_of(form)]
    for formset in formsets:
        values.append(sorted(values_of(each) for each in formset.initial_forms))
    return sha256(json.dumps(values).encode()).hexdigest()


def values_of(form: forms.BaseForm) -> str:
    values = {
        name: comparable(field.prepare_value(form.get_initial_for_field(field, name)))
        for name, field in form.fields.items()
        if name != SEEN and not field.disabled
    }
    return json.dumps(values, default=str)


def comparable(value: Any) -> Any:
    """Sorts the rows of a many-to-many relation, which come in any order."""
    return sorted(map(str, value)) if isinstance(value, list | tuple | set) else value
