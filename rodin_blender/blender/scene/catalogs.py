# SPDX-License-Identifier: GPL-3.0-or-later
"""The asset catalog of what is imported: noted in the library that the open file belongs to."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ...service.errors import os_reason
from ...storage import asset_catalog
from ...texts.text import Text
from .. import importing
from ..app import app


def add_catalog() -> None:
    """Have the assets' catalog noted where the open file's catalogs are, if it was saved."""
    library = importing.asset_library()
    if library:
        app().wake()
        app().threads.run(partial(_add_to, library), lambda trouble: app().session.tell(trouble) if trouble else None)


def _add_to(library: Path) -> Text | None:
    """Returns what went wrong, None for nothing."""
    try:
        asset_catalog.add(library)
    except OSError as error:
        text = "The asset catalog Rodin could not be noted in {folder}: {reason}. The asset is there."
        return Text(text, folder=str(library), reason=os_reason(error))
    return None
