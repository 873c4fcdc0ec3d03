"""What a browser is started with, and whose pages it visits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from quaywatch.secret import Secret

from .evidence import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSettings:
    """How the one browser of an agent is run.

    Args:
        executable: Chromium.
        concurrency: pages at a time.
        recycle_after: seconds after which a new browser takes its place.
        memory: bytes of all its processes past which one does.
        directory: where it may write; the system's temporary directory if None.
        sandbox: whether Chromium shuts its pages in; never as root.
        dev_shm: whether shared memory is taken from /dev/shm, which is small in most pods.
        turn_within: seconds that a run waits for its turn.
        answer_within: seconds for one page to load, or one element to appear.
        origins: more origins than a target's own whose requests bear the trace.
        store: where evidence of failures is kept; nowhere if None.
        authorities: files of certificates that are trusted beside the browser's own.
        headed: whether there is a window to look at.
    """

    executable: Path = Path("/usr/bin/chromium")
    concurrency: int = 1
    recycle_after: float = 3600.0
    memory: int = 1 << 30
    directory: Path | None = None
    sandbox: bool = True
    dev_shm: bool = False
    turn_within: float = 30.0
    answer_within: float = 30.0
    origins: tuple[str, ...] = ()
    store: Store | None = None
    authorities: tuple[Path, ...] = ()
    headed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A web client and its user. ``password`` is None where there is only an API key."""

    url: str
    database: str
    login: str
    password: Secret | None

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"
