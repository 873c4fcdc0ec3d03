"""A YAML file as plain values of which every key and value knows its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from .faults import Fault, Key, TextRule

_MERGE = "tag:yaml.org,2002:merge"


@dataclass(slots=True)
class Document:
    """The values of a file, where they stand, and the faults of the text itself."""

    values: Any = None
    keys: dict[Key, int] = field(default_factory=dict)
    """The line of each key, from 1."""
    lines: dict[Key, int] = field(default_factory=dict)
    """The line of each value, from 1."""
    faults: list[Fault] = field(default_factory=list)

    def line(self, key: Key) -> int:
        """The line of a key; of the nearest table around it when it is not there."""
        while key and key not in self.keys:
            key = key[:-1]
        return self.keys.get(key, 1)


class _Builder(yaml.SafeLoader):
    """PyYAML's own resolution of scalars, with our walk over tables and lists."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.document = Document()
        self._open: set[int] = set()

    def build(self) -> Document:
        root = self.get_single_node()
        if root is not None:
            self.document.values = self._value(root, ())
        return self.document

    def _value(self, node: yaml.Node, key: Key) -> Any:
        self.document.lines[key] = _line(node)
        if id(node) in self._open:
            self._fault(node, key, TextRule.ALIAS_LOOP, "the alias holds itself; write the values out")
            return None
        self._open.add(id(node))
        try:
            return self._built(node, key)
        finally:
            self._open.discard(id(node))

    def _built(self, node: yaml.Node, key: Key) -> Any:
        if isinstance(node, yaml.MappingNode):
            return {name: self._value(value, (*key, name)) for name, value in self._entries(node, key)}
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*key, number)) for number, item in enumerate(node.value)]
        try:
            return self.construct_object(node)
        except yaml.YAMLError:
            self._fault(node, key, TextRule.TAG, f"the tag {node.tag} is not known; a plain value is expected")
        except ValueError:
            self._fault(node, key, TextRule.SCALAR, f"{node.value!r} is no such day or time; put a text into quotes")
        return None

    def _item(self, node: yaml.Node, key: Key) -> Any:
        self.document.keys[key] = _line(node)
        return self._value(node, key)

    def _entries(self, node: yaml.MappingNode, key: Key) -> Iterator[tuple[str, yaml.Node]]:
        """Each entry once: an entry of its own wins over a merged one; a second one of its own is a fault."""
        own: dict[str, yaml.Node] = {}
        merged: dict[str, yaml.Node] = {}
        for name_node, value in node.value:
            if name_node.tag == _MERGE:
                merged.update(self._merged(value, key))
            else:
                self._take(own, name_node, value, key)
        yield from {**merged, **own}.items()

    def _take(self, own: dict[str, yaml.Node], name_node: yaml.Node, value: yaml.Node, key: Key) -> None:
        name = str(name_node.value)
        place = (*key, name)
        if name in own:
            first = f"the first is in line {self.document.keys[place]}"
            self._fault(name_node, place, TextRule.DUPLICATE, f"the key stands here a second time; {first}")
            return
        self.document.keys[place] = _line(name_node)
        own[name] = value

    def _merged(self, value: yaml.Node, key: Key) -> Iterator[tuple[str, yaml.Node]]:
        tables = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for table in reversed(tables):
            if not isinstance(table, yaml.MappingNode):
                self._fault(value, (*key, "<<"), TextRule.MERGE, "only tables can be merged; give an alias of a table")
                continue
            self.document.keys.update({(*key, str(name.value)): _line(name) for name, _ in table.value})
            yield from ((str(name.value), entry) for name, entry in table.value)

    def _fault(self, node: yaml.Node, key: Key, rule: TextRule, what: str) -> None:
        self.document.faults.append(Fault(_line(node), key, what, rule))


def read_document(text: str) -> Document:
    """The document in a YAML text; what YAML itself refuses is its only fault then."""
    try:
        return _Builder(text).build()
    except yaml.YAMLError as error:
        return Document(faults=[_syntax(error)])


def _syntax(error: yaml.YAMLError) -> Fault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "the text cannot be read"
    if problem.startswith("but "):  # the second half of a sentence of PyYAML's
        problem = f"{getattr(error, 'context', '')}, {problem}"
    return Fault(mark.line + 1 if mark else 1, (), f"this is not YAML: {problem}", TextRule.SYNTAX)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
