# SPDX-License-Identifier: GPL-3.0-or-later
"""Following tasks over time: what a task is, when to ask, where it is kept, who asks. Never imports `bpy`."""
