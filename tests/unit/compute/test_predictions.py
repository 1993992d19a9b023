# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The judge of what check mode returns (functional/instances) lets nothing missing or wrong pass."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functional.instances.predictions import check_prediction, kind_of

FRONT = {"front": [{"addr": "10.30.0.3", "version": 4}]}
REAL = {"name": "a", "status": "ACTIVE", "updated_at": "now", "addresses": FRONT}


@pytest.mark.parametrize(
    ("predicted", "right"),
    [
        ({**REAL, "updated_at": "before"}, True),
        ({**REAL, "addresses": {"front": []}}, True),
        ({**REAL, "addresses": {"front": [{"addr": "10.30.0.3"}]}}, True),
        ({**REAL, "addresses": {"front": [{"addr": "10.30.0.4"}]}}, False),
        ({**REAL, "addresses": {}}, False),
        ({**REAL, "status": "SHUTOFF"}, False),
        ({**REAL, "more": 1}, False),
        ({key: value for key, value in REAL.items() if key != "status"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_prediction_can_be_wrong(predicted: dict[str, Any] | None, right: bool) -> None:
    check = {} if predicted is None else {"instance": predicted}
    try:
        check_prediction("there", check, {"instance": REAL})
    except (AssertionError, KeyError):
        assert not right
    else:
        assert right


@pytest.mark.parametrize(
    ("wish", "before", "after", "kind"),
    [
        ({"state": "absent"}, {}, {}, "absent"),
        ({"image": "halt", "networks": ["front"]}, {}, {"networks": ["front"]}, "new"),
        ({"networks": ["front", "back"]}, {"networks": ["front"]}, {"networks": ["front", "back"]}, "wired"),
        ({"networks": ["back"]}, {"networks": ["front", "back"]}, {"networks": ["back"]}, "there"),
        ({"tags": ["red"]}, {}, {"tags": ["red"]}, "there"),
    ],
)
def test_kind_of(wish: dict[str, Any], before: dict[str, Any], after: dict[str, Any], kind: str) -> None:
    assert kind_of(wish, {"diff": {"before": before, "after": after}}) == kind
