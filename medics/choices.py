from django.db import models


class TestStatus(models.TextChoices):
    """Where a referral, or a test within it, stands."""

    PENDING = "Pending"
    RECEIVED = "Received"
    COMPLETED = "Completed"

    # pytest would otherwise try to collect a class of this name.
    __test__ = False


# The moves of a referral; a test may go from any status to any other while its referral is open.
REFERRAL_MOVES = {
    TestStatus.PENDING: {TestStatus.RECEIVED, TestStatus.COMPLETED},
    TestStatus.RECEIVED: {TestStatus.PENDING, TestStatus.COMPLETED},
    TestStatus.COMPLETED: set(),
}
