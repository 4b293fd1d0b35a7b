# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a generation: one row for each option, one for each tier, and what it costs.

The panel, the command line's `--help`, the settings and the request are all made from `OPTIONS` and `TIERS`. What the
service takes depends on the tier and on the mesh mode: ask `Option.takes`, `choices_for` and `limits_for`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..service.errors import BadInput
from ..service.keys import printable
from ..texts.text import Text

Value = str | int | bool

GEN_1, GEN_2, GEN_2_5 = "Gen-1", "Gen-2", "Gen-2.5"


@dataclass(frozen=True)
class Tier:
    """A tier of the service. `price` is in credits, `seconds` its usual duration, None where nobody has timed it."""

    label: str
    family: str
    price: float
    seconds: float | None
    description: str


TIERS: dict[str, Tier] = {
    "Gen-2.5-Extreme-Low": Tier("Gen-2.5 Extreme Low", GEN_2_5, 0.5, None, "The newest generation, at its quickest"),
    "Gen-2.5-Low": Tier("Gen-2.5 Low", GEN_2_5, 0.5, 30.0, "The newest generation, quick"),
    "Gen-2.5-Medium": Tier("Gen-2.5 Medium", GEN_2_5, 0.5, None, "The newest generation, for most uses"),
    "Gen-2.5-High": Tier("Gen-2.5 High", GEN_2_5, 0.5, None, "The newest generation, with more detail"),
    "Gen-2.5-Extreme-High": Tier("Gen-2.5 Extreme High", GEN_2_5, 1.0, None, "The most detail, at twice the price"),
    "Gen-2": Tier("Gen-2", GEN_2, 0.5, 90.0, "The generation before"),
    "Sketch": Tier("Gen-1 Sketch", GEN_1, 0.5, 20.0, "A quick draft, as a glb file only"),
    "Regular": Tier("Gen-1 Regular", GEN_1, 0.5, 70.0, "The first generation"),
    "Detail": Tier("Gen-1 Detail", GEN_1, 0.5, None, "The first generation, with more detail"),
    "Smooth": Tier("Gen-1 Smooth", GEN_1, 0.5, None, "The first generation, with smoother surfaces"),
}

DEFAULT_TIER = "Gen-2.5-Medium"
"""The newest generation at the price of all but one, and the cheapest tier that takes both geometry modes."""

RAW, QUAD = "Raw", "Quad"


def _always(_tier: str, _mesh_mode: str) -> bool:
    return True


def _of(*families: str) -> Callable[[str, str], bool]:
    return lambda tier, _mesh_mode: TIERS[tier].family in families


def _not_first_raw(tier: str, mesh_mode: str) -> bool:
    return mesh_mode == QUAD or TIERS[tier].family != GEN_1


def _has_creative(tier: str) -> bool:
    return tier in ("Gen-2.5-Medium", "Gen-2.5-High", "Gen-2.5-Extreme-High")


@dataclass(frozen=True)
class Option:
    """One option of a generation: one of `choices` or, without these, any text; a number; or true or false.

    `field` is the service's form field. The type is that of `default`, which is not sent unless `always_sent`: "", 0
    and -1 leave the matter to the service. A number is `default` or lies between `low` and `high`, whatever the tier.
    `source` is how the fact is known: "doc" the vendor's documentation, "seen" live, "retold" by others.
    """

    name: str
    field: str
    label: str
    description: str
    default: Value
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = 0
    takes: Callable[[str, str], bool] = _always
    """Whether the service takes it with this tier and this mesh mode."""
    only: Callable[[str, str], bool] = lambda _tier, _choice: True
    """Whether this tier has this choice."""
    limits: Callable[[str, str], tuple[int, int]] | None = None
    always_sent: bool = False
    source: str = "doc"

    def choices_for(self, tier: str) -> tuple[str, ...]:
        """Those of `choices` that the tier has."""
        return tuple(choice for choice in self.choices if self.only(tier, choice))

    def limits_for(self, tier: str, mesh_mode: str) -> tuple[int, int]:
        """The least and the largest number with this tier and this mesh mode."""
        return self.limits(tier, mesh_mode) if self.limits else (self.low, self.high)


def _face_limits(tier: str, mesh_mode: str) -> tuple[int, int]:
    if mesh_mode == QUAD:
        return 2_000, 50_000
    if TIERS[tier].family == GEN_2_5:
        return 20_000, 2_000_000 if tier in ("Gen-2.5-High", "Gen-2.5-Extreme-High") else 1_000_000
    return 2_000, 1_000_000


