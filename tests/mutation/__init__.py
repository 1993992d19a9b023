# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that decide, broken one after the other, and the tests that notice."""
