"""The command line's grammar."""

from __future__ import annotations

import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from functools import partial
from pathlib import Path
from typing import Any, Final

from quaywatch import __version__

CONFIG_VARIABLE: Final = "QUAYWATCH_CONFIG"
CONFIG_PATH: Final = "/etc/quaywatch/quaywatch.yaml"
EXIT_CODES: Final = """\
exit codes:
  0    fine
  1    the watched system is at fault
  2    usage or configuration
  3    the agent itself
  130  interrupted by Ctrl-C
"""
_EXAMPLES: Final = """\
examples:
  quaywatch config example > quaywatch.yaml     a configuration to start from
  quaywatch setup odoo -c quaywatch.yaml        what the probes need in Odoo, made with --apply
  quaywatch check -c quaywatch.yaml             is everything reachable and allowed?
  quaywatch check -c quaywatch.yaml --sql       the SQL that makes the role
  quaywatch probe order_create -c quaywatch.yaml
  quaywatch run -c quaywatch.yaml

"""

_Formatter = partial(RawDescriptionHelpFormatter, max_help_position=28)


def parser() -> ArgumentParser:
    """The parser of all commands; each sets ``module``, the module of this room that executes it."""
    top = ArgumentParser(
        prog="quaywatch",
        description="Watches Odoo for logistics: exporters, synthetic transactions, OpenTelemetry.",
        epilog=_EXAMPLES + EXIT_CODES,
        formatter_class=_Formatter,
    )
    top.add_argument("--version", action="version", version=f"quaywatch {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (
        _run,
        _check,
        _setup,
        _once,
        _probe,
        _sweep,
        _list,
        _config,
        _rules,
        _dashboards,
        _alertmanager,
        _health,
        _completion,
    ):
        add(commands)
    return top


def _command(commands: Any, name: str, summary: str, **more: str) -> ArgumentParser:
    """A command with what all have: its help, ``--debug``, the exit codes."""
    module = more.get("module", name)
    examples = more.get("examples", "")
    epilog = (f"examples:\n{examples}\n" if examples else "") + EXIT_CODES
    description = more.get("description", summary[0].upper() + summary[1:] + ".")
    made: ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=epilog, formatter_class=_Formatter
    )
    made.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    made.set_defaults(module=module)
    return made


def _configured(command: ArgumentParser) -> None:
    command.add_argument(
        "-c",
        "--config",
        type=Path,
        metavar="FILE",
        default=Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_PATH),
        help=f"the configuration; ${CONFIG_VARIABLE} or {CONFIG_PATH} if not given",
    )


def _targeted(command: ArgumentParser) -> None:
    command.add_argument("--target", action="append", default=[], metavar="NAME", help="only this target; repeatable")


def _run(commands: Any) -> None:
    description = """\
Run the agent. It reloads when the configuration or a secret file changes, and on SIGHUP;
a bad configuration is reported, and the old one goes on.
SIGTERM and SIGINT end it within 10 seconds, the second one at once."""
    _configured(_command(commands, "run", "run the agent", description=description))


def _check(commands: Any) -> None:
    examples = """\
  quaywatch check                        everything
  quaywatch check --target erp-db --sql | psql --host db --username postgres
"""
    description = """\
Connect to every target: is it reachable, does the login work, which rights are missing.
A PostgreSQL role takes two passes: --sql for a cluster that it cannot enter yet makes the role;
once its password is set, --sql again adds the grants in each database."""
    command = _command(
        commands,
        "check",
        "connect to every target and say what is missing",
        description=description,
        examples=examples,
    )
    _configured(command)
    _targeted(command)
    command.add_argument("--sql", action="store_true", help="print the SQL that makes the PostgreSQL roles and grants")


