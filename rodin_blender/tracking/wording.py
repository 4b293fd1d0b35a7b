# SPDX-License-Identifier: GPL-3.0-or-later
"""Times and lengths of time as a user reads them."""

from __future__ import annotations

from datetime import datetime


def duration_text(seconds: float) -> str:
    """A length of time in words a user reads at a glance: 4 s, 2 min 10 s, 3 h 5 min, 2 days."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} days"


def clock_text(timestamp: float) -> str:
    """A time of day in local time, such as 14:03:20; with the date when it is not today."""
    then = datetime.fromtimestamp(timestamp)
    return then.strftime("%H:%M:%S" if then.date() == datetime.now().date() else "%Y-%m-%d %H:%M")
