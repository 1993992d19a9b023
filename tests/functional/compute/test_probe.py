# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the probe of compute hosts says of an accelerator is what a whole guest says that boots by it."""

from __future__ import annotations

import pytest
from agentless_lab import kvm

from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
from ansible_collections.agentless.cloud.plugins.module_utils.compute import probe

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(("accelerator", "cpu"), [("tcg", "max"), ("kvm", "host")])
def test_the_probe_and_a_guest_agree(accelerator: str, cpu: str) -> None:
    """Also on a machine where KVM is there and runs only a part of what a boot loader does, or is not there."""
    boots = kvm.boots(accelerator, cpu, patience=90 if accelerator == "tcg" else kvm.PATIENCE)
    assert probe._try(Context(), "qemu-system-x86_64", accelerator, cpu) is boots
    assert boots or accelerator == "kvm"
