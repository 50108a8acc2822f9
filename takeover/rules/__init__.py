"""What is done with the rows that fit no rule of ours: one table, in the order of its run.

The rules work on the temporary tables of `takeover.tables`, none of which is seen by anybody else.
A row that is `made` there came from a rule and not from the predecessor.
"""

from .facilities import FACILITIES
from .foreign_tests import TESTS_ELSEWHERE
from .patients import PATIENTS_TO_LOOK_AT
from .referrals import REFERRALS
from .rule import OPTIONS, Prepare, Rule
from .staff import STAFF
from .users import USERS

__all__ = ["OPTIONS", "RULES", "Prepare", "Rule"]

RULES: tuple[Rule | Prepare, ...] = (
    *USERS,
    *PATIENTS_TO_LOOK_AT,
    *FACILITIES,
    *STAFF,
    *REFERRALS,
    *TESTS_ELSEWHERE,
)
