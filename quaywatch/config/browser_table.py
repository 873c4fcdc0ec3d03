"""The table of the browser."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .tables import OrDefault, Table
from .values import AbsolutePath, Seconds, Text, Url, Whole

_MIB = 1 << 20


class ArtifactsTable(Table):
    """Where a picture and a trace of the page are kept when a run fails on it."""

    directory: AbsolutePath | None = Field(
        default=None, description="where they are kept; nothing is kept if unset", examples=["/var/lib/quaywatch/pages"]
    )
    max_age: Seconds = Field(default=604_800.0, description="seconds after which they go")
    max_bytes: Annotated[Whole, Field(ge=_MIB)] = Field(
        default=256 * _MIB, description="how much is kept; the oldest go first"
    )


class BrowserTable(Table):
    """The one browser that all browser probes of an agent take turns on."""

    executable: Text = Field(default="/usr/bin/chromium", description="Chromium")
    concurrency: Annotated[Whole, Field(ge=1, le=10)] = Field(
        default=1, description="runs at a time; each takes a few hundred megabytes"
    )
    recycle_after: Seconds = Field(default=3600.0, description="seconds after which a new browser takes its place")
    memory: Annotated[Whole, Field(ge=256 * _MIB)] = Field(
        default=1024 * _MIB, description="bytes of all its processes past which one does"
    )
    directory: AbsolutePath | None = Field(
        default=None, description="where profile and temporary files go; the system's temporary directory if unset"
    )
    sandbox: bool = Field(
        default=True, description="false where the pod forbids user namespaces; as root it is off in any case"
    )
    dev_shm: bool = Field(default=False, description="true where /dev/shm is large")
    answer_within: Seconds = Field(default=30.0, description="seconds for a page to load, or an element to appear")
    allow_origins: tuple[Url, ...] = Field(
        default=(),
        description="origins beside the target's own whose requests bear the trace; they must allow these headers",
        examples=[["https://login.example.com"]],
    )
    artifacts: OrDefault[ArtifactsTable] = Field(
        default_factory=ArtifactsTable, description="what is kept of a page on which a run fails"
    )
