"""What this room says about itself: how the export goes."""

from collections.abc import Mapping
from typing import Final, Literal

from quaywatch.contract import Kind, Metric

Signal = Literal["metrics", "traces", "logs"]
BATCH_OUTCOMES: Final = ("sent", "partial", "poison", "outage", "overflow")
ITEM_OUTCOMES: Final = ("sent", "rejected", "poison", "overflow", "invalid")

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
EXPORT_SPANS = Metric(
    "quaywatch.export.spans",
    Kind.COUNTER,
    "{span}",
    "Spans by what became of them; invalid ones could not be encoded.",
    ("outcome",),
)
EXPORT_RECORDS = Metric(
    "quaywatch.export.records",
    Kind.COUNTER,
    "{record}",
    "Records of the log by what became of them; invalid ones could not be encoded.",
    ("outcome",),
)
QUEUE_SIZE = Metric(
    "quaywatch.export.queue.size",
    Kind.UPDOWN,
    "By",
    "Bytes of batches that wait to be sent, as compressed.",
    ("signal",),
)
QUEUE_AGE = Metric(
    "quaywatch.export.queue.age", Kind.GAUGE, "s", "Age of the oldest batch that waits; 0 when none does.", ("signal",)
)
LAST_SUCCESS = Metric(
    "quaywatch.export.last_success.time", Kind.GAUGE, "s", "When the back end last took a batch.", ("signal",)
)

METRICS: Final = (
    EXPORT_BATCHES,
    EXPORT_POINTS,
    EXPORT_SPANS,
    EXPORT_RECORDS,
    QUEUE_SIZE,
    QUEUE_AGE,
    LAST_SUCCESS,
)
ITEMS: Final[Mapping[Signal, Metric]] = {"metrics": EXPORT_POINTS, "traces": EXPORT_SPANS, "logs": EXPORT_RECORDS}
"""What counts the contents of a signal's batches."""
