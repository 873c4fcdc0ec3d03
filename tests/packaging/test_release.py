"""What a release consists of, and how whoever gets it sees that it is whole."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from quaywatch import __version__

ROOT = Path(__file__).parents[2]
SIGNER = "release@example.com"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a release, signed with a key of its own; who may sign stands beside it."""
    folder = tmp_path_factory.mktemp("release")
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (folder / "allowed_signers").write_text(f"{SIGNER} {key.with_suffix('.pub').read_text()}")
    # What make would install is what runs this test.
    words = ["make", "--old-file=install", "release", f"DIST={folder / 'dist'}", f"SIGNING_KEY={key}"]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    return folder / "dist"


def verified(released: Path) -> bool:
    """Whether the signature of the checksums is good, as docs/installing.md has it checked."""
    words = ["ssh-keygen", "-Y", "verify", "-f", "../allowed_signers", "-I", SIGNER, "-n", "quaywatch"]
    sums = (released / "SHA256SUMS").read_bytes()
    done = subprocess.run([*words, "-s", "SHA256SUMS.sig"], cwd=released, input=sums, capture_output=True, check=False)
    return done.returncode == 0


def test_it_is_wheel_sources_locks_chart_and_checksums(released: Path) -> None:
    """Nothing else is handed out."""
    wheel, sources = f"quaywatch-{__version__}-py3-none-any.whl", f"quaywatch-{__version__}.tar.gz"
    chart = f"quaywatch-{__version__}.tgz"
    expected = {wheel, sources, chart, "runtime.txt", "browser.txt", "SHA256SUMS", "SHA256SUMS.sig"}
    assert {path.name for path in released.iterdir()} == expected


def test_the_checksums_are_of_all_files_and_signed(released: Path) -> None:
    """`sha256sum --check` and `ssh-keygen -Y verify` are content; after a change of the sums the latter is not."""
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=released, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.count(": OK")) == (0, 5), done.stderr
    assert verified(released)
    sums = (released / "SHA256SUMS").read_text()
    (released / "SHA256SUMS").write_text(sums.replace("0", "1", 1))
    assert not verified(released)
    (released / "SHA256SUMS").write_text(sums)


def test_the_sources_are_whole(released: Path) -> None:
    """Everything that builds, tests and deploys it is in the archive, and nothing that lies about."""
    with tarfile.open(next(released.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = subprocess.check_output(
        ["git", "ls-files", "*.py", "Makefile", "Dockerfile", "deploy"], cwd=ROOT, text=True
    )
    assert {name for name in tracked.splitlines() if (ROOT / name).is_file()} - names == set()
    assert {name.partition("/")[0] for name in names} & {".venv", ".git", ".mypy_cache"} == set()


def test_the_same_sources_give_the_same_wheel(released: Path, wheel: Path) -> None:
    """Whoever builds it again gets every byte as it is signed."""
    assert (released / wheel.name).read_bytes() == wheel.read_bytes()


def test_without_a_key_nothing_is_released(tmp_path: Path) -> None:
    """A release that nobody signed is none."""
    words = ["make", "--old-file=install", "--old-file=wheel", "release", f"DIST={tmp_path}", "SIGNING_KEY="]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "SIGNING_KEY" in done.stderr
