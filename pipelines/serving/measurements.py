"""Measurements of the gateway, for Prometheus.

Comes in: what the gateway did. Goes out: the text that GET /metrics answers with. Counters begin at 0
with each start of the process, as Prometheus expects; the prediction log is what lasts.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from pipelines.serving.open_inference import Answer

LATENCY_BUCKETS_S = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.5, 10.0)
SCORE_BUCKETS = tuple(tenth / 10 for tenth in range(1, 11))
ROWS_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000)


class Measurements:
    """Everything measured, in a registry of its own: two gateways in one process don't mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        whose = ("workspace", "scenario")
        self.requests = Counter(
            "flightdeck_requests",
            "Requests for inference, by the route and version that answered; empty when refused.",
            (*whose, "route", "version", "status"),
            registry=self.registry,
        )
        self.latency = Histogram(
            "flightdeck_request_seconds",
            "From the request's last byte to its answer, in seconds.",
            whose,
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.scores = Histogram(
            "flightdeck_score",
            "Scores answered; repeated answers are left out.",
            (*whose, "version"),
            buckets=SCORE_BUCKETS,
            registry=self.registry,
        )
        self.feedback = Counter(
            "flightdeck_feedback",
            "Requests that told a label.",
            ("workspace", "status"),
            registry=self.registry,
        )
        self.committed_rows = Histogram(
            "flightdeck_log_commit_rows",
            "Rows that one commit of the prediction log made durable.",
            buckets=ROWS_BUCKETS,
            registry=self.registry,
        )
        self.failed_commits = Counter(
            "flightdeck_log_commits_failed",
            "Commits of the prediction log that the disk or the database refused.",
            registry=self.registry,
        )
        self.swaps = Counter(
            "flightdeck_swaps",
            "Lineups that could be loaded and took their place, or could not.",
            (*whose, "outcome"),
            registry=self.registry,
        )

    def answered(
        self, workspace: str, scenario: str, status: int, answers: Sequence[Answer], seconds: float
    ) -> None:
        """Count one request for inference, whoever answered its rows or why it was refused."""
        served = {(answer.route, str(answer.version)) for answer in answers} or {("", "")}
        for route, version in served:
            self.requests.labels(workspace, scenario, route, version, status).inc()
        self.latency.labels(workspace, scenario).observe(seconds)

    def text(self) -> bytes:
        """All measurements in Prometheus' text format."""
        return generate_latest(self.registry)
