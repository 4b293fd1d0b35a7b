# SPDX-License-Identifier: GPL-3.0-or-later
"""A row of the table of settings, and what a value of it may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..service.errors import BadInput
from ..storage import paths
from ..texts.text import Text

Value = str | int | float | bool


@dataclass(frozen=True)
class Field:
    """Something that can be set. `variables` are those of the environment, the first that is set wins."""

    name: str
    default: Value
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()
    older_variables: tuple[str, ...] = ()
    check: Callable[[str], None] | None = None
    """Raises BadInput for a text that cannot be meant; "" always can."""
    label: str = ""
    """What the user reads it is called."""
    description: str = ""
    choice_labels: tuple[tuple[str, str], ...] = ()
    """Label and description for each choice."""
    soft_low: float | None = None
    """What a slider reaches; lower and higher values are to be typed."""
    soft_high: float | None = None
    decimals: int = 2
    is_secret: bool = False
    is_folder: bool = False
    is_time: bool = False
    """In seconds."""

    @property
    def variables(self) -> tuple[str, ...]:
        return self.older_variables or (f"RODIN_{self.name.upper()}",)

    @property
    def choice_words(self) -> tuple[tuple[str, str], ...]:
        """Label and description for each choice: its own name where there is no other."""
        return self.choice_labels or tuple((choice.title(), "") for choice in self.choices)

    @property
    def is_path(self) -> bool:
        return self.check is paths.check


def from_text(field: Field, text: str, where: Text) -> Value:
    """The value that a variable of the environment says. Raises BadInput that begins with `where`."""
    if isinstance(field.default, bool):
        value = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
        return checked(field, value.get(text.lower()), where)
    if isinstance(field.default, (int, float)):
        try:
            return checked(field, type(field.default)(text), where)
        except ValueError:
            return checked(field, None, where)
    return checked(field, text, where)


def checked(field: Field, value: object, where: Text) -> Value:
    """`value` where the field can have it. Raises BadInput that begins with `where`.

    What is wrong is not quoted, since it may be a key in the wrong place; but for paths and the like.
    """
    if isinstance(field.default, bool):
        if not isinstance(value, bool):
            raise BadInput(Text("{where} something that is neither true nor false.", where=where))
        return value
    if isinstance(field.default, (int, float)):
        whole = isinstance(field.default, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            text = "{where} something that is no whole number." if whole else "{where} something that is no number."
            raise BadInput(Text(text, where=where))
        if not field.low <= value <= field.high:
            text = "{where} a number that is not between {low} and {high}."
            raise BadInput(Text(text, where=where, low=_number(field.low), high=_number(field.high)))
        return type(field.default)(value)
    if not isinstance(value, str):
        raise BadInput(Text("{where} something that is no text.", where=where))
    if field.choices and value not in field.choices:
        choices = ", ".join(filter(None, field.choices))
        raise BadInput(Text("{where} something else than one of these: {choices}.", where=where, choices=choices))
    if field.check and value.strip():
        try:
            field.check(value)
        except BadInput as error:
            text = "{where} something that cannot be used: {why}"
            raise BadInput(Text(text, where=where, why=error.trouble)) from None
    return value


def _number(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
