"""Where an agent listens, as its health check finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from quaywatch.config import listens
from quaywatch.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("telemetry: {http: {listen: '0.0.0.0:9000'}}", "0.0.0.0:9000"),
        ("telemetry: {http: {listen: '[::1]:9000'}}", "[::1]:9000"),
        ("telemetry: {http: {listen: '127.0.0.1:${env:PORT:-9001}'}}", "127.0.0.1:9001"),
        ("telemetry: {http: {token: '${file:/nowhere}'}}", "127.0.0.1:9464"),
        ("telemetry:", "127.0.0.1:9464"),
        ("nonsense: [1]", "127.0.0.1:9464"),
        ("", "127.0.0.1:9464"),
    ],
)
def test_only_the_address_is_looked_at(text: str, address: str, tmp_path: Path) -> None:
    """References in it are resolved, the default is the agent's own, and no other key of the file can be wrong."""
    path = tmp_path / "quaywatch.yaml"
    path.write_text(text)
    assert str(listens(path, {})) == address


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("telemetry:\n  http:\n    listen: nowhere", ":3: telemetry.http.listen: 'nowhere' is no address"),
        ("telemetry: {http: {listen: '${env:ADDRESS}'}}", "the environment variable ADDRESS is not set"),
        ("telemetry: {", "this is not YAML"),
    ],
)
def test_what_is_no_address_is_told_with_its_line(text: str, told: str, tmp_path: Path) -> None:
    """An address that cannot be known is an error of the configuration."""
    path = tmp_path / "quaywatch.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        listens(path, {})
    assert told in str(error.value)
