# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures for the form: taken of the viewport, or of images that are open in Blender."""
