# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What storage hosts are told of a volume."""

from __future__ import annotations

import re

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.orders import Loaded

# How RFC 7143 (6.1) begins a constant in base64 or hexadecimal digits.
ENCODED = re.compile(r"0[bBxX]")


@pytest.mark.parametrize(
    "key", ["0b2f3b52-7d2c-4b8e-9a63-0d8f3c1f8a11", "6d1f6c0e-0b2f-4a1d-8a55-3b7d1c9e2f00"], ids=["base64", "plain"]
)
def test_no_target_takes_a_user_for_a_number(key: str) -> None:
    """One UUID in 256 begins like base64, and the kernel's target decodes what begins so."""
    login = Loaded({"id": key, "secret": "canary"}, None).login
    assert not ENCODED.match(login["user"])
    assert (key in login["user"], login["secret"]) == (True, "canary")
