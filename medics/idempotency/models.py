from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, models

from _tetradx.db.expiry import ExpiringQuerySet

if TYPE_CHECKING:
    from authentication.models import User

# This is one statement, so that exactly one of several equal requests inserts. The others wait for
# that one to commit, and then find a row that has not expired.
CLAIM = """
INSERT INTO medics_referralrequest (practitioner_id, token, body_digest, answer, expires_at)
SELECT %(practitioner)s, token, %(digest)s, '', statement_timestamp() + lifetime
FROM (
    -- Until it commits, one practitioner's request holds this lock. Without the lock, two requests
    -- at once would each count the practitioner's referrals without the other's, and both would
    -- stay below the limit (medics.services.limits). The lock is here to save a statement.
    SELECT pg_advisory_xact_lock(hashtextextended('referrals of ' || %(practitioner)s, 0))
) AS turn,
    unnest(%(tokens)s, %(lifetimes)s) WITH ORDINALITY AS claimed (token, lifetime, place)
ORDER BY place
ON CONFLICT (practitioner_id, token) DO UPDATE
    SET body_digest = EXCLUDED.body_digest, referral_id = NULL, answer = '',
        expires_at = EXCLUDED.expires_at
    WHERE medics_referralrequest.expires_at <= statement_timestamp()
RETURNING token
"""

KEEP_ANSWER = """
UPDATE medics_referralrequest SET referral_id = %(referral)s, answer = %(answer)s
WHERE practitioner_id = %(practitioner)s AND token = ANY (%(tokens)s)
"""


class IdempotentRequestQuerySet(ExpiringQuerySet["IdempotentRequest"]):
    def claim(
        self, *, practitioner: "User", digest: str, lifetimes: Mapping[str, timedelta]
    ) -> list[str]:
        """Return the tokens that are new, or that had expired; this transaction now owns them.

        The practitioner's next claim waits until this transaction ends. A token that is not
        returned belongs to an earlier request, whose row stays locked until then.

        `lifetimes` maps each token to its lifetime. Requests that share several tokens must name
        them in the same order, or they could deadlock.
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
        self, *, practitioner: "User", tokens: list[str], referral_id: str, answer: str
    ) -> None:
        """Store the answer under tokens that this transaction has claimed."""
        values: dict[str, Any] = {
            "practitioner": practitioner.pk,
            "tokens": tokens,
            "referral": referral_id,
            "answer": answer,
        }
        with connection.cursor() as cursor:
            cursor.execute(KEEP_ANSWER, values)


class IdempotentRequest(models.Model):
    """A request that made a referral, and its answer, for as long as a repeat gets that answer.

    The row is made in the referral's transaction, so each committed row has its referral. Each
    referral writes here twice, so the table has no index besides the primary key and the unique
    constraint.
    """

    practitioner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    # What makes a request a repeat: `key:` and the client's key, or `body:` and the digest.
    token = models.CharField(max_length=300)
    body_digest = models.CharField(max_length=64)
    referral = models.ForeignKey(
        "medics.Referral", on_delete=models.CASCADE, related_name="+", null=True, db_index=False
    )
    answer = models.TextField()
    expires_at = models.DateTimeField()

    objects = IdempotentRequestQuerySet.as_manager()

    class Meta:
        # The table had this name before the class had its own. Renaming a table would break the
        # version before, which still serves during an upgrade.
        db_table = "medics_referralrequest"
        verbose_name = "referral request"
        constraints = [
            models.UniqueConstraint(
                fields=["practitioner", "token"], name="unique_referral_request"
            ),
        ]

    def __str__(self) -> str:
        return f"Request of {self.referral_id}"