def _setup(commands: Any) -> None:
    examples = """\
  QUAYWATCH_ADMIN_PASSWORD=... quaywatch setup odoo --admin-login admin
  quaywatch setup odoo --admin-login admin --admin-password-file admin.txt --apply
"""
    description = """\
Say what the configured probes need in Odoo and is missing there: users with the least
rights, customer, products, stock. With --apply it is made; what is there already stays as
it is, and a second time nothing is left to do."""
    command = _command(
        commands, "setup", "make what the probes need in Odoo", description=description, examples=examples
    )
    command.add_argument("what", choices=("odoo",), help="the kind of target")
    _configured(command)
    _targeted(command)
    command.add_argument("--admin-login", required=True, metavar="LOGIN", help="an administrator of that Odoo")
    password = command.add_mutually_exclusive_group()
    password.add_argument("--admin-password-file", type=Path, metavar="FILE", help="a file with its password")
    password.add_argument(
        "--admin-password-env",
        default="QUAYWATCH_ADMIN_PASSWORD",
        metavar="NAME",
        help="a variable with its password; QUAYWATCH_ADMIN_PASSWORD if neither is given",
    )
    doing = command.add_mutually_exclusive_group()
    doing.add_argument("--apply", action="store_true", help="make what is missing")
    doing.add_argument("--dry-run", action="store_false", dest="apply", help="only say what is missing; the default")
    command.add_argument(
        "--stock", type=_count, default=10_000.0, metavar="N", help="how many of a product are brought in; 10000"
    )
    command.add_argument(
        "--api-key-file", type=Path, metavar="FILE", help="keep an API key of the probe's user in this file"
    )


def _count(text: str) -> float:
    number = float(text)
    if not 1 <= number < 1e9:  # noqa: PLR2004 - it is a number of goods
        raise ValueError(text)
    return number


