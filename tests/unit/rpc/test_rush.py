# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A crowd at the door of one sshd passes; a host that is gone is told at once."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.agentless.cloud.plugins.plugin_utils import rpc

REFUSALS = {
    "too many at the door": ("kex_exchange_identification: Connection closed by remote host", True),
    "of an old client": ("ssh_exchange_identification: Connection closed by remote host", True),
    "too many over one connection": ("mux_client_request_session: Session open refused by peer", True),
    "ssh died while it was fed": (
        "Data could not be sent to remote host '10.0.0.1'. Make sure it is reachable over SSH: [Errno 32] Broken pipe",
        True,
    ),
    "nobody there": ("ssh: connect to host 10.0.0.1 port 22: No route to host", False),
    "nobody there while it was fed": (
        "Data could not be sent to remote host '10.0.0.1'. Is it reachable? ssh: connect to host 10.0.0.1 port 22",
        False,
    ),
    "not let in": ("Permission denied (publickey).", False),
}


@pytest.mark.parametrize(("said", "again"), REFUSALS.values(), ids=list(REFUSALS))
def test_what_is_tried_again(said: str, again: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc.time, "sleep", lambda seconds: None)
    tried: list[int] = []

    def perform() -> dict[str, Any]:
        tried.append(1)
        if len(tried) < 3:
            raise AnsibleConnectionFailure(said)
        return {"results": []}

    if again:
        assert rpc._past_a_rush(perform) == {"results": []}
        assert len(tried) == 3
    else:
        with pytest.raises(AnsibleConnectionFailure, match=r"No route|connect to host|denied"):
            rpc._past_a_rush(perform)
        assert len(tried) == 1
