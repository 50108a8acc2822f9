"""Finds and mends derived columns whose stored value is not the one that their source derives to.

PostgreSQL keeps a key and its number together but cannot derive the key. A change of the derivation
itself, such as of PHONE_DEFAULT_REGION or of the phone number library, leaves stored keys stale.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from django.apps import apps
from django.db import models, transaction

from .fields import DerivedCharField, derived_fields

BATCH_SIZE = 1_000


class Key(NamedTuple):
    """A row's derived column: what it is derived from, what is stored, and what is due."""

    pk: Any
    source: str
    stored: str
    due: str


def derived_columns() -> list[DerivedCharField]:
    return [field for model in apps.get_models() for field in derived_fields(model)]


def keys_of(field: DerivedCharField) -> Iterator[Key]:
    rows = field.model._base_manager.order_by("pk").values_list("pk", field.source, field.attname)
    for pk, source, stored in rows.iterator(BATCH_SIZE):
        yield Key(pk, source, stored, field.derive(source))


def stale_keys(field: DerivedCharField) -> Iterator[Key]:
    return (key for key in keys_of(field) if key.stored != key.due)


def is_unique(field: DerivedCharField) -> bool:
    return field.unique or any(
        isinstance(constraint, models.UniqueConstraint) and constraint.fields == (field.name,)
        for constraint in field.model._meta.constraints
    )


def keys_in_common(field: DerivedCharField) -> list[list[Key]]:
    """Groups the rows that would share a unique key if every key were the one that is due."""
    if not is_unique(field):
        return []
    holders = Counter(key.due for key in keys_of(field))
    shared: dict[str, list[Key]] = defaultdict(list)
    for key in keys_of(field):
        if holders[key.due] > 1:
            shared[key.due].append(key)
    return list(shared.values())


def mend(field: DerivedCharField) -> int:
    """Mends stale keys and returns their number; keys that several rows would share are left.

    A row whose source has changed since it was read is left, too: that change has set its key.
    """
    left = {key.pk for keys in keys_in_common(field) for key in keys}
    stale = (key for key in stale_keys(field) if key.pk not in left)
    mended = 0
    # Unique keys are mended in one batch, since one row's new key may be another's stale key.
    while batch := list(islice(stale, None if is_unique(field) else BATCH_SIZE)):
        with transaction.atomic():
            if is_unique(field):
                for number, key in enumerate(batch):
                    set_key(field, key, f"\x02{number}")
            mended += sum(set_key(field, key, key.due) for key in batch)
    return mended


def set_key(field: DerivedCharField, key: Key, value: str) -> int:
    rows = field.model._base_manager.filter(pk=key.pk, **{field.source: key.source})
    return rows.update(**{field.attname: value})
