# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes as a user reads them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rodin_blender.texts.phrases import progress
from rodin_blender.texts.wording import size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 kB"),
        (1, "0 kB"),
        (640_000, "640 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (12_400_000, "12.4 MB"),
        (999_499_999, "999.5 MB"),
        (999_500_000, "1.0 GB"),
        (1_234_000_000, "1.2 GB"),
        (1_234_000_000_000, "1234.0 GB"),
    ],
)
def test_a_size(size: int, text: str) -> None:
    assert size_text(size) == text


@given(st.integers(0, 10**13), st.integers(0, 10**13))
def test_a_larger_size_never_reads_smaller(one: int, two: int) -> None:
    def read(size: int) -> float:
        number, unit = size_text(size).split()
        return float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]

    small, large = sorted((one, two))
    assert read(small) <= read(large)
    assert read(large) == pytest.approx(large, rel=0.06, abs=500)


@pytest.mark.parametrize(
    ("received", "size", "speed", "text"),
    [
        (3_200_000, 12_400_000, 1_800_000.0, "3.2 of 12.4 MB, 1.8 MB/s"),
        (640_000, 12_400_000, 0.0, "640 kB of 12.4 MB"),
        (0, 640_000, 0.0, "0 of 640 kB"),
        (0, 0, 0.0, "0 kB"),
        (3_200_000, None, 0.0, "3.2 MB"),
        (3_200_000, None, 90_000.4, "3.2 MB, 90 kB/s"),
        (900_000_000, 1_200_000_000, 0.0, "900.0 MB of 1.2 GB"),
    ],
)
def test_how_much_has_arrived(received: int, size: int | None, speed: float, text: str) -> None:
    assert str(progress(received, size, speed)) == text


@given(st.integers(0, 10**12), st.integers(0, 10**12) | st.none(), st.floats(0, 1e10))
def test_how_much_has_arrived_is_one_short_line(received: int, size: int | None, speed: float) -> None:
    number = r"[0-9]+(\.[0-9])?"
    unit = "(kB|MB|GB)"
    line = rf"{number}( {unit})?( of {number} {unit})?(, {number} {unit}/s)?"
    assert re.fullmatch(line, str(progress(received, size, speed)))
