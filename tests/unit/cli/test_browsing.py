"""What settings become for the browser."""

from __future__ import annotations

from pathlib import Path

import trustme

from quaywatch.cli.browsing import plan_browser
from quaywatch.config import load_text
from quaywatch.drivers.browser import BrowserSettings, BucketStore, LocalStore
from tests.unit.config.registry import EXPORTERS, PROBES

ERP = "{kind: odoo, url: http://erp, database: a, login: b, password: c"
BUCKET = "{endpoint: http://s3, bucket: pages, prefix: erp/, access_key: a, secret_key: b}"


def planned(browser: str = "", ca_file: str = "") -> BrowserSettings:
    """How the browser is run."""
    trusts = f", ca_file: {ca_file}" if ca_file else ""
    text = f"environment: test\ninstallation: acme\ntargets:\n  one: {ERP}{trusts}}}\n  two: {ERP}}}\n{browser}"
    return plan_browser(load_text(text, "test.yaml", {}, EXPORTERS, PROBES)).settings


def test_evidence_is_kept_where_the_file_says() -> None:
    """In a directory, in a bucket, or nowhere."""
    assert planned().store is None
    local = planned("browser: {artifacts: {directory: /pages, max_age: 60}}").store
    assert local == LocalStore(directory=Path("/pages"), max_age=60, max_bytes=256 << 20)
    remote = planned(f"browser: {{artifacts: {{s3: {BUCKET}}}}}").store
    assert isinstance(remote, BucketStore)
    assert (remote.place.endpoint, remote.place.bucket, remote.place.prefix) == ("http://s3", "pages", "erp/")


def test_the_authorities_of_targets_are_the_browsers(tmp_path: Path) -> None:
    """Those of any Odoo are trusted."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    assert planned().authorities == ()
    assert planned(ca_file=str(tmp_path / "ca.pem")).authorities == (tmp_path / "ca.pem",)
