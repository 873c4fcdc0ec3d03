"""The table of the browser."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from .sentences import refusal
from .tables import OrDefault, Table
from .values import AbsolutePath, CaFile, KeyPrefix, Seconds, SecretText, Text, Url, Whole

_MIB = 1 << 20


class BucketTable(Table):
    """An S3-compatible store that pictures and traces are written to."""

    endpoint: Url = Field(description="its address, without the bucket", examples=["https://s3.internal"])
    bucket: Text = Field(description="its bucket", examples=["quaywatch-pages"])
    prefix: KeyPrefix = Field(default="", description="what the keys begin with")
    region: Text = Field(default="us-east-1", description="its region")
    access_key: SecretText = Field(description="who writes there", examples=["${env:QUAYWATCH_PAGES_ACCESS_KEY}"])
    secret_key: SecretText = Field(
        description="and proves it; the right to write is enough", examples=["${env:QUAYWATCH_PAGES_SECRET_KEY}"]
    )
    ca_file: CaFile | None = Field(default=None, description="authorities to trust; the system's if unset")


class ArtifactsTable(Table):
    """Where a picture and a trace of the page are kept when a run fails on it."""

    directory: AbsolutePath | None = Field(
        default=None, description="where they are kept; nothing is kept if unset", examples=["/var/lib/quaywatch/pages"]
    )
    max_age: Seconds = Field(default=604_800.0, description="seconds after which they go from the directory")
    max_bytes: Annotated[Whole, Field(ge=_MIB)] = Field(
        default=256 * _MIB, description="how much is kept in the directory; the oldest go first"
    )
    s3: BucketTable | None = Field(default=None, description="a store that keeps them instead of a directory")

    @model_validator(mode="after")
    def _one_place(self) -> ArtifactsTable:
        if self.directory is not None and self.s3 is not None:
            raise refusal("artifacts_twice", "s3")
        return self


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
