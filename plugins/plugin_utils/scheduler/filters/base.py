# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a filter is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec


class Filter(ABC):
    """One yes/no question about a host.

    :cvar moves: whether the answer can change while the instances of one batch are placed.
    """

    moves = False

    @property
    def name(self) -> str:
        """What the explanation calls it."""
        return type(self).__name__

    def concerns(self, request: RequestSpec) -> bool:
        """Whether the request asks this question at all."""
        return True

    @abstractmethod
    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        """The reason why the host cannot take the request; None when it can."""
