# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of all that can be set, and what a value may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..service.errors import BadInput
from ..storage import paths
from ..tasks.options import OPTIONS, Option
from ..tasks.schedule import REQUESTS_PER_MINUTE

SERVICE_ADDRESS = "https://api.hyper3d.com/api/v2"

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
    """What the preferences call it, where they have no words of their own for it; with the description below."""
    description: str = ""

    @property
    def variables(self) -> tuple[str, ...]:
        return self.older_variables or (f"RODIN_{self.name.upper()}",)

    @property
    def is_path(self) -> bool:
        return self.check is paths.check


GENERATE = "generate_"
"""What the names of those settings begin with that are options of a generation."""


def _of_option(option: Option) -> Field:
    """What an option is until the form or a command line says otherwise."""
    # 0 or -1, as the option has it, is the number that leaves the matter to the service.
    low = min(option.low, option.default) if isinstance(option.default, int) else option.low
    return Field(f"{GENERATE}{option.name}", option.default, low, option.high, option.choices)


FIELDS = {
    field.name: field
    for field in (
        Field("api_key", "", older_variables=("RODIN_API_KEY", "HYPER3D_API_KEY")),
        # A command whose output's first line is the key, see `storage.key_command`.
        Field("api_key_command", ""),
        Field("service_address", SERVICE_ADDRESS, older_variables=("RODIN_API_URL",)),
        # http://NAME:PASSWORD@HOST:PORT; without one, the system's.
        Field("proxy", ""),
        # A PEM file.
        Field("ca_file", "", check=paths.check),
        # Seconds.
        Field("shortest_interval", 5.0, 1.0, 300.0),
        Field("longest_interval", 30.0, 1.0, 3600.0),
        # Minutes.
        Field("deadline", 20.0, 0.1, 7 * 24 * 60.0),
        Field(
            "requests_per_minute",
            REQUESTS_PER_MINUTE,
            1,
            240,
            label="Requests per Minute",
            description="How often the service is asked at most, by all Blenders of yours together",
        ),
        Field(
            "parallel_generations",
            0,
            0,
            1_000,
            label="Parallel Generations",
            description="How many tasks that were begun here may be under way at a time, in all Blenders of yours "
            "together. The others wait. 0 for as many as the account's plan allows",
        ),
        Field("hand_off_operator", "rodin.download"),
        Field("download_folder", "", check=paths.check),
        Field("download_when_done", False),
        Field("import_when_done", False),
        Field("import_after_download", True),
        Field("import_location", "CURSOR", choices=("CURSOR", "ORIGIN")),
        # Meters; 0 leaves a model as it is.
        Field("import_height", 0.0, 0.0, 1e6),
        Field("import_as_asset", False),
        # Cameras and lights of a model's file.
        Field("import_companions", False),
        # Gigabytes; 0 for no hint.
        Field("storage_hint", 5.0, 0.0, 1e6),
        # Whether tasks may be begun here, or followed only.
        Field("allow_generation", True),
        # Credits; 0 for no limit.
        Field("max_credits_per_task", 0.0, 0.0, 1e6),
        *(_of_option(option) for option in OPTIONS.values()),
    )
}


def from_text(field: Field, text: str, where: str) -> Value:
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


def checked(field: Field, value: object, where: str) -> Value:
    """`value` where the field can have it. Raises BadInput that begins with `where`.

    What is wrong is not quoted, since it may be a key in the wrong place; but for paths and the like.
    """
    if isinstance(field.default, bool):
        if not isinstance(value, bool):
            raise BadInput(f"{where} something that is neither true nor false.")
        return value
    if isinstance(field.default, (int, float)):
        whole = isinstance(field.default, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise BadInput(f"{where} something that is no {'whole ' if whole else ''}number.")
        if not field.low <= value <= field.high:
            raise BadInput(f"{where} a number that is not between {_number(field.low)} and {_number(field.high)}.")
        return type(field.default)(value)
    if not isinstance(value, str):
        raise BadInput(f"{where} something that is no text.")
    if field.choices and value not in field.choices:
        raise BadInput(f"{where} something else than {' or '.join(filter(None, field.choices))}.")
    if field.check and value.strip():
        try:
            field.check(value)
        except BadInput as error:
            raise BadInput(f"{where} something that cannot be used: {error}") from None
    return value


def _number(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