OPTIONS: dict[str, Option] = {
    option.name: option
    for option in (
        Option(
            "tier",
            "tier",
            "Tier",
            "Which of the service's generators makes the model",
            DEFAULT_TIER,
            tuple(TIERS),
            always_sent=True,
        ),
        Option(
            "material",
            "material",
            "Material",
            "PBR reacts to light, Shaded has the light painted in, All is both, None leaves the model bare",
            "PBR",
            ("PBR", "Shaded", "All", "None", "Hybrid"),
            only=lambda tier, choice: choice != "Hybrid" or TIERS[tier].family == GEN_2_5,
        ),
        Option(
            "quality",
            "quality",
            "Quality",
            "How many faces the model has, unless a number is given",
            "medium",
            ("high", "medium", "low", "extra-low"),
            takes=_not_first_raw,
        ),
        Option(
            "faces",
            "quality_override",
            "Faces",
            "About how many faces the model has; 0 leaves it to the quality",
            0,
            low=2_000,
            high=2_000_000,
            takes=lambda tier, mesh_mode: tier != "Sketch" and _not_first_raw(tier, mesh_mode),
            limits=_face_limits,
            source="seen",
        ),
        Option(
            "mesh_mode",
            "mesh_mode",
            "Mesh",
            "Raw is made of triangles, Quad of fewer faces with four sides",
            RAW,
            (RAW, QUAD),
            always_sent=True,
        ),
        Option(
            "geometry_instruct_mode",
            "geometry_instruct_mode",
            "Geometry",
            "Faithful keeps to what is asked for, Creative invents more",
            "faithful",
            ("faithful", "creative"),
            takes=_of(GEN_2_5),
            only=lambda tier, choice: choice != "creative" or _has_creative(tier),
            always_sent=True,
        ),
        Option(
            "texture_mode",
            "texture_mode",
            "Texture",
            "How much work goes into the texture; Extreme High costs 2 credits more",
            "",
            ("", "legacy", "extreme-low", "low", "medium", "high", "extreme-high"),
            takes=_of(GEN_2_5),
            source="retold",
        ),
        Option(
            "file_format",
            "geometry_file_format",
            "File Format",
            "The kind of file that the model comes in; glb has all in one file",
            "glb",
            ("glb", "usdz", "fbx", "obj", "stl"),
            only=lambda tier, choice: choice == "glb" or tier != "Sketch",
        ),
        Option(
            "seed",
            "seed",
            "Seed",
            "The same number with the same wish gives a similar model; -1 takes another each time",
            -1,
            low=0,
            high=65_535,
        ),
        Option(
            "symmetry",
            "is_symmetric",
            "Symmetry",
            "Whether both sides of the model are alike",
            "",
            ("", "symmetric", "balanced", "asymmetric", "unknown"),
            takes=_of(GEN_2_5),
            source="retold",
        ),
        Option(
            "original_alpha",
            "use_original_alpha",
            "Use Transparency",
            "The pictures' own transparency tells what is background",
            default=False,
        ),
        Option("t_pose", "TAPose", "T Pose", "A figure stands with its arms spread, ready for rigging", default=False),
        Option("hd_texture", "hd_texture", "HD Texture", "A sharper texture", default=False, takes=_of(GEN_2, GEN_2_5)),
        Option(
            "texture_delight",
            "texture_delight",
            "Remove Light",
            "Takes the light and shadows of the pictures out of the texture",
            default=False,
            takes=_of(GEN_2_5),
        ),
        Option(
            "high_pack",
            "addons",
            "4K Textures",
            "Textures of 4096 pixels (HighPack), for 1 credit more",
            default=False,
            takes=_not_first_raw,
        ),
        Option(
            "condition_mode",
            "condition_mode",
            "Several Pictures",
            "Concat takes them as views of one object, Fuse as several objects in one model",
            "concat",
            ("concat", "fuse"),
            takes=_of(GEN_1),
        ),
    )
}

_TRUE_OR_FALSE = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)


def defaults() -> dict[str, Value]:
    """All options at their defaults, in the order of the form."""
    return {option.name: option.default for option in OPTIONS.values()}


def checked(options: Mapping[str, Any], known: Mapping[str, Option] = OPTIONS) -> dict[str, Value]:
    """All of the `known` options, typed, in the order of the form; those that are not given at their defaults.

    Texts stand for values, as a command line and a spreadsheet have them. Raises BadInput with what to change for an
    unknown name, a value that cannot be, and what the chosen tier does not take.
    """
    for name in options:
        if name not in known:
            text = "There is no option '{name}'. The options are {options}."
            raise BadInput(Text(text, name=printable(str(name), 40), options=", ".join(known)))
    values = {name: _typed(option, options.get(name, option.default)) for name, option in known.items()}
    for option in known.values():
        if trouble := _trouble(option, values):
            raise BadInput(trouble)
    return values


def fitted(values: Mapping[str, Value]) -> dict[str, Value]:
    """`values`, full and typed, as far as the tier takes them, see `fitted_one`."""
    return {name: fitted_one(option, values) for name, option in OPTIONS.items()}


def fitted_one(option: Option, values: Mapping[str, Value]) -> Value:
    """The nearest to an option's value that the tier and the mesh mode among `values` take.

    For a form that hides what a tier does not take: an option that an artist cannot see must not make the request fail.
    """
    value = values[option.name]
    if not _trouble(option, values):
        return value
    tier, mesh_mode = str(values["tier"]), str(values["mesh_mode"])
    if option.limits and isinstance(value, int) and option.takes(tier, mesh_mode):
        low, high = option.limits(tier, mesh_mode)
        return min(max(value, low), high)
    return option.default


