from django.db import models


class TestStatus(models.TextChoices):
    """Where a referral, or a test within it, stands; what its people may set."""

    PENDING = "Pending"
    RECEIVED = "Received"
    COMPLETED = "Completed"

    # pytest would otherwise try to collect a class of this name.
    __test__ = False


class ReferralStatus(models.TextChoices):
    """All that a referral can be: a TestStatus, or closed without being completed."""

    PENDING = TestStatus.PENDING
    RECEIVED = TestStatus.RECEIVED
    COMPLETED = TestStatus.COMPLETED
    CANCELLED = "Cancelled"


# The moves of a referral that is not cancelled; a test may go from any status to any other while
# its referral is open.
REFERRAL_MOVES: dict[ReferralStatus, set[TestStatus]] = {
    ReferralStatus.PENDING: {TestStatus.RECEIVED, TestStatus.COMPLETED},
    ReferralStatus.RECEIVED: {TestStatus.PENDING, TestStatus.COMPLETED},
    ReferralStatus.COMPLETED: set(),
    ReferralStatus.CANCELLED: set(),
}

OPEN_STATUSES = [status for status, moves in REFERRAL_MOVES.items() if moves]


class CancellationReason(models.TextChoices):
    ORDERED_IN_ERROR = "ordered_in_error", "Ordered in error"
    DUPLICATE = "duplicate", "Duplicate"
    PATIENT_DECLINED = "patient_declined", "Patient declined"
    NO_LONGER_NEEDED = "no_longer_needed", "No longer needed"
    OTHER = "other", "Other"


MAX_CLOSING_NOTE_CHARACTERS = 500
