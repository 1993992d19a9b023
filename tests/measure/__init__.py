# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lines and branches of the collection the tests run."""
