"""The token that opens /metrics where a test has the `measured` fixture."""

METRICS_TOKEN = "m" * 40
