"""One translation of names."""

from __future__ import annotations

import pytest

from otel_config.names import prometheus_label, prometheus_name
from quaywatch.contract import Kind, Metric


@pytest.mark.parametrize(
    ("name", "kind", "unit", "stored"),
    [
        ("postgresql.lock.wait.longest", Kind.GAUGE, "s", "postgresql_lock_wait_longest_seconds"),
        ("postgresql.lock.waiters", Kind.UPDOWN, "{session}", "postgresql_lock_waiters"),
        ("quaywatch.target.up", Kind.GAUGE, "", "quaywatch_target_up"),
        ("redis.memory.used", Kind.GAUGE, "By", "redis_memory_used_bytes"),
        ("redis.memory.utilization", Kind.GAUGE, "1", "redis_memory_utilization_ratio"),
        ("redis.memory.fragmentation_ratio", Kind.GAUGE, "1", "redis_memory_fragmentation_ratio"),
        ("quaywatch.load", Kind.UPDOWN, "1", "quaywatch_load"),
        ("quaywatch.scrape.error", Kind.COUNTER, "{error}", "quaywatch_scrape_error_total"),
        ("process.cpu.time", Kind.COUNTER, "s", "process_cpu_time_seconds_total"),
        ("quaywatch.total.runs", Kind.COUNTER, "", "quaywatch_runs_total"),
        ("quaywatch.probe.duration", Kind.HISTOGRAM, "s", "quaywatch_probe_duration_seconds"),
        ("quaywatch.wait.seconds", Kind.GAUGE, "s", "quaywatch_wait_seconds"),
        ("traefik.traffic", Kind.GAUGE, "By/s", "traefik_traffic_bytes_per_second"),
    ],
)
def test_a_metric_is_stored_under_one_name(name: str, kind: Kind, unit: str, stored: str) -> None:
    """Unit and kind become the suffixes that the stores give, each once."""
    bounds = (1.0,) if kind is Kind.HISTOGRAM else ()
    assert prometheus_name(Metric(name, kind, unit, "Help.", bounds=bounds)) == stored


def test_an_attribute_becomes_a_label() -> None:
    """Dots become underscores, the rest stays."""
    assert prometheus_label("k8s.pod.name") == "k8s_pod_name"
    assert prometheus_label("lock_type") == "lock_type"
