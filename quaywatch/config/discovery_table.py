"""The table of discovery: which pods are looked at, and who may be logged in with."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field, model_validator

from .sentences import refusal
from .tables import ApiTable, Table
from .values import ObjectName, Pattern, Seconds, SecretText, Text


class CredentialTable(Table):
    """What pods are logged in to with, and whose pods may ask for it: whoever makes a pod can learn it there."""

    namespaces: Annotated[tuple[Pattern, ...], Field(min_length=1)] = Field(
        description="shell patterns of the namespaces whose pods may name it", examples=[["erp"]]
    )
    user: Text | None = Field(default=None, description="role of PostgreSQL, user of Redis, or login of Odoo")
    password: SecretText | None = Field(
        default=None, description="its password", examples=["${file:/etc/quaywatch/postgres}"]
    )
    api_key: SecretText | None = Field(default=None, description="its API key, for Odoo")

    @model_validator(mode="after")
    def _proves_something(self) -> CredentialTable:
        if self.password is None and self.api_key is None:
            raise refusal("credential_proof")
        return self

    def is_for(self, namespace: str) -> bool:
        """Whether pods of this namespace may name it."""
        return any(fnmatchcase(namespace, pattern) for pattern in self.namespaces)


class DiscoveryTable(ApiTable):
    """The pods of this agent's own node, by their annotations; each agent reads those of its node."""

    node: Text = Field(description="name of the node; the pod's own by the Downward API", examples=["${env:NODE_NAME}"])
    namespaces: Annotated[tuple[Pattern, ...], Field(min_length=1)] = Field(
        default=("*",), description="shell patterns of the namespaces that are looked into"
    )
    credentials: Mapping[ObjectName, CredentialTable] = Field(
        default_factory=dict, description="what is logged in with, by names that annotations give"
    )
    resync: Annotated[Seconds, Field(ge=10)] = Field(
        default=600.0, description="seconds after which all pods are listed, although changes are followed"
    )

    def looks_into(self, namespace: str) -> bool:
        """Whether pods of this namespace are looked at."""
        return any(fnmatchcase(namespace, pattern) for pattern in self.namespaces)
