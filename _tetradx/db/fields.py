"""Columns that Python derives from another column of the same row."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import models


class DerivedCharField(models.CharField):
    """A column with the value `derive(row.<source>)`, which every save and bulk_create computes.

    It is for a value that PostgreSQL cannot generate itself, such as a phone number's E.164 form.
    """

    def __init__(self, *args: Any, source: str, derive: Callable[[str], str], **kwargs: Any):
        self.source, self.derive = source, derive
        super().__init__(*args, **{**kwargs, "editable": False})

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["editable"]
        return name, path, args, {**kwargs, "source": self.source, "derive": self.derive}

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        value = self.derive(getattr(model_instance, self.source))
        setattr(model_instance, self.attname, value)
        return value


def derived_fields(model: type[models.Model]) -> list[DerivedCharField]:
    return [field for field in model._meta.concrete_fields if isinstance(field, DerivedCharField)]


Row = TypeVar("Row", bound=models.Model, covariant=True)


class DerivesColumnsQuerySet(models.QuerySet[Row]):
    """Updates a derived column along with its source, for which `update` takes no expression."""

    def update(self, **values: Any) -> int:
        for field in derived_fields(self.model):
            if field.source in values and field.name not in values:
                values[field.name] = field.derive(values[field.source])
        return super().update(**values)

    def bulk_update(self, objs: Any, fields: Any, batch_size: int | None = None) -> int:
        rows = list(objs)
        derived = [field for field in derived_fields(self.model) if field.source in fields]
        for field in derived:
            for row in rows:
                field.pre_save(row, add=False)
        names = [*fields, *(field.name for field in derived)]
        return super().bulk_update(rows, names, batch_size=batch_size)


class DerivesColumns(models.Model):
    """Saves a derived column along with its source when only some columns are saved."""

    class Meta:
        abstract = True

    def save(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        if update_fields is not None:
            update_fields = {*update_fields} | {
                field.name for field in derived_fields(type(self)) if field.source in update_fields
            }
        super().save(*args, update_fields=update_fields, **kwargs)
