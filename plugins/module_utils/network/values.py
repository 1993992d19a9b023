# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Typed values of the network operations: whatever does not parse as what it must be never reaches a row.

Every text that the northbound database gets is rendered from a parsed value (an address, a MAC, a number) or matches
a closed pattern, so a newline or a quote in an option cannot become another option.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Mapping
from typing import Any, Union

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}\Z")
_HOSTNAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")


def refused(what: str, value: Any, must: str) -> BackendError:
    """The refusal of one value; its text is shortened and escaped, as it comes from a tenant."""
    return BackendError(f"{what} {repr(value)[:80]} {must}.", error="BadInput")


def uuid_text(value: Any, what: str = "id") -> str:
    """A UUID in its canonical form."""
    try:
        return str(uuid.UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise refused(what, value, "is not a UUID") from None


def mac(value: Any) -> str:
    """A unicast MAC address in lower case."""
    text = value.lower() if isinstance(value, str) else ""
    if not _MAC.match(text) or int(text[:2], 16) & 1:
        raise refused("mac_address", value, "is not a unicast MAC address")
    return text


def address(value: Any, what: str = "address") -> Address:
    """One IPv4 or IPv6 address."""
    try:
        return ipaddress.ip_address(_text(value))
    except ValueError:
        raise refused(what, value, "is not an IP address") from None


def network(value: Any, what: str = "cidr") -> Network:
    """A prefix without host bits; a single address is a prefix of one."""
    try:
        return ipaddress.ip_network(_text(value))
    except ValueError:
        raise refused(what, value, "is not a network without host bits") from None


def hostname(value: Any) -> str | None:
    """A DNS name in lower case, or None when the instance's name cannot be one: then it has no DNS record."""
    if not isinstance(value, str):
        return None
    text = value.lower()
    return text if _HOSTNAME.match(text) else None


def number(value: Any, what: str, low: int, high: int) -> int:
    """A whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise refused(what, value, f"is not a number from {low} to {high}")
    return value


def optional_number(value: Any, what: str, high: int) -> int | None:
    """A whole number from 0, or None."""
    return None if value is None else number(value, what, 0, high)


def mappings(value: Any, what: str) -> list[dict[str, Any]]:
    """A list of dictionaries; None is an empty one."""
    listed = [] if value is None else value
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise refused(what, value, "is not a list of dictionaries")
    return listed


def texts(value: Any, what: str) -> list[str]:
    """A list of strings; None is an empty one."""
    listed = [] if value is None else value
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise refused(what, value, "is not a list of strings")
    return listed


def flag(operation: Mapping[str, Any], key: str, default: bool) -> bool:
    """A boolean of the operation."""
    value = operation.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise refused(key, value, "is not a boolean")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""  # ipaddress would take a number for an address
