# SPDX-License-Identifier: GPL-3.0-or-later
"""German, in the words of Blender's own interface."""

TEXTS = {
    "'{name}' is not being downloaded, so there is nothing to cancel.": (
        "„{name}“ wird nicht heruntergeladen, also gibt es nichts abzubrechen."
    ),
    "Filter and Sort": "Filtern und sortieren",
    "Pause Rodin Task": "Rodin-Aufgabe pausieren",
    "Stop asking about this task. The service goes on with it: it has no way to cancel": (
        "Nicht mehr nach dieser Aufgabe fragen. Der Dienst arbeitet weiter daran, denn abbrechen lässt er sich nicht"
    ),
}
