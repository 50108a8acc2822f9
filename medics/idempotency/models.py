from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, models

from _tetradx.db.expiry import ExpiringQuerySet

from ..models.referral import Referral

if TYPE_CHECKING:
    from authentication.models import User

# One statement, so that of equal requests at once exactly one inserts: the others wait for it to
# commit, and then find a row that has not expired. A practitioner's requests take turns from here
# on, so that what is counted of them next is exact (medics.services.limits).
CLAIM = """
INSERT INTO medics_referralrequest (practitioner_id, token, body_digest, answer, expires_at)
SELECT %(practitioner)s, token, %(digest)s, '', statement_timestamp() + lifetime
FROM (
    SELECT pg_advisory_xact_lock(hashtextextended('referrals of ' || %(practitioner)s, 0))
) AS turn,
    unnest(%(tokens)s, %(lifetimes)s) WITH ORDINALITY AS claimed (token, lifetime, place)
ORDER BY place
ON CONFLICT ON CONSTRAINT unique_referral_request DO UPDATE
    SET body_digest = EXCLUDED.body_digest, referral_id = NULL, answer = '',
        expires_at = EXCLUDED.expires_at
    WHERE medics_referralrequest.expires_at <= statement_timestamp()
RETURNING token
"""

KEEP_ANSWER = """
UPDATE medics_referralrequest SET referral_id = %(referral)s, answer = %(answer)s
WHERE practitioner_id = %(practitioner)s AND token = ANY (%(tokens)s)
"""


class ReferralRequestQuerySet(ExpiringQuerySet["ReferralRequest"]):
    def claim(
        self, *, practitioner: "User", digest: str, lifetimes: Mapping[str, timedelta]
    ) -> list[str]:
        """Those of the tokens that this transaction is the first to use, or to use again.

        Requests that share several tokens must name them in the same order, or they could wait
        for each other.
        """
        values: dict[str, Any] = {
            "practitioner": practitioner.pk,
            "digest": digest,
            "tokens": list(lifetimes),
            "lifetimes": list(lifetimes.values()),
        }
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, values)
            return [token for (token,) in cursor.fetchall()]

    def keep_answer(
        self, *, practitioner: "User", tokens: list[str], referral_id: str | None, answer: str
    ) -> None:
        values: dict[str, Any] = {
            "practitioner": practitioner.pk,
            "tokens": tokens,
            "referral": referral_id,
            "answer": answer,
        }
        with connection.cursor() as cursor:
            cursor.execute(KEEP_ANSWER, values)


class ReferralRequest(models.Model):
    """A request that made a referral, and its answer, for as long as a repeat gets it again.

    It is made in the referral's transaction, so there is no row without its referral. Each
    referral writes here twice, so there is no index but the one that decides.
    """

    practitioner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    # What makes a request a repeat: the client's key, or a body that says the same.
    token = models.CharField(max_length=300)
    body_digest = models.CharField(max_length=64)
    referral = models.ForeignKey(
        Referral, on_delete=models.CASCADE, related_name="+", null=True, db_index=False
    )
    answer = models.TextField()
    expires_at = models.DateTimeField()

    objects = ReferralRequestQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["practitioner", "token"], name="unique_referral_request"
            ),
        ]

    def __str__(self) -> str:
        return f"Request of {self.referral_id}"
