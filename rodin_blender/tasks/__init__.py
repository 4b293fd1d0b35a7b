# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task is, what can be wished of one, and when to ask about it. Pure: no disk, no network, no `bpy`."""
