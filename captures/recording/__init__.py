# SPDX-License-Identifier: GPL-2.0-or-later
"""The scenarios of ``record.py``, a chapter a file, and what they share."""
