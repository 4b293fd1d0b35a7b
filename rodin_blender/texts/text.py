# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said to users, as data: it is made where something happens, and becomes words where it is shown.

A `Text` is an English template with named fields, and their values, in gettext's manner. A `Trouble` adds a code for
scripts, and what the user can do: `Action`s. A `Voice` makes words of either, in the language and with the names of
buttons or commands that its front end has.

    Text("The service does not answer (HTTP {status}).", status=502)
    Text("The model has {size:size}.", size=12_400_000)

A field may name its kind, by which its value is worded: `clock`, `duration` and `size` as in `wording`, `n` for a
number with thousands set apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Union

from .actions import WORDS, Action
from .wording import LONGEST_IN_HOURS, clock_text, duration_text, size_text

Value = Union[str, int, float, "Text", "Trouble"]
"""What a field may hold. No secret, ever: it is stored, shown and printed."""

_FIELD = re.compile(r"\{(\w+)(?::(\w+))?\}")
_KINDS: dict[str, Callable[[float], Text | str]] = {
    "clock": clock_text,
    "duration": lambda seconds: (
        duration_text(seconds) if seconds < LONGEST_IN_HOURS else Text("{days} days", days=int(seconds // 86400))
    ),
    "n": lambda number: f"{number:,}",
    "size": size_text,
}


@dataclass(frozen=True, init=False)
class Text:
    """One or a few sentences. What stands in braces and is no field of it is left as it is."""

    template: str
    values: Mapping[str, Value]

    def __init__(self, template: str, /, **values: Value) -> None:
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "values", values)

    def __hash__(self) -> int:
        return hash((self.template, *self.values.items()))

    def __str__(self) -> str:
        return PLAIN.say(self)


@dataclass(frozen=True, init=False)
class Trouble:
    """What is in the way: a stable code for scripts (docs/pipeline.md lists them), a text, and what can be done."""

    code: str
    text: Text
    actions: tuple[Action, ...]

    def __init__(self, code: str, text: Text | str, *actions: Action) -> None:
        object.__setattr__(self, "code", code)
        object.__setattr__(self, "text", text if isinstance(text, Text) else Text(text))
        object.__setattr__(self, "actions", actions)

    def __str__(self) -> str:
        return PLAIN.say(self)


@dataclass(frozen=True)
class Voice:
    """How a front end says things. `translate` gets templates; `words` are its own for actions, see `actions.WORDS`."""

    translate: Callable[[str], str] = str
    words: Mapping[Action, str] = field(default_factory=dict)

    def say(self, said: Text | Trouble | str | None, *, task: str = "TASK") -> str:
        """In words; "" for None. `task` is the id of the task that it is about, for an action that names it.

        A str is said as it is: it is of others, such as a task's name.
        """
        match said:
            case Text():
                return self._filled(said.template, said.values, task)
            case Trouble():
                words = (self._filled(self.words.get(do) or WORDS[do], {"task": task}, task) for do in said.actions)
                return " ".join(filter(None, (self.say(said.text, task=task), *words)))
            case None:
                return ""
        return said

    def _filled(self, template: str, values: Mapping[str, Value], task: str) -> str:
        def word(found: re.Match[str]) -> str:
            name, kind = found.groups()
            value = values.get(name)
            if value is None:
                return found[0]
            return self.say(_number(value, kind) if isinstance(value, (int, float)) else value, task=task)

        return _FIELD.sub(word, self.translate(template) if template else "")


def _number(value: float, kind: str | None) -> Text | str:
    with suppress(ValueError, OverflowError, OSError):  # Not every number is a time.
        if kind in _KINDS:
            return _KINDS[kind](value)
    return f"{value:g}" if isinstance(value, float) else str(value)


PLAIN = Voice()
"""English, for no front end in particular: logs, and `str()`."""


def as_json(said: Text | Trouble) -> dict[str, Any]:
    """What `from_json` makes the same of."""
    if isinstance(said, Trouble):
        return {"code": said.code, "actions": list(said.actions), **as_json(said.text)}
    values = {
        name: as_json(value) if isinstance(value, (Text, Trouble)) else value for name, value in said.values.items()
    }
    return {"text": said.template, "values": values}


def from_json(found: object) -> Text | Trouble:
    """Raises ValueError for what is neither. An action that this version does not know is left out."""
    if not isinstance(found, dict):
        raise ValueError
    template, values = found.get("text"), found.get("values")
    if not isinstance(template, str) or not isinstance(values, dict):
        raise ValueError
    text = Text(template, **{str(name): _value(value) for name, value in values.items()})
    if "code" not in found:
        return text
    code, actions = found["code"], found.get("actions")
    if not isinstance(code, str) or not isinstance(actions, list):
        raise ValueError
    return Trouble(code, text, *(Action(name) for name in actions if name in Action.__members__.values()))


def _value(found: object) -> Value:
    return found if isinstance(found, (str, int, float)) else from_json(found)
