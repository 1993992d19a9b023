# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What check mode must return of an instance, held against what the real run returned."""

from __future__ import annotations

from typing import Any

# What check mode cannot know of an instance, and why. Every other key that a real run returns is returned in check mode
# too, with its value; of addresses the networks are known, and each address that the task names or that stays.
LATER = {
    "new": {
        "id": "drawn with the record",
        "created_at": "the time of the record",
        "updated_at": "the time of the last change to it",
        "launched_at": "the time at which the guest runs",
        "compute_host": "chosen with the claim, when others may have claimed too; known where the task names it",
        "cell": "that of the host",
        "zone": "that of the host; known where the task names it",
        "access_ipv4": "taken from what is free with the record; known where each nic names its address",
        "access_ipv6": "likewise",
        "placement": "what the scheduler says when it claims",
    },
    "wired": {
        "updated_at": "the time of the change",
        "access_ipv6": "no port has one yet, and the networks to come may give one",
    },
    "there": {"updated_at": "the time of the change"},
}


def kind_of(wish: dict[str, Any], check: dict[str, Any]) -> str:
    """What the wish is to the instance; decides what can be known before."""
    if wish.get("state") == "absent":
        return "absent"
    if "image" in wish:
        return "new"
    after, before = (check["diff"][side].get("networks", []) for side in ("after", "before"))
    return "wired" if set(after) - set(before) else "there"


def check_prediction(kind: str, check: dict[str, Any], done: dict[str, Any]) -> None:
    """Check mode returned every key of the real result, with its value, but for those that LATER names."""
    if kind == "absent":
        assert "instance" not in check
        assert "instance" not in done
        return
    predicted, real, later = check["instance"], done["instance"], LATER[kind]
    assert set(real) - set(later) <= set(predicted), "it could be known"
    assert set(predicted) <= set(real), "no real run returns it"
    for key in set(predicted) - set(later):
        if key == "addresses":
            assert list(predicted[key]) == list(real[key]), "networks in their order"
            for network, entries in predicted[key].items():
                assert [e for e in entries if not any(e.items() <= one.items() for one in real[key][network])] == []
        else:
            assert predicted[key] == real[key], key
