"""A form of the admin site says what it showed, so that saving it undoes nothing that others did.

The page carries a signed token of the values that it showed, those of its inlines included. Saving
locks the rows, looks at them again and compares. A token is never renewed but by loading the page
anew: who presses Save twice has still not seen what changed.
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
    """Tells nothing about the row: the admin's log must not name it among what was changed."""

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
    """None where it is missing, or none of ours."""
    try:
        values, at = signing.loads(token, salt=__name__)
    except signing.BadSignature:
        return None
    return Seen(values, datetime.fromisoformat(at))


def values_shown(form: forms.ModelForm, formsets: Iterable[forms.BaseModelFormSet]) -> str:
    """A digest of what these unbound forms offer for editing, and of whose it is.

    What a form does not offer is not written by it either, and may change meanwhile.
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
    """Rows of a many-to-many relation come in any order."""
    return sorted(map(str, value)) if isinstance(value, list | tuple | set) else value
