# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of generations, each a paid call of the service: one row for each, and all that differs below their forms.

What follows on the paid call is the same for all: the answer, the status, the download.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .options import OPTIONS, Option, Value, price


@dataclass(frozen=True)
class Kind:
    """A kind of generation. What it is made from are a prompt, pictures and options, as far as it takes them."""

    name: str
    """As the list of tasks and the outbox have it, so that it stays as it is."""
    path: str
    """Of the paid call, below the service's address."""
    options: Mapping[str, Option]
    price: Callable[[Mapping[str, Value]], float]
    """About how many credits the service will take. It is given options such as `options.checked` returns."""
    max_pictures: int
    takes_box: bool
    """Whether the service is told the proportions of the box that the model is wanted in."""


GENERATE = Kind("generate", "/rodin", OPTIONS, price, max_pictures=5, takes_box=True)

KINDS: dict[str, Kind] = {kind.name: kind for kind in (GENERATE,)}
