from collections.abc import Iterable
from decimal import Decimal
from typing import TypedDict

from django.db import transaction

from _tetradx.api.exceptions import refuse_duplicate
from _tetradx.values.folding import fold

from ..models import Facility, Test, TestType


class NewTest(TypedDict):
    name: str
    price: Decimal


@transaction.atomic
def add_test_type(*, facilities: Iterable[Facility], name: str, tests: list[NewTest]) -> list[Test]:
    """Adds the type with its tests to each facility, or nothing at all.

    A test named twice counts once, the first time. Raises ValidationError under `name` where a
    facility has a type of that name.
    """
    distinct: dict[str, NewTest] = {}
    for test in tests:
        distinct.setdefault(fold(test["name"]), test)
    added: list[Test] = []
    for facility in facilities:
        with refuse_duplicate(
            constraints={"unique_test_type_name_in_facility"},
            field="name",
            message="A test type with this name already exists for this facility.",
        ):
            test_type = TestType.objects.create(facility=facility, name=name)
        with refuse_duplicate(
            constraints={"unique_test_name_in_type"},
            field="tests",
            message="Two of these tests have the same name.",
        ):
            added += Test.objects.bulk_create(
                Test(test_type=test_type, **test) for test in distinct.values()
            )
    return added
