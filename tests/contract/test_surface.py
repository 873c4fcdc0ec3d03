"""The public surface: a change to what outsiders import is deliberate."""

from __future__ import annotations

from types import ModuleType

import quaywatch
from quaywatch import contract, errors

CONTRACT = (
    "Answer Attributes Certificate Cluster Distribution Driver Exporter ExporterTask Grant Http Kind Meter Metric "
    "Odoo Outcome Per Postgres Probe ProbeTask Reach Reason Redis Row Sample Series Snapshot Stability SweepOrder "
    "Swept Target TargetKind Transaction Transport Value Watched"
)

ERRORS = (
    "AuthError ConfigError ConnectError DeadlineError FaultError InternalError LockTimeoutError ParseError "
    "PermissionDeniedError QuaywatchError TargetError VersionError WrongResultError"
)


def is_own(name: str, value: object, module: str) -> bool:
    """Whether a module defines this public name: classes by their origin, aliases by their capital letter."""
    if not name[0].isupper() or type(value).__name__ == "TypeVar":
        return False
    return value.__module__ == module if isinstance(value, type) else getattr(value, "__module__", "") != "typing"


def public(module: ModuleType) -> str:
    """The names a module defines itself, without imported ones and type variables."""
    return " ".join(sorted(name for name, value in vars(module).items() if is_own(name, value, module.__name__)))


def test_the_contract_exports_what_is_written_here() -> None:
    """The contract's public names are this list."""
    assert public(contract) == CONTRACT


def test_the_errors_are_what_is_written_here() -> None:
    """The error tree's public names are this list."""
    assert public(errors) == ERRORS


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
