# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a checkout an extension as it is: cloned among Blender's extensions, or installed from its *Download ZIP*.

The zip that `make build` makes has the modules of rodin_blender/ beside the manifest, where Blender looks for them.
Here they are one folder deeper, and found under the same names.
"""

from pathlib import Path

__path__ = [str(Path(__file__).with_name("rodin_blender"))]


def register() -> None:
    from . import blender

    blender.register()


def unregister() -> None:
    from . import blender

    blender.unregister()
