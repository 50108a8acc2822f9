from .models.referral import REFERRAL_ID


class ReferralIdConverter:
    """A referral's id in a path; any other text arrives in the view as None.

    The contract gives such a path the answer of an unknown id, not a 404 of the router.
    """

    regex = "[^/]+"

    def to_python(self, value: str) -> str | None:
        return value if REFERRAL_ID.fullmatch(value) else None

    def to_url(self, value: object) -> str:
        return str(value)
