"""Deployments as those who make them tell of them: Argo CD, Flux, or any job; each counted once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from quaywatch.errors import ParseError

REMEMBERED: Final = 1000
"""Applications of which the last revision is remembered, so that a repetition is known for one."""
_LONGEST: Final = 100


class Result(StrEnum):
    """How a deployment ended: the values of the attribute ``result``."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was told of a deployment; ``result`` is None while it goes on, ``environment`` may be empty."""

    app: str
    revision: str
    environment: str
    result: Result | None
    source: str


_RESULTS: Final[Mapping[str, Result | None]] = {
    **dict.fromkeys(("succeeded", "success", "ok", "deployed", "healthy"), Result.SUCCEEDED),
    **dict.fromkeys(("failed", "failure", "error", "degraded"), Result.FAILED),
    **dict.fromkeys(("running", "started", "pending", "progressing", "terminating"), None),
}


def _result(value: Any) -> Any:
    if not isinstance(value, str) or value.lower() not in _RESULTS:
        raise ValueError("succeeded, failed or running is expected")
    return _RESULTS[value.lower()]


_Word = Annotated[str, Field(min_length=1, max_length=_LONGEST, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Environment = Annotated[str, Field(max_length=_LONGEST, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Result = Annotated[Result | None, BeforeValidator(_result)]


class _Notice(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class _Plain(_Notice):
    """What any job can send, and what a template of Argo CD's notifications makes."""

    app: _Word
    revision: _Word
    environment: _Environment = ""
    status: _Result

    def deployment(self) -> Deployment:
        return Deployment(self.app, self.revision, self.environment, self.status, "plain")


class _ArgoApplication(_Notice):
    """Argo CD's Application as its template ``{{toJson .app}}`` writes it."""

    name: Annotated[_Word, Field(validation_alias=AliasPath("metadata", "name"))]
    namespace: Annotated[_Environment, Field(validation_alias=AliasPath("spec", "destination", "namespace"))] = ""
    synced: Annotated[
        _Word | None, Field(validation_alias=AliasPath("status", "operationState", "syncResult", "revision"))
    ] = None
    wanted: Annotated[_Word | None, Field(validation_alias=AliasPath("status", "sync", "revision"))] = None
    phase: Annotated[_Result, Field(validation_alias=AliasPath("status", "operationState", "phase"))]

    def deployment(self) -> Deployment:
        revision = self.synced or self.wanted
        if revision is None:
            raise ParseError("status.sync.revision: it is missing; the revision that was deployed is expected")
        return Deployment(self.name, revision, self.namespace, self.phase, "argocd")


class _FluxEvent(_Notice):
    """An event of Flux's notification-controller, as its provider ``generic`` sends it."""

    name: Annotated[_Word, Field(validation_alias=AliasPath("involvedObject", "name"))]
    namespace: Annotated[_Environment, Field(validation_alias=AliasPath("involvedObject", "namespace"))] = ""
    severity: str
    reason: str
    metadata: Mapping[str, str] | None = None

    def deployment(self) -> Deployment | None:
        """None for an event that tells of no revision, such as that of a source."""
        facts = self.metadata or {}
        revision = next((facts[key] for key in facts if key.rpartition("/")[2] == "revision"), "")
        if not revision:
            return None
        return Deployment(self.name, revision[:_LONGEST], self.namespace, self._result(), "flux")

    def _result(self) -> Result | None:
        if self.severity == "error":
            return Result.FAILED
        return Result.SUCCEEDED if self.reason.endswith("Succeeded") else None


N = TypeVar("N", bound=_Notice)


def read_deployment(body: bytes) -> Deployment | None:
    """The deployment that a notice tells of; None when it tells of something else.

    Raises:
        ParseError: saying which key is wrong and what is expected.
    """
    try:
        told = from_json(body)
    except ValueError as error:
        raise ParseError("this is no JSON; an object is expected") from error
    if not isinstance(told, dict):
        raise ParseError("this is no object; one such as {app, revision, environment, status} is expected")
    if "involvedObject" in told:
        return _valid(_FluxEvent, told).deployment()
    if "metadata" in told:
        return _valid(_ArgoApplication, told).deployment()
    return _valid(_Plain, told).deployment()


def _valid(shape: type[N], told: Mapping[str, Any]) -> N:
    try:
        return shape.model_validate(told)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place, what = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise ParseError(f"{place}: {what}") from error


class Seen:
    """Knows a notice that was counted before.

    For each application and environment the last revision is remembered with its results: the same once more is a
    repetition, as of a sender that tries again, until another revision was deployed in between.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[str, set[Result]]] = {}

    def first(self, told: Deployment, result: Result) -> bool:
        """Whether this is new."""
        who = (told.app, told.environment)
        revision, results = self._last.pop(who, ("", set()))
        if revision != told.revision:
            results = set()
        new = result not in results
        self._last[who] = (told.revision, results | {result})
        if len(self._last) > REMEMBERED:
            del self._last[next(iter(self._last))]
        return new
