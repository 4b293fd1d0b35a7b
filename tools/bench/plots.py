"""How our plots look."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot

COLOURS = ("#0072b2", "#e69f00", "#d55e00", "#009e73")
"""Told apart by color-blind people, too (Okabe and Ito)."""
MARKERS = ("o", "s", "X", "D")


@contextlib.contextmanager
def figure(
    picture: Path, *, columns: int, width: float, height: float, rows: int = 1, sharey: bool = False
) -> Iterator[list[Any]]:
    """Axes side by side, row by row, saved as `picture` in the end."""
    size = (width, height)
    made, axes = pyplot.subplots(rows, columns, figsize=size, sharey=sharey, squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.grid(axis="both", color="#dddddd", linewidth=0.7, zorder=0)
        axis.spines[["top", "right"]].set_visible(False)
    yield list(axes.flat)
    made.savefig(picture, dpi=110)
    pyplot.close(made)
