# SPDX-License-Identifier: GPL-3.0-or-later
"""What the interface knows: the session and its parts."""
