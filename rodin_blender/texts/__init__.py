# SPDX-License-Identifier: GPL-3.0-or-later
"""How things are said to a user: times, sizes, errors. Never imports `bpy`."""
