# SPDX-License-Identifier: GPL-3.0-or-later
"""Times and sizes as a user reads them."""

from __future__ import annotations

from datetime import datetime

LONGEST_IN_HOURS = 2 * 86400
"""Seconds: what takes longer is told in days."""


def duration_text(seconds: float) -> str:
    """A length of time in words a user reads at a glance: 4 s, 2 min 10 s, 3 h 5 min, 2 days."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < LONGEST_IN_HOURS:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} days"


def clock_text(timestamp: float) -> str:
    """A time of day in local time, such as 14:03:20; with the date when it is not today."""
    then = datetime.fromtimestamp(timestamp)
    return then.strftime("%H:%M:%S" if then.date() == datetime.now().date() else "%Y-%m-%d %H:%M")


def size_text(size: float) -> str:
    """A number of bytes as a user reads it: 0 kB, 640 kB, 12.4 MB, 1.2 GB."""
    if size < 999_500:
        return f"{size / 1e3:.0f} kB"
    if size < 999.5e6:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e9:.1f} GB"