def merged(settings: Mapping[str, Value], given: Mapping[str, Any]) -> dict[str, Value]:
    """The options of the settings with those in their place that are given now; `checked` as these are.

    A setting that the tier does not take is passed over, since nobody asked for it now. Raises BadInput.
    """
    deciding = {name: given[name] for name in ("tier", "mesh_mode") if name in given}
    typed = checked(deciding)
    return checked({**fitted({**settings, **{name: typed[name] for name in deciding}}), **given})


def price(options: Mapping[str, Value]) -> float:
    """About how many credits the service will take. `options` are such as `checked` returns."""
    extreme_texture = 2.0 if options["texture_mode"] == "extreme-high" else 0.0
    high_pack = 1.0 if options["high_pack"] else 0.0
    return TIERS[str(options["tier"])].price + extreme_texture + high_pack


def _typed(option: Option, value: object) -> Value:
    """`value` in the type of the option, as one of its choices or within what any tier allows. Raises BadInput."""
    if isinstance(value, str):
        value = value.strip()
        if not value and "" not in option.choices:
            return option.default
    if isinstance(option.default, bool):
        found = value if isinstance(value, bool) else _TRUE_OR_FALSE.get(str(value).lower())
        if found is None:
            text = "{option} is either true or false, not '{value}'."
            raise BadInput(Text(text, option=Text(option.label), value=printable(str(value), 40)))
        return found
    if isinstance(option.default, int):
        return _number(option, value)
    if not option.choices:
        return str(value)
    by_word = {choice.casefold(): choice for choice in option.choices}
    choice = by_word.get(value.casefold()) if isinstance(value, str) else None
    if choice is None:
        text = "{option} cannot be '{value}'. Choose {choices}."
        choices = _either([choice for choice in option.choices if choice])
        raise BadInput(Text(text, option=Text(option.label), value=printable(str(value), 40), choices=choices))
    return choice


def _number(option: Option, value: object) -> int:
    number = None
    # `int` refuses longer texts, or takes long for them.
    if isinstance(value, str) and len(value) <= 20:
        with suppress(ValueError):
            number = int(value.replace(",", ""))
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    if number is None:
        text = "{option} is a whole number, not '{value}'."
        raise BadInput(Text(text, option=Text(option.label), value=_text(value)))
    if number != option.default and not option.low <= number <= option.high:
        text = "{option} must lie between {low:n} and {high:n}, which {value} does not."
        raise BadInput(Text(text, option=Text(option.label), low=option.low, high=option.high, value=_text(number)))
    return number


def _text(value: object) -> str:
    try:
        return printable(str(value), 40)
    except ValueError:
        # Python does not write out numbers of thousands of digits.
        return "a very large number"


def _trouble(option: Option, values: Mapping[str, Value]) -> Text | None:
    """Why an option cannot be as it is with the chosen tier and mesh mode, and what to change; None where it can."""
    value = values[option.name]
    if value == option.default:
        return None
    tier, mesh_mode = str(values.get("tier", "")), str(values.get("mesh_mode", ""))
    if not option.takes(tier, mesh_mode):
        said = partial(Text, tier=tier, option=Text(option.label), default=_named(option.default))
        if other := next((mode for mode in (RAW, QUAD) if option.takes(tier, mode)), None):
            text = "{tier} does not take {option} with the mesh {mesh}: use the mesh {other}, or set it to {default}."
            return said(text, mesh=mesh_mode, other=other)
        able = _either([name for name in TIERS if any(option.takes(name, mode) for mode in (RAW, QUAD))])
        text = "{tier} does not take {option}: set {option} back to {default}, or choose {able} as the tier."
        return said(text, able=able)
    choices = option.choices_for(tier)
    if option.choices and value not in choices:
        able = _either([name for name in TIERS if option.only(name, str(value))])
        text = "{tier} does not make {option} {value}: choose {choices}, or {able} as the tier."
        return Text(text, tier=tier, option=Text(option.label), value=str(value), choices=_either(choices), able=able)
    if isinstance(value, int) and not isinstance(value, bool):
        low, high = option.limits_for(tier, mesh_mode)
        if not low <= value <= high:
            text = "For {tier} with the mesh {mesh}, {option} must lie between {low:n} and {high:n}, not {value:n}."
            return Text(text, option=Text(option.label), low=low, high=high, tier=tier, mesh=mesh_mode, value=value)
    return None


def _named(value: Value) -> Text:
    if isinstance(value, bool):
        return Text("on") if value else Text("off")
    return Text("{value}", value=value) if value != "" else Text("what the tier chooses")


def _either(words: Sequence[str]) -> Text:
    """Words of which one is to be chosen."""
    *others, last = words
    return Text("{others} or {last}", others=", ".join(others), last=last) if others else Text("{last}", last=last)
