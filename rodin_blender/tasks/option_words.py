# SPDX-License-Identifier: GPL-3.0-or-later
"""How the choices of an option are called, and what they cost."""

from __future__ import annotations

from ..texts.text import Text
from ..texts.wording import duration_text
from .options import OPTIONS, TIERS, Option


def price_text(price: float) -> Text:
    return Text("{price} credit", price=price) if price == 1 else Text("{price} credits", price=price)


def words(option: Option, choice: str) -> tuple[str, str]:
    """A choice's label and description."""
    if option is OPTIONS["tier"]:
        tier = TIERS[choice]
        usual = f", about {duration_text(tier.seconds)}" if tier.seconds else ""
        return f"{tier.label} ({price_text(tier.price)}{usual})", tier.description
    if option is OPTIONS["file_format"]:
        return choice.upper(), f"A .{choice} file"
    if not choice:
        return "Automatic", "What the tier chooses"
    return choice.replace("-", " ").title() if choice.islower() else choice, ""
