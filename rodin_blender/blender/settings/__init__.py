# SPDX-License-Identifier: GPL-3.0-or-later
"""What is set and where each value comes from; the API key, the user's folder, the network."""
