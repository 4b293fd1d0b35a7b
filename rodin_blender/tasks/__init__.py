# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task is, which options it has, and when it is polled. Pure: no disk, no network, no `bpy`."""
