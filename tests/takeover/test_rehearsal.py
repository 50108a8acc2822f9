"""The rows that `make takeover-check` makes are taken over like any others."""

import pytest

from medics.models import Referral, ReferralTest
from tests.checks.takeover import DECISIONS, TESTS_OF_A_REFERRAL, fill

pytestmark = pytest.mark.django_db

REFERRALS = 1_100


def test_a_small_rehearsal(predecessor, import_predecessor):
    fill(predecessor.url, REFERRALS)

    result = import_predecessor(*DECISIONS)

    assert result.error is None
    assert Referral.objects.count() == REFERRALS
    assert ReferralTest.objects.count() == REFERRALS * TESTS_OF_A_REFERRAL
    rules = {line["rule"] for line in result.lines}
    assert {"test_of_another_facility", "referral_without_branch", "phone_number_twice"} <= rules
    assert import_predecessor("--verify", keep_report=True).error is None
