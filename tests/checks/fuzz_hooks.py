"""Where the contract differs from what schemathesis expects of an API, each with its reason.

A failure is dropped for exactly that; whatever else the check finds is still a failure.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from functools import reduce
from itertools import count
from operator import getitem

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.core.jsonschema import make_validator
from schemathesis.core.parameters import ParameterLocation
from schemathesis.openapi.checks import RejectedPositiveData

BODY = ParameterLocation.BODY
# What a field of text is refused for and a JSON schema cannot say.
OF_ANY_TEXT = {
    "This field may not be blank.",
    "Null characters are not allowed.",
    "Control characters are not allowed.",
    "Enter at least one visible character.",
}

requests = count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Each request is from an address of its own, or the throttles would soon refuse all."""
    number = next(requests)
    case.headers["X-Forwarded-For"] = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if isinstance(failure, RejectedPositiveData):
        return not is_documented_refusal(case, response.status_code, response.json()["detail"])
    if isinstance(failure, AcceptedNegativeData) and case.meta.is_negative_at(BODY):
        return not is_valid_as_read(case)
    return True


def is_documented_refusal(case, status: int, detail: str | dict) -> bool:
    """positive_data_acceptance: the contract answers an unknown id, a wrong role, a taken name, a
    wrong or weak password and a move that is not allowed with 400, and no schema can tell which
    values these are. The operation's examples of a 400 say so.
    """
    if status != 400:
        return False
    documented = list(documented_details(case.operation))
    if isinstance(detail, str):
        return detail in documented
    fields = {field for each in documented if isinstance(each, dict) for field in each}
    return all(
        field in fields or OF_ANY_TEXT.issuperset(sentences) for field, sentences in detail.items()
    )


def documented_details(operation) -> Iterator[str | dict]:
    answer = operation.definition.raw["responses"]["400"]["content"]["application/json"]
    for example in answer["examples"].values():
        yield example["value"]["detail"]


def is_valid_as_read(case) -> bool:
    """negative_data_rejection: as of any service on Django REST framework, a number will do where
    text is due, and the text of a number where that is.
    """
    [alternative] = case.operation.body or [None]
    if alternative is None:
        return False
    validator = make_validator(
        alternative.optimized_schema, case.operation.schema.adapter.jsonschema_validator_cls
    )
    body = {"": deepcopy(case.body)}
    for error in validator.iter_errors(case.body):
        *parents, last = ["", *error.instance_path]
        place = reduce(getitem, parents, body)
        place[last] = read_otherwise(place[last])
    return validator.is_valid(body[""])


def read_otherwise(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        with suppress(ValueError):
            return json.loads(value)
    return value
