# SPDX-License-Identifier: GPL-3.0-or-later
"""Test hosts for agentless.cloud: system containers from a cached root filesystem."""
