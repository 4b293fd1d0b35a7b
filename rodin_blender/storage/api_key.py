# SPDX-License-Identifier: GPL-3.0-or-later
"""The API key as it is kept: in a file of mode 0600 in the user's folder. For workers, since it touches the disk."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from ..service import keys
from ..service.errors import BadInput, os_reason
from ..service.keys import LONGEST_KEY, Secret
from ..texts.text import Text
from . import private_files


def path_in(folder: Path) -> Path:
    """The file in a user's folder."""
    return folder / "api_key"


def read(folder: Path) -> Secret:
    """The API key that is kept there, empty for none. Raises BadInput for a file that cannot be read or holds none."""
    path = path_in(folder)
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_KEY + 3)
    except FileNotFoundError:
        return Secret("")
    except OSError as error:
        text = Text("The API key in {path} cannot be read: {reason}.", path=str(path), reason=os_reason(error))
        raise BadInput(text) from None
    try:
        # Characters beyond ASCII are replaced, and then refused.
        return keys.api_key(content.decode("ascii", "replace"))
    except BadInput:
        raise BadInput(Text("What {path} holds is no API key. Enter the key anew.", path=str(path))) from None


def write(folder: Path, key: Secret) -> None:
    """Keep this key from now on, or none when it is empty. Raises OSError."""
    path = path_in(folder)
    if key:
        private_files.write(path, key.reveal().encode("ascii") + b"\n")
    else:
        path.unlink(missing_ok=True)
        private_files.sync_folder(folder)


def migrate(folder: Path, key: Secret, origin: str) -> Path | None:
    """Keep a key that was kept elsewhere before, without replacing another one. Raises OSError.

    Where the folder has another key, this one goes into a file of its own, named for `origin`. Returns that file.
    """
    stored = None
    with suppress(BadInput):
        stored = read(folder)
    if stored == key:
        return None
    if stored == Secret(""):
        write(folder, key)
        return None
    aside = path_in(folder).with_name(f"api_key of {origin}")
    private_files.write(aside, key.reveal().encode("ascii", "replace") + b"\n")
    return aside


class Writer:
    """Writes for one process in the order of the requests, though each is written by a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_number = 0
        self._written = 0

    def next_number(self) -> int:
        """The number of a request to write, taken when the request is made."""
        self._last_number += 1
        return self._last_number

    def write(self, number: int, folder: Path, key: Secret) -> Text | None:
        """Keep the key unless a later request was written already. Returns what went wrong, None for nothing."""
        with self._lock:
            if number < self._written:
                return None
            try:
                write(folder, key)
            except OSError as error:
                if key:
                    text = "The API key could not be kept in {path}: {reason}."
                else:
                    text = "The API key could not be removed from {path}: {reason}."
                text += " It holds until Blender quits; enter it again when that is mended."
                return Text(text, path=str(path_in(folder)), reason=os_reason(error))
            self._written = number
            return None


writer = Writer()
"""The process's own: a key may still be written when Blender disables the extension and enables it again."""