def _once(commands: Any) -> None:
    examples = """\
  quaywatch once --target cache
  quaywatch once --format prometheus
"""
    command = _command(commands, "once", "run every exporter once and print what it read", examples=examples)
    _configured(command)
    _targeted(command)
    command.add_argument("--exporter", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    command.add_argument("--format", choices=("table", "json", "prometheus"), default="table", help="table by default")


def _probe(commands: Any) -> None:
    description = """\
Run one probe now, step by step, and undo what it did. The run counts nowhere: no metric, no SLI.
It exits with 0 for success, 1 for a failure of the system, 2 when the run could not judge it."""
    command = _command(commands, "probe", "run one probe now, step by step", description=description)
    command.add_argument("flow", metavar="PROBE", help="name of a configured probe, such as order_create")
    _configured(command)
    _targeted(command)
    command.add_argument("--browser", action="store_true", help="the probe of the same flow that uses a browser")
    command.add_argument("--headed", action="store_true", help="likewise, in a window to look at")
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _sweep(commands: Any) -> None:
    description = "Undo now what killed runs of the probes left behind; only records with this installation's mark."
    command = _command(commands, "sweep", "undo what killed probe runs left", description=description)
    command.add_argument("flow", metavar="PROBE", nargs="?", help="only this probe")
    _configured(command)
    _targeted(command)
    command.add_argument("--dry-run", action="store_true", help="only say what would be done")
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _list(commands: Any) -> None:
    command = _command(commands, "list", "list exporters, probes and metrics", module="list_")
    command.add_argument(
        "what", choices=("exporters", "probes", "metrics"), nargs="?", help="default: exporters and probes"
    )
    command.add_argument("-c", "--config", type=Path, metavar="FILE", help="with the flows of this configuration")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print a page of documentation")


def _config(commands: Any) -> None:
    command = _command(commands, "config", "check a configuration, print its schema or an example", module="config_")
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    check = _command(actions, "check", "say what is wrong with a configuration, and where", module="config_")
    _configured(check)
    _command(actions, "schema", "print the JSON Schema of the configuration, for editors", module="config_")
    _command(actions, "example", "print a complete example", module="config_")


def _rules(commands: Any) -> None:
    command = _command(commands, "rules", "print the alerting rules for this configuration", module="render")
    command.set_defaults(render="rules")
    command.add_argument("-c", "--config", type=Path, metavar="FILE", help="fit them to this configuration")
    where = "address of the directory with the runbooks, for links in alerts; a path in the sources if not given"
    command.add_argument("--runbooks", metavar="URL", help=where)
    command.add_argument("--slo", type=Path, metavar="FILE", help="what is promised; the defaults if not given")
    command.add_argument("--dashboards", metavar="URL", help="address of Grafana, for links in alerts")
    forms = ("prometheus", "prometheusrule")
    command.add_argument("--format", choices=forms, default=forms[0], help="prometheusrule is the operator's")
    _rendered(command)


def _dashboards(commands: Any) -> None:
    command = _command(commands, "dashboards", "write the Grafana dashboards", module="render")
    command.set_defaults(render="dashboards")
    command.add_argument("-c", "--config", type=Path, metavar="FILE", help="fit them to this configuration")
    command.add_argument("--slo", type=Path, metavar="FILE", help="what is promised; the defaults if not given")
    where = "address of the directory with the runbooks, for links; a path in the sources if not given"
    command.add_argument("--runbooks", metavar="URL", help=where)
    status = "address of an agent's status page, for links; on this machine if not given"
    command.add_argument("--agent", metavar="URL", help=status)
    _rendered(command)


def _alertmanager(commands: Any) -> None:
    command = _command(commands, "alertmanager", "render Alertmanager's configuration, or put cases to one")
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
    _alertmanager_render(actions)
    _alertmanager_test(actions)


def _alertmanager_render(actions: Any) -> None:
    examples = """\
  quaywatch alertmanager render -c quaywatch.yaml --routing routing.yaml --out /etc/alertmanager
"""
    render = _command(
        actions, "render", "print routes, inhibition and maintenance windows", module="alertmanager", examples=examples
    )
    render.add_argument(
        "-c",
        "--config",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="with its maintenance windows, and waits for its flows; repeatable",
    )
    render.add_argument("--slo", type=Path, metavar="FILE", help="what is promised; the defaults if not given")
    render.add_argument("--routing", type=Path, metavar="FILE", help="who is told; examples if not given")
    _rendered(render)


def _alertmanager_test(actions: Any) -> None:
    examples = """\
  quaywatch alertmanager test cases/*.yaml --file alertmanager.yml
"""
    description = """\
Play cases to a real Alertmanager: who is told of what, what is inhibited, what is muted. Each
case has an Alertmanager of its own with this configuration; its receivers are replaced, its
waits are shortened, and nobody outside is told. It exits with 1 when a case does not hold."""
    test = _command(
        actions,
        "test",
        "put cases to a real Alertmanager",
        module="trial",
        description=description,
        examples=examples,
    )
    test.add_argument("cases", type=Path, nargs="+", metavar="CASES", help="files of cases")
    test.add_argument("-f", "--file", type=Path, required=True, metavar="FILE", help="Alertmanager's configuration")
    test.add_argument("--alertmanager", type=Path, metavar="PATH", help="the program; the one on PATH if not given")
    test.add_argument("--speed", type=_speed, default=60.0, metavar="N", help="how many times faster than in life; 60")


def _speed(text: str) -> float:
    number = float(text)
    if not 1 <= number <= 1000:  # noqa: PLR2004 - beyond it, no machine keeps the order of events
        raise ValueError(text)
    return number


def _rendered(command: ArgumentParser) -> None:
    command.add_argument("--out", type=Path, metavar="DIR", help="write files into this directory; print if not given")


def _health(commands: Any) -> None:
    description = """\
Ask the agent that runs on this machine whether it is alive, where its configuration says that
it listens. For the health check of a container: no shell and no other program is needed."""
    _configured(_command(commands, "health", "ask the running agent whether it is alive", description=description))


def _completion(commands: Any) -> None:
    examples = """\
  source <(quaywatch completion bash)
  quaywatch completion fish > ~/.config/fish/completions/quaywatch.fish
"""
    command = _command(commands, "completion", "print a completion script for a shell", examples=examples)
    command.add_argument("shell", choices=("bash", "zsh", "fish"))
