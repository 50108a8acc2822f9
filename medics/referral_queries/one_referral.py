from functools import cache
from typing import Any

import orjson
from django.db.models import CharField
from rest_framework.exceptions import PermissionDenied

from _tetradx.api.exceptions import BadRequest
from _tetradx.db.compiled_queries import Parameter, rows_of, sql_of
from authentication.models import User

from ..models import Referral
from ..referral_fields import (
    CREATED_REFERRAL,
    ONE_REFERRAL,
    TESTS,
    answer_of,
    columns_of,
)
from .scopes import USER

FROM_ONE_REFERRAL = f"""
    FROM medics_referral r CROSS JOIN LATERAL ({TESTS}) AS tests
    WHERE r.id = %(referral)s
"""
CREATED_REFERRAL_SQL = f"SELECT {columns_of(CREATED_REFERRAL)} {FROM_ONE_REFERRAL}"


@cache
def one_referral_sql() -> str:
    this_one = Referral.objects.filter(pk=Parameter("referral", CharField()))
    is_visible = f"EXISTS ({sql_of(this_one.visible_to(USER).values('pk'))})"
    return f"SELECT {is_visible}, {columns_of(ONE_REFERRAL)} {FROM_ONE_REFERRAL}"


def one_referral(*, referral_id: str | None, user: User) -> dict[str, Any]:
    """Return the referral as ONE_REFERRAL shows it.

    Raises BadRequest where there is no such referral, PermissionDenied where the user has no part
    in it.
    """
    rows = rows_of(one_referral_sql(), {"referral": referral_id, "user": user.pk})
    for is_visible, *row in rows:
        if not is_visible:
            raise PermissionDenied
        return answer_of(ONE_REFERRAL, row)
    raise BadRequest("Referral does not exist.")


def created_referral_json(referral: Referral) -> str:
    """Return the JSON of the referral as CREATED_REFERRAL shows it."""
    [row] = rows_of(CREATED_REFERRAL_SQL, {"referral": referral.pk})
    return orjson.dumps(answer_of(CREATED_REFERRAL, row)).decode()
