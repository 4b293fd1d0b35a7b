# SPDX-License-Identifier: GPL-3.0-or-later
"""What is declared to Blender: `window_manager.rodin` with the tasks and the form, and the preferences."""
