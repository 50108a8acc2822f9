"""What /metrics shows of the laboratories' work."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from _tetradx.observability.database_metrics import database_metric

from .choices import ReferralStatus


@database_metric("""
    SELECT status, sum(number) FROM medics_referralcount WHERE branch_id IS NOT NULL GROUP BY 1
""")
def referrals(rows: list[tuple]) -> Iterator[Metric]:
    family = GaugeMetricFamily("tetradx_referrals", "Referrals by status.", labels=["status"])
    for status, number in {**dict.fromkeys(ReferralStatus.values, 0), **dict(rows)}.items():
        family.add_metric([status], number)
    yield family


# The newest 10,000 changes are a day's, but in the largest networks, where the last hours speak for
# the day. The table has no index by time, and needs none for this.
@database_metric("""
    SELECT count(*), coalesce(sum(seconds), 0),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds)
    FROM (
        SELECT (
            SELECT extract(epoch FROM completed_at - referred_at) FROM medics_referral
            WHERE id = newest.referral_id
        ) AS seconds
        FROM (SELECT * FROM medics_statuschange ORDER BY id DESC LIMIT 10000) AS newest
        WHERE referral_test_id IS NULL AND to_status = 'Completed'
            AND changed_at > now() - interval '24 hours'
    ) AS completed
""")
def turnaround(rows: list[tuple]) -> Iterator[Metric]:
    [(number, seconds, median, p95)] = rows
    yield GaugeMetricFamily(
        "tetradx_completed_referrals_24h",
        "Referrals completed in the last 24 hours, of the newest 10,000 changes.",
        value=number,
    )
    yield GaugeMetricFamily(
        "tetradx_turnaround_seconds_24h_sum", "Their turnaround times, added up.", value=seconds
    )
    quantiles = GaugeMetricFamily(
        "tetradx_turnaround_seconds_24h",
        "Their turnaround time from referral to completion; none while there are none.",
        labels=["quantile"],
    )
    if number:
        quantiles.add_metric(["0.5"], median)
        quantiles.add_metric(["0.95"], p95)
    yield quantiles
