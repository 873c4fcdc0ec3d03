"""A name server that does not answer costs the targets that need it, and nothing else of the agent."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.integration.cli.agent import running, until

AGENT = (sys.executable, "-m", "tests.adversity.runtime.agent_without_names")
EDGES = [f"edge{number}" for number in range(40)]
"""Many more than the default executor of any test machine has threads."""
DOWN = re.compile(r'^quaywatch_target_up\{[^}]*target="([^"]+)"[^}]*\} 0', re.MULTILINE)
STOPS_WITHIN = 10.0


def configuration(spool: Path) -> dict[str, Any]:
    """Targets of each kind that look names up, and a back end of telemetry."""
    bounds = {"connect_within": 1.0, "answer_within": 1.5}
    return {
        "targets": {
            **{name: {"kind": "http", "url": f"http://{name}.example", "answer_within": 1.5} for name in EDGES},
            "cache": {"kind": "redis", "host": "cache.example", **bounds},
            "db": {"kind": "postgres", "host": "db.example", **bounds},
        },
        "telemetry": {
            "otlp": {
                "endpoint": "http://collector.example:4318",
                "protocol": "http/protobuf",
                "timeout": 1.0,
                "interval": 1.0,
                "queue": {"spool": str(spool)},
            },
        },
    }


def test_page_spool_reload_and_stop_need_no_names(tmp_path: Path) -> None:
    """Every target is told to be down; what is measured is on the page and the disk; it ends by itself, and well."""
    spool = tmp_path / "spool"
    with running(tmp_path, configuration(spool), AGENT) as agent:
        names = {*EDGES, "cache", "db"}
        until(lambda: set(DOWN.findall(agent.page("/metrics"))) == names, "all are told to be down")
        until(lambda: len(list(spool.glob("*.gz"))) > 1, "exports wait on the disk")
        document = yaml.safe_load(agent.path.read_text())
        del document["targets"]["cache"]
        agent.path.write_text(yaml.safe_dump(document))
        agent.signal(signal.SIGHUP)
        until(lambda: bool(agent.events("configuration reloaded")), "the new file is taken over")
        assert agent.stop() < STOPS_WITHIN
        assert agent.process.returncode == 0
