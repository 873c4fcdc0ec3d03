"""Certificate authorities of a target's own, for the browser.

Chromium on Linux takes no file of authorities. It trusts those of its own, and those in the NSS database of its home
directory, which only NSS's program ``certutil`` can write.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from quaywatch.errors import ConfigError, InternalError

_WRITER: Final = "certutil"
_DATABASE: Final = Path(".pki") / "nssdb"


async def trust(files: Iterable[Path], home: Path) -> None:
    """Let a browser with this home directory trust the authorities in these files as well.

    Raises:
        ConfigError: when a file cannot be read, or ``certutil`` is not installed.
        InternalError: when it does not do its work.
    """
    database = home / _DATABASE
    for number, authority in enumerate({authority for file in files for authority in _authorities(file)}):
        database.mkdir(parents=True, exist_ok=True)
        name = f"authority {number}"
        await _run("-A", "-d", f"sql:{database}", "-n", name, "-t", "C,,", "--empty-password", given=authority)


def _authorities(file: Path) -> list[bytes]:
    """The authorities in a file, each as DER."""
    try:
        return ssl.create_default_context(cafile=file).get_ca_certs(binary_form=True)
    except OSError as error:
        raise ConfigError(f"{file}: no certificates can be read from it, a PEM file is allowed") from error


async def _run(*words: str, given: bytes) -> None:
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(_WRITER, *words, stdin=pipe, stdout=pipe, stderr=pipe)
    except FileNotFoundError as error:
        what = f"a target has a ca_file, which the browser only takes through {_WRITER}, and that is not installed"
        raise ConfigError(what, remedy="install it: Debian's libnss3-tools, Alpine's and Fedora's nss-tools") from error
    try:
        _, said = await process.communicate(given)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        lines = said.decode(errors="replace").splitlines()
        raise InternalError(f"{_WRITER} ended with {process.returncode}: {lines[-1] if lines else 'it says nothing'}")
