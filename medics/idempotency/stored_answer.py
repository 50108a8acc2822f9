"""A repeated request gets the first request's answer (the contract's "Repeats")."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from .key import idempotency_key
from .models import IdempotentRequest

KEY_LIFETIME = timedelta(hours=24)
# The public client sends no key, and repeats a request after a network failure.
BODY_LIFETIME = timedelta(seconds=120)


@dataclass
class StoredAnswer:
    """The answer to a request and to its repeats; empty until the first request has its answer.

    `body` is the answer's JSON. `is_replayed` is true where an earlier request with the same key
    got this answer; an answer that was found by the body alone is not marked as replayed.
    """

    body: str = ""
    referral_id: str = ""
    is_replayed: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.body

    def store(self, *, body: str, referral_id: str) -> None:
        self.body, self.referral_id = body, referral_id


@contextmanager
def idempotent(request: Request, *, digest: str) -> Iterator[StoredAnswer]:
    """Run the block in one transaction, which also keeps its answer for repeats of the request.

    Yields the answer that an earlier request left, or an empty one, into which the block stores its
    answer. Requests with the same `digest` ask for the same referral. An equal request that comes
    meanwhile waits until the block has ended. When the block raises, nothing is kept.

    Raises ValidationError under `Idempotency-Key` for a key that is malformed, or that came
    with another digest before.
    """
    key = idempotency_key(request)
    key_token, body_token = f"key:{key}", f"body:{digest}"
    lifetimes = {body_token: BODY_LIFETIME}
    if key is not None:
        lifetimes = {key_token: KEY_LIFETIME, body_token: BODY_LIFETIME}
    with transaction.atomic():
        claimed = IdempotentRequest.objects.claim(
            practitioner=request.user, digest=digest, lifetimes=lifetimes
        )
        stored = StoredAnswer()
        if repeated := lifetimes.keys() - claimed:
            # These rows cannot be purged meanwhile, because the claim has locked them.
            earlier = {
                row.token: row
                for row in IdempotentRequest.objects.filter(
                    practitioner=request.user, token__in=repeated
                )
            }
            # The key decides where both are repeated: it may have come with another body.
            first = earlier[key_token if key_token in earlier else body_token]
            if first.body_digest != digest:
                raise ValidationError(
                    {"Idempotency-Key": ["This key was used with another request before."]}
                )
            stored = StoredAnswer(
                body=first.answer,
                referral_id=str(first.referral_id),
                is_replayed=first.token == key_token,
            )
        yield stored
        if stored.is_empty:
            raise RuntimeError("The block of idempotent() has stored no answer.")
        if claimed:
            IdempotentRequest.objects.keep_answer(
                practitioner=request.user,
                tokens=claimed,
                referral_id=stored.referral_id,
                answer=stored.body,
            )
