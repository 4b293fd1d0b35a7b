# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens over time: who asks when, downloads, events. Never imports `bpy`."""
