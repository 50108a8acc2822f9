import pytest
from django.urls import reverse

pytestmark = pytest.mark.django_db


def test_ama_sees_her_referral(signed_in, ama, referral, django_assert_num_queries):
    with django_assert_num_queries(4):
        answer = signed_in(ama).get(reverse("medics:get-practitioner-referrals"))
    assert [row["referral_id"] for row in answer.json()["data"]["referrals"]] == [referral.id]
