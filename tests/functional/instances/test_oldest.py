# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life of an instance on the oldest ansible-core that meta/runtime.yml allows, in the cloud of the other tests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cores import environments

from .cloud import Cloud, Played, usual
from .predictions import check_prediction

pytestmark = pytest.mark.lab

OLDEST = "2.16."
NAME = "elder"


def test_a_life_on_the_oldest_core(clean: Cloud) -> None:
    cloud, oldest = clean, environments.path(environments.programs("oldest"))

    def play(*tasks: dict[str, Any], options: tuple[str, ...] = ()) -> Played:
        played = cloud.tasks(*tasks, options=options, PATH=oldest)
        assert played.returncode == 0, played.output
        return played

    version = play({"ansible.builtin.debug": {"msg": "{{ ansible_version.full }}"}}).last["msg"]
    assert version.startswith(OLDEST)

    wish = usual({"name": NAME, "metadata": {"role": "web"}, "userdata": "#!/bin/true\n"})
    where = {
        "ansible.builtin.debug": {"msg": f"{{{{ lookup('agentless.cloud.scheduler', '{NAME}', flavor='none') }}}}"}
    }
    foreseen = play(wish, options=("--check",)).last
    made = play(wish, wish, where)
    assert [result["changed"] for result in made.results] == [True, False, False], made.output
    check_prediction("new", foreseen, made.results[0])
    instance = made.results[0]["instance"]
    assert (instance["status"], instance["power_state"]) == ("ACTIVE", "running")
    assert made.last["msg"] == instance["compute_host"]
    assert cloud.domains() == [(instance["compute_host"], instance["id"])]

    stop = {"agentless.cloud.instance": {"name": NAME, "state": "stopped", "timeout": 3}}
    start = {"agentless.cloud.instance": {"name": NAME, "state": "running"}}
    turned = play(stop, stop, start, start)
    assert [result["changed"] for result in turned.results] == [True, False, True, False], turned.output
    assert [result["instance"]["status"] for result in turned.results] == ["SHUTOFF"] * 2 + ["ACTIVE"] * 2
    assert cloud.domains() == [(instance["compute_host"], instance["id"])]

    listed = play({"agentless.cloud.instance_info": {"name": NAME}}).last["instances"]
    assert [one["id"] for one in listed] == [instance["id"]]
    gone = play(*[usual({"name": NAME, "state": "absent"})] * 2)
    assert [result["changed"] for result in gone.results] == [True, False]
    assert cloud.left_over() == {}
