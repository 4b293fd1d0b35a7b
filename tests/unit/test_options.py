# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of options: what each tier takes, what is refused and in which words, and what it costs."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rodin_blender.service.errors import BadInput
from rodin_blender.tasks.options import DEFAULT_TIER, OPTIONS, TIERS, checked, defaults, fitted, price

NAMES = st.sampled_from([*OPTIONS, "polish"])
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.binary(max_size=5),
    st.lists(st.text()),
)
FITTING = st.fixed_dictionaries(
    {
        name: st.sampled_from(option.choices)
        if option.choices
        else st.booleans()
        if isinstance(option.default, bool)
        else st.integers(option.low, option.high) | st.just(option.default)
        for name, option in OPTIONS.items()
    }
)


def refusal(**options: object) -> str:
    with pytest.raises(BadInput) as caught:
        checked(options)
    return str(caught.value)


def test_nothing_wished_is_the_default_of_all() -> None:
    assert checked({}) == defaults()
    assert list(checked({})) == list(OPTIONS)
    assert defaults()["tier"] == DEFAULT_TIER
    assert DEFAULT_TIER in TIERS


def test_each_tier_takes_the_defaults_of_all() -> None:
    for tier in TIERS:
        for mesh_mode in ("Raw", "Quad"):
            assert checked({"tier": tier, "mesh_mode": mesh_mode})["tier"] == tier


def test_what_is_given_as_text_becomes_typed() -> None:
    values = checked({"tier": " gen-2.5-high ", "faces": "50,000", "t_pose": "Yes", "material": "pbr", "seed": ""})
    assert (values["tier"], values["faces"], values["t_pose"]) == ("Gen-2.5-High", 50_000, True)
    assert (values["material"], values["seed"]) == ("PBR", -1)
    assert checked({"seed": 7.0})["seed"] == 7


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"polish": 1}, ["There is no option 'polish'", "tier, material"]),
        ({"tier": "Gen-3"}, ["Tier cannot be 'Gen-3'", "Choose Gen-2.5-Extreme-Low"]),
        ({"tier": "Sketch", "file_format": "usdz"}, ["Sketch does not make File Format usdz", "choose glb"]),
        ({"seed": 70_000}, ["Seed must lie between 0 and 65,535"]),
        ({"seed": -2}, ["Seed must lie between"]),
        ({"faces": 5}, ["Faces must lie between"]),
        ({"faces": 5_000}, ["For Gen-2.5-Medium with the mesh Raw", "between 20,000 and 1,000,000"]),
        ({"faces": 1_500_000}, ["between 20,000 and 1,000,000"]),
        ({"faces": 60_000, "mesh_mode": "Quad"}, ["between 2,000 and 50,000", "mesh Quad"]),
        (
            {"tier": "Sketch", "mesh_mode": "Quad", "faces": 5_000},
            ["Sketch does not take Faces", "set Faces back to 0"],
        ),
        (
            {"tier": "Regular", "faces": 5_000},
            ["Regular does not take Faces with the mesh Raw", "use the mesh Quad"],
        ),
        ({"tier": "Regular", "quality": "high"}, ["use the mesh Quad", "or set it to medium"]),
        ({"tier": "Detail", "high_pack": True}, ["4K Textures", "use the mesh Quad", "set it to off"]),
        ({"tier": "Gen-2.5-Low", "geometry_instruct_mode": "creative"}, ["choose faithful", "Gen-2.5-Medium"]),
        ({"tier": "Gen-2", "geometry_instruct_mode": "creative"}, ["Gen-2 does not take Geometry"]),
        ({"tier": "Gen-2", "texture_mode": "high"}, ["Texture back to what the tier chooses", "Gen-2.5-High"]),
        ({"tier": "Gen-2", "material": "Hybrid"}, ["choose PBR, Shaded, All or None"]),
        ({"tier": "Gen-2", "symmetry": "balanced"}, ["Gen-2 does not take Symmetry"]),
        ({"tier": "Gen-2", "texture_delight": True}, ["Gen-2 does not take Remove Light"]),
        ({"tier": "Regular", "hd_texture": True}, ["Regular does not take HD Texture", "Gen-2"]),
        ({"condition_mode": "fuse"}, ["Gen-2.5-Medium does not take Several Pictures", "Sketch, Regular"]),
        ({"t_pose": "maybe"}, ["T Pose is either true or false"]),
        ({"faces": True}, ["Faces is a whole number"]),
        pytest.param({"faces": 10**5000}, ["Faces must lie between", "a very large number"], id="very large"),
        ({"seed": "9" * 5000}, ["Seed is a whole number"]),
        ({"seed": 1.5}, ["Seed is a whole number"]),
        ({"seed": float("nan")}, ["Seed is a whole number"]),
        ({"material": None}, ["Material cannot be 'None'"]),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_what_to_change(options: dict[str, object], words: list[str]) -> None:
    told = refusal(**options)
    assert all(word in told for word in words), told
    assert told.endswith("."), told


@pytest.mark.parametrize(
    "options",
    [
        {"tier": "Gen-2.5-High", "faces": 2_000_000},
        {"tier": "Gen-2", "faces": 2_000},
        {"tier": "Regular", "mesh_mode": "Quad", "faces": 2_000, "high_pack": True},
        {"tier": "Smooth", "condition_mode": "fuse", "file_format": "usdz"},
        {"seed": 0},
        {"seed": 65_535},
        {"material": "Hybrid", "geometry_instruct_mode": "creative", "symmetry": "unknown"},
    ],
    ids=str,
)
def test_what_can_be_passes(options: dict[str, object]) -> None:
    assert options.items() <= checked(options).items()


@pytest.mark.parametrize(
    ("options", "credits_"),
    [
        ({}, 0.5),
        ({"tier": "Sketch"}, 0.5),
        ({"tier": "Gen-2.5-Extreme-High"}, 1.0),
        ({"texture_mode": "extreme-high"}, 2.5),
        ({"high_pack": True}, 1.5),
        ({"tier": "Gen-2.5-Extreme-High", "texture_mode": "extreme-high", "high_pack": True}, 4.0),
    ],
    ids=str,
)
def test_the_price(options: dict[str, object], credits_: float) -> None:
    assert price(checked(options)) == credits_


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, ANYTHING, max_size=4))
def test_whatever_is_wished_is_taken_or_refused_in_a_sentence(options: dict[str, object]) -> None:
    try:
        values = checked(options)
    except BadInput as error:
        assert len(str(error)) < 500
        assert str(error).isprintable()
    else:
        assert {name: type(value) for name, value in values.items()} == {n: type(v) for n, v in defaults().items()}
        assert checked(values) == values


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FITTING)
def test_what_a_tier_does_not_take_can_be_fitted_to_it(values: dict[str, str | int | bool]) -> None:
    fit = fitted(values)
    assert checked(fit) == fit
    assert fit["tier"] == values["tier"]
    assert fit["mesh_mode"] == values["mesh_mode"]
    try:
        checked(values)
    except BadInput:
        assert fit != values
    else:
        assert fit == values
