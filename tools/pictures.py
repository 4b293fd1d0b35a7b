"""Cuts the pictures of docs/ out of the window tests' screens, and takes the demo's.

Usage: python tools/pictures.py FROM TO

See `make pictures`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# Left, top, width and height on the screen of 1600 by 900.
SIDEBAR = (1036, 81, 264, 560)
DIALOG = (752, 390, 460, 176)
CUTS = {
    **dict.fromkeys(
        (
            "offline", "no-api-key", "waiting", "generating", "done", "partly-failed", "failed",
            "unknown-word", "no-jobs", "not-found", "service-trouble", "broken-off", "paused", "overdue", "throttled",
            "bad-api-key", "downloading", "import-settings", "waits-for-object-mode", "saved",
            "form", "sending", "generating-here", "rejected", "uncertain", "unsent",
        ),
        SIDEBAR,
    ),
    "list": (1036, 81, 264, 720),
    "list-selecting": SIDEBAR,
    "list-hidden": SIDEBAR,
    "list-narrow": (312, 105, 262, 690),
    "viewport-pictures": (560, 81, 740, 480),
    "form-options": (1036, 81, 264, 680),
    "enter-api-key": (758, 202, 464, 164),
    "enter-task-uuid": DIALOG,
    "delete-files": (480, 385, 640, 130),
    "generated": (0, 0, 1600, 900),
    "imported": (0, 0, 1600, 900),
    "assets": (0, 0, 1600, 900),
    "preferences": (104, 0, 880, 540),
    "preferences-of-downloads": (104, 0, 880, 540),
}  # fmt: skip
SAME_SCREEN = {"saved": "imported", "list-hidden": "list-hidden-light"}
"""Pictures cut out of a screen that another one is named for."""
DEMO = {"models": "demo", "blockouts": "blockouts"}
"""Pictures that the demo renders, and what they are called in docs/."""


def main(source: Path, target: Path) -> None:
    from PIL import Image

    target.mkdir(parents=True, exist_ok=True)
    for name, (left, top, width, height) in CUTS.items():
        screen = source / f"{SAME_SCREEN.get(name, name)}.png"
        picture = Image.open(screen).convert("RGB").crop((left, top, left + width, top + height))
        picture.quantize(256).save(target / f"{name}.png", optimize=True)
    for rendered, name in DEMO.items():
        Image.open(ROOT / "dist/demo" / f"{rendered}.png").save(target / f"{name}.jpg", quality=90)


if __name__ == "__main__":
    try:
        import PIL  # noqa: F401
    except ModuleNotFoundError:
        from tools.blenders import tools_python

        sys.exit(subprocess.run([str(tools_python()), *sys.argv], check=False).returncode)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
