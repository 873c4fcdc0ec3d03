"""The public surface: a change to what outsiders import is deliberate."""

from __future__ import annotations

from types import ModuleType

import quaywatch
from quaywatch import contract, errors

CONTRACT = (
    "Answer Attributes Backup BackupReport BackupSet Backups Browser Certificate Cluster Distribution Driver Exemplar "
    "Exporter ExporterTask Former Grant Http Kind Meter Metric Odoo Outcome Page Per Phase Postgres Probe ProbeTask "
    "Reach Reason Redis Requests RestoreTest Row Sample Series SignIn Snapshot Stability SweepOrder Swept Target "
    "TargetKind Transaction Transport Trouble Value Visit Watched"
)

ERRORS = (
    "AuthError ConfigError ConnectError DeadlineError FaultError InternalError LockTimeoutError ParseError "
    "PermissionDeniedError QuaywatchError TargetError VersionError WrongResultError"
)


def defined(module: ModuleType) -> list[str]:
    """The public classes that a module defines itself."""
    classes = [(name, value) for name, value in vars(module).items() if isinstance(value, type)]
    return sorted(name for name, value in classes if value.__module__.startswith(module.__name__) and name[0] != "_")


def test_the_contract_exports_what_is_written_here() -> None:
    """The contract's public names are this list, and no class of it is left out."""
    assert " ".join(sorted(contract.__all__)) == CONTRACT
    assert set(defined(contract)) <= set(contract.__all__)


def test_the_errors_are_what_is_written_here() -> None:
    """The error tree's public names are this list."""
    assert " ".join(defined(errors)) == ERRORS


def test_every_error_stands_in_the_drawn_tree() -> None:
    """The tree in the docstring is the tree of the classes."""
    assert [name for name in ERRORS.split() if name not in str(errors.__doc__)] == []


def test_each_reason_has_at_most_one_error() -> None:
    """Reasons tell errors apart."""
    reasons = [error.reason for error in errors.TargetError.__subclasses__()]
    assert len(reasons) == len(set(reasons))


def test_the_version_is_a_string() -> None:
    """The package says its version."""
    assert quaywatch.__version__.count(".") == 2
