# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks followed, downloaded and imported from a shell: `blender --command rodin …`, or `python -m rodin_blender …`."""
