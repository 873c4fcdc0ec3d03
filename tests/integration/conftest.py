"""The sandbox, shared by all integration tests of a run."""

from __future__ import annotations

import pytest

from sandbox.testing import shared_world
from sandbox.world import World


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest) -> World:
    """The run's sandbox with at least the parts that the test module names in ``PARTS``.

    Everybody shares it: what a module makes there it names after itself, and takes away again.
    """
    return shared_world(*request.module.PARTS)
