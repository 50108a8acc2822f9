"""The environment of a service that is measured or worked harder than its limits let anybody."""

WITHOUT_LIMITS = dict.fromkeys(
    (
        "NEW_ACCOUNT_REFERRALS_PER_HOUR",
        "NEW_ACCOUNT_REFERRALS_PER_DAY",
        "REFERRALS_PER_HOUR",
        "REFERRALS_PER_DAY",
        "TECHNICIANS_PER_HOUR",
        "STATUS_CHANGES_PER_HOUR",
    ),
    "1000000000",
)
