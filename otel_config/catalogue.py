"""What this room says about itself: how the export goes."""

from typing import Final

from quaywatch.contract import Kind, Meter, Metric

SIGNALS: Final = ("metrics", "traces", "logs")
BATCH_OUTCOMES: Final = ("sent", "partial", "poison", "outage", "overflow")
POINT_OUTCOMES: Final = ("sent", "rejected", "poison", "overflow", "invalid")

EXPORT_BATCHES = Metric(
    "quaywatch.export.batches",
    Kind.COUNTER,
    "{batch}",
    "Batches of telemetry by what became of them; an outage counts once for each attempt that failed.",
    ("signal", "outcome"),
)
EXPORT_POINTS = Metric(
    "quaywatch.export.points",
    Kind.COUNTER,
    "{point}",
    "Metric points by what became of them; invalid ones were dropped or mended before they left.",
    ("outcome",),
)
QUEUE_SIZE = Metric(
    "quaywatch.export.queue.size", Kind.UPDOWN, "By", "Bytes of metric batches that wait to be sent, as compressed."
)
QUEUE_AGE = Metric(
    "quaywatch.export.queue.age", Kind.GAUGE, "s", "Age of the oldest metric batch that waits; 0 when none does."
)
LAST_SUCCESS = Metric(
    "quaywatch.export.last_success.time", Kind.GAUGE, "s", "When the back end last took a batch.", ("signal",)
)

METRICS: Final = (EXPORT_BATCHES, EXPORT_POINTS, QUEUE_SIZE, QUEUE_AGE, LAST_SUCCESS)


def count_from_zero(meter: Meter, signals: tuple[str, ...]) -> None:
    """Start every outcome's counter at 0, so that the first failure is seen as an increase."""
    for signal in signals:
        for outcome in BATCH_OUTCOMES:
            meter.add(EXPORT_BATCHES, 0, signal, outcome)
    for outcome in POINT_OUTCOMES:
        meter.add(EXPORT_POINTS, 0, outcome)
