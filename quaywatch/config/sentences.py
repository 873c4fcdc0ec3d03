"""How faults are told: one sentence for each kind, ours and pydantic's, saying what is wrong and what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic_core import PydanticCustomError

from quaywatch.contract import TargetKind

from .faults import Key
from .references import Referred

Facts = Mapping[str, Any]
"""What a sentence is made of: the context of the error, and the refused value as ``given``."""

_LONGEST = 60


def refusal(rule: str, key: str | Key = "", **facts: Any) -> PydanticCustomError:
    """A refusal by a validator of ours, told by the sentence ``rule``; ``key`` is the key below the validated table."""
    return PydanticCustomError(rule, "refused", {**facts, "key": key})


def sentence(rule: str, facts: Facts, otherwise: str) -> str:
    """The sentence of a rule; ``otherwise`` when an option's own type brings a rule that is not known here."""
    tell = SENTENCES.get(rule)
    return tell(facts) if tell else otherwise


def listed(names: Iterable[str]) -> str:
    """Names for a sentence: comma-separated, in their order."""
    return ", ".join(names) or "nothing"


def nearest(name: str, names: Iterable[str]) -> str:
    """The advice that names the nearest allowed name, or nothing when none is near."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _unknown(facts: Facts) -> str:
    return f"this key is not known; allowed are {listed(facts['allowed'])}{nearest(facts['name'], facts['allowed'])}"


def _no_target(facts: Facts) -> str:
    near = nearest(facts["target"], facts["targets"])
    return f"there is no target {facts['target']}; configured are {listed(facts['targets'])}{near}"


def _wrong_kind(facts: Facts) -> str:
    given = f"target {facts['target']} is of kind {facts['kind']}"
    if not facts["fitting"]:
        return f"{given}; one of kind {facts['needed']} is needed, and none is configured"
    return f"{given}; one of kind {facts['needed']} is needed: {listed(facts['fitting'])}"


def _enum(facts: Facts) -> str:
    words = re.findall(r"'([^']*)'", str(facts["expected"]))
    return f"{shown(facts['given'])} is not known; allowed are {listed(words)}{nearest(str(facts['given']), words)}"


def _tag(facts: Facts) -> str:
    near = nearest(facts["tag"], TargetKind)
    return f"the kind {facts['tag']!r} is not known; allowed are {listed(TargetKind)}{near}"


def _wants(what: str) -> Callable[[Facts], str]:
    return lambda facts: f"{shown(facts['given'])} is {_kind(facts['given'])}; {what} is expected"


def _bound(words: str, fact: str) -> Callable[[Facts], str]:
    return lambda facts: f"{shown(facts['given'])} is out of range; {words} {facts[fact]:g} is expected"


def _says(words: str) -> Callable[[Facts], str]:
    return lambda facts: words.format_map(dict(facts))


def _kind(value: Any) -> str:
    names = {bool: "a truth value", dict: "a table", list: "a list", type(None): "empty"}
    if isinstance(value, str):
        return "a text"
    return names.get(type(value), "a number" if isinstance(value, int | float) else f"a {type(value).__name__}")


def shown(value: Any) -> str:
    """A refused value for a sentence, cut short; not one that came from a variable or a file, which may be a secret."""
    if value is None or isinstance(value, dict | list | Referred):
        return "the value"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _url(value: str) -> str:
    """A refused URL, unless it may hold a password."""
    return "the value" if "@" in value else shown(value)


SENTENCES: Final[Mapping[str, Callable[[Facts], str]]] = {
    # pydantic's
    "missing": _says("this key is missing; it must be given"),
    "extra_forbidden": _unknown,
    "model_type": _wants("a table"),
    "model_attributes_type": _wants("a table"),
    "dict_type": _wants("a table"),
    "tuple_type": _wants("a list"),
    "string_type": _wants("a text"),
    "path_type": _wants("a text"),
    "string_pattern_mismatch": lambda facts: (
        f"{shown(facts['given'])} is not well formed; the pattern {facts['pattern']} is expected"
    ),
    "string_too_short": _says("the text is empty; at least {min_length} character is expected"),
    "int_type": _wants("a whole number"),
    "int_parsing": _wants("a whole number"),
    "int_from_float": lambda facts: f"{shown(facts['given'])} has a fraction; a whole number is expected",
    "float_type": _wants("a number"),
    "float_parsing": _wants("a number"),
    "finite_number": _says("the number is not finite; a finite number is expected"),
    "bool_type": _wants("true or false"),
    "bool_parsing": _wants("true or false"),
    "greater_than": _bound("more than", "gt"),
    "greater_than_equal": _bound("at least", "ge"),
    "less_than": _bound("less than", "lt"),
    "less_than_equal": _bound("at most", "le"),
    "too_short": _says("nothing is given; at least {min_length} entry is expected"),
    "enum": _enum,
    "literal_error": _enum,
    "union_tag_invalid": _tag,
    "union_tag_not_found": _says(f"the key kind is missing; allowed are {', '.join(TargetKind)}"),
    "value_error": _says("{error}"),
    # ours
    "truth": _wants("a number"),
    "secret": lambda facts: f"the value is {_kind(facts['given'])}; a text is expected, in quotes",
    "secret_file": _says("the file {path} is empty; a secret is expected in it"),
    "empty_file": _says("the configuration is empty; at least installation, environment and targets are expected"),
    "no_target": _no_target,
    "wrong_kind": _wrong_kind,
    "deadline": _says(
        "a deadline of {deadline} s does not end before the next turn; less than every ({every} s) is expected"
    ),
    "listen": lambda facts: (
        f"{shown(facts['given'])} is no address to listen on; HOST:PORT or [HOST]:PORT up to port 65535 is expected"
    ),
    "token": _says("{host} can be reached from other machines; a token is expected, or the host 127.0.0.1"),
    "url": lambda facts: f"{_url(facts['given'])} is no URL; http://HOST[:PORT][/PATH] or https://... is expected",
    "url_password": _says("the URL holds a password; keys for login and password or headers are expected"),
    "odoo_login": _says("neither password nor api_key is given; at least one of them is expected"),
    "json2_key": _says("json2 takes an API key; api_key is expected beside it, or another transport"),
    "ca_file": _says("{path} cannot be used ({why}); a file of PEM certificates is expected"),
    "ca_unused": _says("ca_file is of no use with tls: {tls}; tls: verify is expected beside it"),
    "key_pair": _says("cert_file and key_file belong together; both or neither are expected"),
    "pattern_empty": _says("an empty pattern matches nothing; a name or a pattern such as shop_* is expected"),
    "header": lambda facts: f"{shown(facts['given'])} is no name of a header; letters, digits and dashes are expected",
    "twice": _says("{name} stands here twice; each name once is expected"),
    "lease_pooled": _says("{target} is pooled: behind a pooler a lease belongs to nobody; another target is expected"),
    "backup_needs": _says("with source {source} nothing is told; {needed} is expected"),
    "backup_unused": _says("{name} is of no use with source {source}; one source and its keys are expected"),
    "artifacts_twice": _says("directory and s3 are two places for one file; one of them is expected"),
    "no_targets": _says("nothing is watched; targets are expected, or discovery"),
    "credential_proof": _says("neither password nor api_key is given; at least one of them is expected"),
    "lease_twice": _says("target and kubernetes are two places for one lease; one of them is expected"),
    "shards_nowhere": _says("nothing can keep the shards; lease.kubernetes is expected, or a PostgreSQL not pooled"),
    "attempts": _says(
        "{attempts} attempts of {deadline} s each do not end before the next turn; less than every is expected in all"
    ),
    "suspect_after": _says("a step is cut off at the deadline ({deadline} s); fewer seconds are expected"),
    "moment": lambda facts: (
        f"{shown(facts['given'])} is no time with an offset; one such as 2026-12-01T22:00:00+01:00 is expected"
    ),
    "clock": lambda facts: f"{shown(facts['given'])} is no time of day; HH:MM is expected, in quotes, 24:00 at most",
    "zone": lambda facts: (
        f"{shown(facts['given'])} is no known time zone; a name such as Europe/Berlin or UTC is expected"
    ),
    "empty_window": _says("the window ends where it begins, or before; a later end is expected"),
    "unbounded_window": _says("it is not said when the window is; from and until, or weekly, are expected"),
    # ours, of flows
    "flow_name": lambda facts: (
        f"{shown(facts['given'])} is no name for it; a small letter, then small letters, digits and _ are expected"
    ),
    "flow_taken": _says("there is a probe {name} already; another name is expected"),
    "json_value": lambda facts: f"a {type(facts['value']).__name__} stands here; a text in quotes is expected",
    "answer_path": _says("{text} is no way into an answer: {why}; one such as $.lines[0].name is expected"),
    "one_act": _says("{given_acts}; exactly one of call and request is expected"),
    "one_check": _says("{number} expectations stand in one entry; exactly one of {operators} is expected"),
    "regex": _says("this is no regular expression ({why}); one as Python knows them is expected"),
    "one_body": _says("json and form are two contents for one request; one of them is expected"),
    "request_path": lambda facts: f"{shown(facts['begins'])} is no path; one that begins with / is expected",
    "call_on_http": _says("a target of kind http takes no calls of Odoo's; request is expected"),
    "status_of_call": _says("a call of Odoo's has no status; path with another check is expected"),
    "sweep_on_http": _says("only Odoo can be swept; an undo for each step that writes is expected"),
    "within_nothing": _says("the step expects nothing to wait for; expect is expected beside within"),
    "within_writes": _says("a step that writes is done once; within is expected on a step that reads after it"),
    "step_twice": _says("there is a step {name} already; each name once is expected"),
    "no_variable": _says("there is no ${{{name}}} here; known are {known}"),
    "no_undo": _says("this step writes, and nothing undoes it; undo is expected, a sweep, or writes: false"),
    "no_mark": _says("no step writes ${{mark}}, so that nothing could be found; it is expected in what is created"),
    "host_name": lambda facts: (
        f"{shown(facts['given'])} is no name of a host; a name without scheme and port is expected"
    ),
    "spool": _says("{path} is not an absolute path; an absolute path is expected"),
}
"""Every kind of fault that a value can have, and how it is told."""
