# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image fetched over HTTP by an image host, which may reach more than the one who names the address.

Every hop is looked at before it is connected to, and the connection goes to the very address that was looked at. No
proxy is used, nothing is sent but the request, and only HTTP(S) is spoken.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import os
import socket
import ssl
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Callable, Optional, Union
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator

HOPS = 5
STALLED = 60.0  # seconds without a byte
_BLOCK = 1 << 20
_LOOK = 256 * _BLOCK  # how often the room left is looked at
_KEEP_FREE = 1 << 30  # bytes of the file system that a download leaves alone
_REDIRECTS = (301, 302, 303, 307, 308)
# Where clouds answer machines about themselves, beside the link-local address that they share.
_METADATA = frozenset({"100.100.100.200", "192.0.0.192", "fd00:ec2::254", "168.63.129.16"})
_AS_IT_IS = "/?%:@!$&'()*+,;=~-._[]"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Progress = Callable[[int, Optional[int]], None]  # bytes that came, and how many there are if that was said


class BadAddress(BackendError):
    """What is no address that may be asked for."""

    def __init__(self, msg: str) -> None:
        super().__init__(msg, "ImageRefused")


def checked(option: str, uri: str) -> str:
    """An address that may be fetched from, as far as its text tells.

    :raises BadAddress: it is not HTTP(S), has no host, or carries a password.
    """
    try:
        parts = urlsplit(uri)
        _port(parts)
    except ValueError as exc:
        raise BadAddress(f"{option} is not an address: {exc}.") from exc
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadAddress(f"{option} {shown(uri)!r} is not an address of the form http(s)://host/path.")
    if parts.username or parts.password:
        raise BadAddress(f"{option} carries a user name or a password, which would be shown; fetch the file yourself.")
    if any(character <= " " or character == "\x7f" for character in uri):
        raise BadAddress(f"{option} holds blanks or control characters.")
    return uri


def shown(uri: str) -> str:
    """The address as messages may show it: without a query, which may be a token, and without a password."""
    parts = urlsplit(uri)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}"


def download(uri: str, target: IO[bytes], *, allow_local: bool, progress: Progress) -> tuple[str, int]:
    """Write what is at the address into an open file; its checksum and size.

    :param progress: called for every block; what it raises ends the download.
    :raises BackendError: a hop leads where it may not, the answer is not the file, or it is cut off.
    """
    at = uri
    for _hop in range(HOPS + 1):
        try:
            with _answer(at, allow_local=allow_local) as response:
                if response.status not in _REDIRECTS:
                    return _saved(at, response, target, progress)
                at = _next(at, response.headers.get("Location"))
        except (OSError, http.client.HTTPException, UnicodeError) as exc:
            raise _refused(f"{shown(at)} could not be fetched: {exc or type(exc).__name__}.") from exc
    raise _refused(f"{shown(uri)} leads on and on: more than {HOPS} redirects.")


def allowed(address: Address, *, allow_local: bool) -> bool:
    """Whether this host may be led to this address."""
    inner = _inner(address)
    if inner is not None:
        return allowed(inner, allow_local=allow_local)
    if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        return False
    local = address.is_loopback or address.is_link_local or str(address) in _METADATA
    return allow_local or not local


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _next(at: str, location: str | None) -> str:
    if not location:
        raise _refused(f"{shown(at)} redirects to nowhere.")
    try:
        after = checked("The redirect", urljoin(at, location))
    except ValueError as exc:
        raise _refused(f"{shown(at)} redirects to what is no address: {exc}.") from exc
    except BadAddress as exc:
        raise _refused(f"{shown(at)} redirects where it may not: {exc.msg}") from exc
    if urlsplit(at).scheme == "https" and urlsplit(after).scheme != "https":
        raise _refused(f"{shown(at)} redirects from HTTPS to {shown(after)}, which anyone on the way could change.")
    return after


@contextmanager
def _answer(uri: str, *, allow_local: bool) -> Iterator[http.client.HTTPResponse]:
    parts = urlsplit(uri)
    host, port = str(parts.hostname), _port(parts)
    link = http.client.HTTPConnection(host, port, timeout=STALLED)
    with closing(link):
        link.sock = _connected(host, port, allow_local=allow_local)
        if parts.scheme == "https":
            link.sock = ssl.create_default_context().wrap_socket(link.sock, server_hostname=host)
        path = quote(f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}", safe=_AS_IT_IS)
        headers = {"Accept-Encoding": "identity", "User-Agent": "agentless.cloud", "Host": _host_header(parts)}
        link.request("GET", path, headers=headers)
        yield link.getresponse()


def _connected(host: str, port: int, *, allow_local: bool) -> socket.socket:
    """A connection to the first of the host's addresses that answers, if none of them is out of bounds."""
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for text in found:
        if not allowed(ipaddress.ip_address(text.partition("%")[0]), allow_local=allow_local):
            raise _refused(
                f"{host} is {text}: the image host itself, its own link or a metadata service. "
                "Where that is meant, say allow_local_uri: true."
            )
    last: OSError | None = None
    for text in found:
        try:
            return socket.create_connection((text, port), timeout=STALLED)
        except OSError as exc:
            last = exc
    raise last or OSError(f"{host} has no address")


def _host_header(parts: SplitResult) -> str:
    host = str(parts.hostname)
    name = f"[{host}]" if ":" in host else host.encode("idna").decode()
    return f"{name}:{parts.port}" if parts.port else name


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _saved(uri: str, response: http.client.HTTPResponse, target: IO[bytes], progress: Progress) -> tuple[str, int]:
    if response.status != 200:
        raise _refused(f"{shown(uri)} answered {response.status} {response.reason}.")
    announced = response.length
    _room(uri, target, announced or 0)
    seen, size = hashlib.sha256(), 0
    while block := response.read1(_BLOCK):  # what is there, so that progress shows on a slow line
        size += len(block)
        seen.update(block)
        target.write(block)
        if size // _LOOK != (size - len(block)) // _LOOK:
            _room(uri, target, 0)
        progress(size, announced)
    if announced is not None and size != announced:
        raise _refused(f"{shown(uri)} was cut off: {size} of {announced} bytes came.")
    target.flush()
    return f"sha256:{seen.hexdigest()}", size


def _room(uri: str, target: IO[bytes], needed: int) -> None:
    free = os.fstatvfs(target.fileno())
    if free.f_bavail * free.f_frsize < needed + _KEEP_FREE:
        raise _refused(f"{shown(uri)} does not fit the store, where 1 GiB is left free.")


def _refused(msg: str) -> BackendError:
    return BackendError(msg, "ImageRefused")
