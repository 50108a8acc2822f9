"""The search of a list: a text, whatever its case, in a name that a referral shows."""

import re
from typing import Any, NamedTuple
from uuid import UUID

from _tetradx.db.compiled_queries import rows_of
from _tetradx.values.folding import fold, name_key

from ..models.referral import REFERRAL_ID, referral_id

# PostgreSQL takes trigrams from words. A text that has any is looked up by them, unless it means
# too many patients.
HAS_TRIGRAMS = re.compile(r"[^\W_]{3}|[^\W_]{2}[\W_]|[\W_][^\W_]")
MOST_PATIENTS = 4_000
# Fewer people than these are looked up among all accounts; else among the list's doctors.
MOST_PEOPLE = 1_000


class Matches(NamedTuple):
    """The ids of what the text occurs in, and whether all of the list shares such a name."""

    patients: list[int]
    branches: list[int]
    doctors: list[UUID]
    tests: list[int]
    is_everywhere: bool


class Search(NamedTuple):
    """The SQL condition that a row `r` with the text fulfils, and the values that it names.

    Where `is_of_few_rows`, PostgreSQL finds the rows by the ids of a few patients, and need not
    walk the list's index.
    """

    condition: str
    values: dict[str, Any]
    is_of_few_rows: bool


def search_for(text: str, *, names: str, values: dict[str, Any]) -> Search | None:
    """Return the search for a text in a list, None where it leaves the whole list.

    `names` is the SQL of the list's Scope; `values` holds the user whose list it is.

    Where the text is in the names of a few patients and in no other name, their referrals are
    looked up by the patients' ids. Any other search walks the list's index, which includes what is
    compared: the patient's name and the ids of the tests.
    """
    folded, key = fold(text), name_key(text)
    id_ = referral_id(folded)
    has_trigrams = HAS_TRIGRAMS.search(key) is not None
    like = containing(folded)
    matches = Matches(
        *rows_of(
            names,
            {
                **values,
                "like": like,
                "like_key": containing(key),
                "most_patients": MOST_PATIENTS + 1 if has_trigrams else 0,
                "most_people": MOST_PEOPLE if HAS_TRIGRAMS.search(folded) else 0,
            },
        )[0]
    )
    if matches.is_everywhere:
        return None
    conditions = []
    if REFERRAL_ID.fullmatch(id_):
        conditions.append("r.id = %(id)s")
    if matches.branches:
        conditions.append("r.facility_branch_id = ANY (%(branches)s)")
    if matches.doctors:
        conditions.append("r.referred_by_id = ANY (%(doctors)s)")
    if matches.tests:
        conditions.append("r.test_ids && %(tests)s::bigint[]")
    has_name = "r.patient_name_folded LIKE %(like)s"
    are_patients_known = has_trigrams and len(matches.patients) <= MOST_PATIENTS
    is_of_few_rows = are_patients_known and not (
        matches.branches or matches.doctors or matches.tests
    )
    if is_of_few_rows and matches.patients:
        conditions.append(f"r.patient_id = ANY (%(patients)s) AND {has_name}")
    elif matches.patients or not are_patients_known:
        conditions.append(has_name)
    return Search(
        condition=f"({' OR '.join(conditions) or 'false'})",
        values={**matches._asdict(), "like": like, "id": id_},
        is_of_few_rows=is_of_few_rows,
    )


def containing(text: str) -> str:
    """Return the pattern of LIKE for what contains the text."""
    return "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"
