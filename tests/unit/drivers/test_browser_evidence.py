"""Evidence of failed pages is bounded, and holds no secret; an agent without browser probes loads no Playwright."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from quaywatch.drivers.browser.events import bare, plain
from quaywatch.drivers.browser.evidence import LocalStore, file_name, without_secrets


def store(directory: Path, now: float = 1000.0) -> LocalStore:
    """A store of 100 bytes and an hour, at a time of day."""
    return LocalStore(directory=directory, max_age=3600, max_bytes=100, clock=lambda: now)


def names(directory: Path) -> set[str]:
    """What is in a directory."""
    return {path.name for path in directory.iterdir()}


async def test_the_oldest_files_make_room(tmp_path: Path) -> None:
    """All files together stay below the bound; what is not the store's stays."""
    (tmp_path / "notes.txt").write_bytes(b"x" * 500)
    for number in range(4):
        await store(tmp_path, 1000.0 + number).put(f"quaywatch_{number}.png", b"x" * 40)
    assert names(tmp_path) == {"notes.txt", "quaywatch_2.png", "quaywatch_3.png"}


async def test_old_files_go(tmp_path: Path) -> None:
    """A file past its age goes when the next one comes."""
    await store(tmp_path).put("quaywatch_old.zip", b"x")
    await store(tmp_path, 1000.0 + 3601).put("quaywatch_new.zip", b"x")
    assert names(tmp_path) == {"quaywatch_new.zip"}


async def test_a_file_that_is_too_large_alone_costs_no_other(tmp_path: Path) -> None:
    """It is refused, and the others stay."""
    await store(tmp_path).put("quaywatch_1.png", b"x")
    with pytest.raises(OSError, match="101 bytes, 100 are allowed"):
        await store(tmp_path).put("quaywatch_2.zip", b"x" * 101)
    assert names(tmp_path) == {"quaywatch_1.png"}


def test_a_mark_becomes_a_file_name() -> None:
    """No part of it leads to another directory."""
    assert file_name("quaywatch/acme-eu/../order_create/1") == "quaywatch_acme-eu_.._order_create_1"


@pytest.mark.parametrize(
    "written", [b'p&ss w\xc3\xb6rd"', b"p&amp;ss w\xc3\xb6rd&quot;", b"p%26ss+w%C3%B6rd%22", b'p&ss w\\u00f6rd\\"']
)
def test_a_secret_is_found_in_every_spelling(written: bytes) -> None:
    """Plain, in HTML, in an address, in JSON: it is masked, and all else stays."""
    before = io.BytesIO()
    with zipfile.ZipFile(before, "w") as archive:
        archive.writestr("trace.trace", b"before " + written + b" after")
    after = without_secrets(before.getvalue(), ['p&ss wörd"', ""])
    assert zipfile.ZipFile(io.BytesIO(after)).read("trace.trace") == b"before *** after"


@pytest.mark.parametrize(
    "written",
    [
        b'csrf_token: "TOKEN",',
        b"csrf_token=TOKEN&data=",
        b'<input type="hidden" name="csrf_token" value="TOKEN"/>',
        b'<input value="TOKEN" name="csrf_token"/>',
        b'["INPUT",{"type":"hidden","name":"csrf_token","value":"TOKEN"}]',
        b'["INPUT",{"value":"TOKEN","name":"csrf_token"}]',
        b'{"text":"{\\"access_token\\": \\"TOKEN\\"}"}',
        b"/my/orders/7?access_token=TOKEN",
        b"redirect=%2Fmy%2Forders%2F7%3Faccess_token%3DTOKEN",
    ],
)
def test_tokens_are_masked_wherever_they_stand(written: bytes) -> None:
    """By their name, and then everywhere: scripts that only speak of tokens stay as they are."""
    token, script = b"0f8fad5b-d9cd-469f-a165-70867728950e", b" form.csrf_token = this.session.csrf_token;"
    before = io.BytesIO()
    with zipfile.ZipFile(before, "w") as archive:
        archive.writestr("trace.network", b"by itself " + token)
        archive.writestr("resources/page.html", written.replace(b"TOKEN", token) + script)
    after = zipfile.ZipFile(io.BytesIO(without_secrets(before.getvalue(), [])))
    assert after.read("trace.network") == b"by itself ***"
    assert after.read("resources/page.html") == written.replace(b"TOKEN", b"***") + script


def test_addresses_lose_what_may_be_secret() -> None:
    """Query, fragment and user information go."""
    assert bare("https://u:p@erp.example:8443/web?a=1#b") == "https://erp.example:8443/web"
    assert plain("at https://erp.example/web?token=1#x, then") == "at https://erp.example/web then"
    assert len(plain("x" * 1000)) == 200


def test_an_agent_without_browser_probes_loads_no_playwright() -> None:
    """Everything that the agent imports at its start is imported without it."""
    code = "import quaywatch.cli.run, quaywatch.cli.registry, sys; print('playwright' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
