"""Writes a network and its referrals into the database, through COPY."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import StringIO
from itertools import islice
from typing import Any

from django.core.management.color import no_style
from django.db import connection, models, transaction
from tqdm import tqdm

from _tetradx.db.fields import DerivedCharField
from authentication.models import User
from demo.network import Network
from demo.referrals import DAYS, Referrals
from medics.models import (
    BranchTechnician,
    Facility,
    FacilityBranch,
    Patient,
    Referral,
    ReferralTest,
    StatusChange,
    Test,
    TestType,
)

# In the order in which rows point at each other.
MODELS: tuple[type[models.Model], ...] = (
    User,
    Facility,
    FacilityBranch,
    BranchTechnician,
    TestType,
    Test,
    Patient,
    Referral,
    ReferralTest,
    StatusChange,
)

# Referrals in memory at a time: each batch is four COPYs.
BATCH_SIZE = 5_000

COPY_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


class NotEmptyError(Exception):
    """The database holds rows already; says of which model."""


@transaction.atomic
def load(*, seed: int, referrals: int, until: datetime, progress: bool = False) -> Counter[str]:
    """All or nothing; gives the number of rows by table. Raises NotEmptyError."""
    _require_empty()
    network = Network(seed=seed, opened_at=until - timedelta(days=2 * DAYS))
    stream = Referrals(network, number=referrals, until=until)
    loaded: Counter[str] = Counter()

    def copy(model: type[models.Model], rows: Sequence[Any]) -> None:
        copy_rows(model, rows)
        loaded[model._meta.db_table] += len(rows)

    copy(User, network.users)
    copy(Facility, network.facilities)
    copy(FacilityBranch, network.branches)
    copy(BranchTechnician, network.branch_technicians)
    copy(TestType, network.test_types)
    copy(Test, network.tests)

    remaining = iter(tqdm(stream, unit="referral", disable=not progress))
    while batch := list(islice(remaining, BATCH_SIZE)):
        copy(Patient, [referred.patient for referred in batch if referred.patient])
        copy(Referral, [referred.referral for referred in batch])
        copy(ReferralTest, [test for referred in batch for test in referred.tests])
        copy(StatusChange, [change for referred in batch for change in referred.changes])

    with connection.cursor() as cursor:
        # The rows bring their ids, of which the sequences know nothing.
        for statement in connection.ops.sequence_reset_sql(no_style(), MODELS):
            cursor.execute(statement)
        tables = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in MODELS)
        cursor.execute(f"ANALYZE {tables}")
    return loaded


def _require_empty() -> None:
    with connection.cursor() as cursor:
        # Of two that load at once, the second waits here, then finds the first one's rows.
        table = connection.ops.quote_name(User._meta.db_table)
        cursor.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        # Foreign keys are checked by each COPY: at the commit, the checks of a large network
        # would be one statement that runs into the statement timeout.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for model in MODELS:
        if model._default_manager.exists():
            raise NotEmptyError(f"The database already holds {model._meta.verbose_name_plural}.")


def copy_rows(model: type[models.Model], rows: Sequence[Any]) -> None:
    """`rows` are named tuples of columns; those that the model derives are added here."""
    if not rows:
        return
    derived = [
        field for field in model._meta.concrete_fields if isinstance(field, DerivedCharField)
    ]
    text = StringIO()
    for row in rows:
        values = (*row, *(field.derive(getattr(row, field.source)) for field in derived))
        text.write("\t".join(map(_field, values)) + "\n")
    text.seek(0)
    quote = connection.ops.quote_name
    columns = ", ".join(map(quote, (*rows[0]._fields, *(field.column for field in derived))))
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {quote(model._meta.db_table)} ({columns}) FROM STDIN", text)


def _field(value: object) -> str:
    return r"\N" if value is None else str(value).translate(COPY_ESCAPES)
