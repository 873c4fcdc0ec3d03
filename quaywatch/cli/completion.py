"""``quaywatch completion``: scripts for bash, zsh and fish, made from the grammar."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .arguments import parser
from .terminal import Console

_BASH: Final = """\
_quaywatch() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" path="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path ${{COMP_WORDS[i]}}" in
{paths}
    esac
  done
  case "$path" in
{words}
  esac
}}
complete -o default -F _quaywatch quaywatch
"""


@dataclass(frozen=True, slots=True)
class Level:
    """A place in the grammar: the commands that lead there, and the words that may follow, with their help."""

    path: tuple[str, ...]
    words: Mapping[str, str]


def execute(arguments: Namespace, console: Console, _environ: Mapping[str, str]) -> int:
    """Print the script for a shell."""
    levels = list(levels_of(parser()))
    scripts = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    console.say(scripts[arguments.shell](levels).rstrip())
    return 0


def levels_of(grammar: ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[Level]:
    """Every place of the grammar, the top first."""
    words: dict[str, str] = {}
    deeper: dict[str, ArgumentParser] = {}
    for action in grammar._actions:  # noqa: SLF001 - argparse shows its grammar nowhere else
        if isinstance(action, _SubParsersAction):
            words |= {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001 - as above
            deeper |= action.choices
        else:
            names = action.option_strings or [str(choice) for choice in action.choices or ()]
            words |= {name: action.help or "" for name in names if not name.startswith("-") or name.startswith("--")}
    yield Level(path, words)
    for name, below in deeper.items():
        yield from levels_of(below, (*path, name))


def _bash(levels: list[Level]) -> str:
    paths = [f'      " {" ".join(level.path)}") path=" {" ".join(level.path)}" ;;' for level in levels if level.path]
    words = [
        f'    "{_prefixed(level)}") COMPREPLY=($(compgen -W "{" ".join(level.words)}" -- "$word")) ;;'
        for level in levels
    ]
    return _BASH.format(paths="\n".join(paths), words="\n".join(words))


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
    return f"complete -c quaywatch -n '{seen}' {what} -d '{told}'"
