"""A request that is sent again gets the first one's answer (docs: the contract's "Repeats")."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import orjson
from django.db import transaction
from rest_framework.exceptions import ValidationError

from _tetradx.values.folding import name_key
from authentication.models import User
from authentication.phone_numbers import phone_key

from ..models import Referral, ReferralRequest
from ..services.limits import limits_of_referrals
from ..services.referrals import create_referral

KEY_LIFETIME = timedelta(hours=24)
# The public client sends no key, and repeats a request after a failure of the network.
BODY_LIFETIME = timedelta(seconds=120)


class Answer(NamedTuple):
    """`body` as `describe` made it of the referral; whether the request's key got it before."""

    body: str
    referral_id: str
    is_replayed: bool


@transaction.atomic
def create_referral_once(
    *,
    practitioner: User,
    key: str | None,
    describe: Callable[[Referral], str],
    **fields: Any,
) -> Answer:
    """`fields` are those of create_referral, whose errors are raised, too.

    Raises ValidationError under Idempotency-Key where the key came with another body.
    """
    digest = digest_of(**fields)
    by_key, by_body = f"key:{key}", f"body:{digest}"
    lifetimes = {by_key: KEY_LIFETIME} if key else {}
    lifetimes[by_body] = BODY_LIFETIME
    claimed = ReferralRequest.objects.claim(
        practitioner=practitioner, digest=digest, lifetimes=lifetimes
    )
    repeated = lifetimes.keys() - claimed
    if repeated:
        # By the key, where both are known; its name sorts last. The claim has locked what it did
        # not get, so nobody can remove it between the two statements.
        first = ReferralRequest.objects.filter(
            practitioner=practitioner, token__in=repeated
        ).latest("token")
        if first.body_digest != digest:
            raise ValidationError(
                {"Idempotency-Key": ["This key was used with another request before."]}
            )
    else:
        limits = limits_of_referrals(practitioner)
        referral = create_referral(practitioner=practitioner, limits=limits, **fields)
        first = ReferralRequest(referral=referral, answer=describe(referral))
    if claimed:
        ReferralRequest.objects.keep_answer(
            practitioner=practitioner,
            tokens=claimed,
            referral_id=first.referral_id,
            answer=first.answer,
        )
    return Answer(first.answer, str(first.referral_id), is_replayed=first.token == by_key)


def digest_of(
    *,
    branch_id: int,
    test_ids: list[int],
    patient_full_name_or_id: str,
    patient_contact_number: str = "",
    clinical_notes: str = "",
) -> str:
    """The same for bodies that say the same: case and spacing of a name aside, tests a set."""
    said = [
        branch_id,
        sorted(set(test_ids)),
        name_key(patient_full_name_or_id),
        phone_key(patient_contact_number),
        clinical_notes.strip(),
    ]
    return hashlib.sha256(orjson.dumps(said)).hexdigest()
