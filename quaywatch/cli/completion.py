"""``quaywatch completion``: scripts for bash, zsh and fish, made from the grammar."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .arguments import parser
from .registry import all_exporters, all_probes
from .terminal import Console

_BASH: Final = """\
_quaywatch() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" path="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path ${{COMP_WORDS[i]}}" in
{paths}
    esac
  done
  case "$path ${{COMP_WORDS[COMP_CWORD-1]}}" in
{values}
  esac
  case "$path" in
{words}
  esac
}}
complete -o default -F _quaywatch quaywatch
"""


@dataclass(frozen=True, slots=True)
class Level:
    """A place in the grammar: the commands that lead there, and the words that may follow, with their help.

    ``values`` are those of options that take one of a known set.
    """

    path: tuple[str, ...]
    words: Mapping[str, str]
    values: Mapping[str, Sequence[str]]


def execute(arguments: Namespace, console: Console, _environ: Mapping[str, str]) -> int:
    """Print the script for a shell."""
    names = {"exporter": list(all_exporters()), "flow": list(all_probes())}
    levels = list(levels_of(parser(), names))
    scripts = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    console.say(scripts[arguments.shell](levels).rstrip())
    return 0


def levels_of(
    grammar: ArgumentParser, names: Mapping[str, Sequence[str]], path: tuple[str, ...] = ()
) -> Iterator[Level]:
    """Every place of the grammar, the top first; ``names`` are the values of arguments that the grammar leaves open."""
    words: dict[str, str] = {}
    values: dict[str, Sequence[str]] = {}
    deeper: dict[str, ArgumentParser] = {}
    for action in grammar._actions:  # noqa: SLF001 - argparse shows its grammar nowhere else
        if isinstance(action, _SubParsersAction):
            words |= {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001 - as above
            deeper |= action.choices
            continue
        known = [str(choice) for choice in action.choices or names.get(action.dest, ())]
        long = [option for option in action.option_strings if option.startswith("--")]
        words |= dict.fromkeys(long if action.option_strings else known, action.help or "")
        values |= {option: known for option in long if known}
    yield Level(path, words, values)
    for name, below in deeper.items():
        yield from levels_of(below, names, (*path, name))


def _bash(levels: list[Level]) -> str:
    paths = [f'      " {" ".join(level.path)}") path=" {" ".join(level.path)}" ;;' for level in levels if level.path]
    words = [
        f'    "{_prefixed(level)}") COMPREPLY=($(compgen -W "{" ".join(level.words)}" -- "$word")) ;;'
        for level in levels
    ]
    values = [
        f'    "{_prefixed(level)} {option}") COMPREPLY=($(compgen -W "{" ".join(known)}" -- "$word")); return ;;'
        for level in levels
        for option, known in level.values.items()
    ]
    return _BASH.format(paths="\n".join(paths), values="\n".join(values), words="\n".join(words))


def _prefixed(level: Level) -> str:
    return f" {' '.join(level.path)}" if level.path else ""


def _zsh(levels: list[Level]) -> str:
    return "autoload -U +X bashcompinit && bashcompinit\n" + _bash(levels)


def _fish(levels: list[Level]) -> str:
    lines = ["complete -c quaywatch -f"]
    for level in levels:
        lines += [_fish_line(level, word, text) for word, text in level.words.items()]
    return "\n".join(lines) + "\n"


def _fish_line(level: Level, word: str, text: str) -> str:
    seen = "; and ".join(f"__fish_seen_subcommand_from {name}" for name in level.path) or "__fish_use_subcommand"
    told = text.replace("'", "\\'")
    what = f"-l {word.removeprefix('--')}" if word.startswith("--") else f"-a {word}"
    if word in level.values:
        what += f" -x -a '{' '.join(level.values[word])}'"
    return f"complete -c quaywatch -n '{seen}' {what} -d '{told}'"
