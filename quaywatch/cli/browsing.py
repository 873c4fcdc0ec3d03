"""From settings to the one browser of this process."""

from __future__ import annotations

from pathlib import Path

from quaywatch.config import Settings
from quaywatch.config.browser_table import ArtifactsTable, BucketTable
from quaywatch.config.tables import OdooTable
from quaywatch.drivers.browser import BrowserSettings, BucketStore, LocalStore, Site, SiteBrowser, Store, WarmBrowser
from quaywatch.drivers.s3 import ObjectPrefix


def plan_browser(settings: Settings, *, headed: bool = False) -> WarmBrowser:
    """The browser that all targets share; it starts when a probe first needs it."""
    table = settings.browser
    return WarmBrowser(
        BrowserSettings(
            executable=Path(table.executable),
            concurrency=table.concurrency,
            recycle_after=table.recycle_after,
            memory=table.memory,
            directory=table.directory,
            sandbox=table.sandbox,
            dev_shm=table.dev_shm,
            answer_within=table.answer_within,
            origins=table.allow_origins,
            store=_store(table.artifacts),
            authorities=_authorities(settings),
            headed=headed,
        )
    )


def web_client(table: OdooTable, browser: WarmBrowser) -> SiteBrowser:
    """An Odoo's web client in that browser, as the probe's user."""
    site = Site(url=table.url, database=table.database, login=table.login, password=table.password)
    return SiteBrowser(site, browser)


def _authorities(settings: Settings) -> tuple[Path, ...]:
    files = (table.ca_file for table in settings.targets.values() if isinstance(table, OdooTable))
    return tuple(Path(file) for file in files if file is not None)


def _store(table: ArtifactsTable) -> Store | None:
    if table.s3 is not None:
        return BucketStore(place=_place(table.s3))
    if table.directory is not None:
        return LocalStore(directory=table.directory, max_age=table.max_age, max_bytes=table.max_bytes)
    return None


def _place(table: BucketTable) -> ObjectPrefix:
    return ObjectPrefix(
        endpoint=table.endpoint,
        bucket=table.bucket,
        prefix=table.prefix,
        region=table.region,
        access_key=table.access_key,
        secret_key=table.secret_key,
        ca_file=table.ca_file,
    )
