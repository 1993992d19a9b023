# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image fetched over HTTP by an image host, which may reach more than the one who names the address.

Every hop is looked at before it is connected to (see :mod:`addresses`), and the connection goes to the very address
that was looked at. No proxy is used, nothing is sent but the request, and only HTTP(S) is spoken. What comes has to
come at a pace, and has an end (see :mod:`pace`).
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import os
import socket
import ssl
import time
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Any, Callable, NamedTuple, Optional, cast
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.image import addresses, pace

if TYPE_CHECKING:
    from collections.abc import Iterator

HOPS = 5
LONGEST_URI = 8192  # characters
_CONNECT = 15.0  # seconds for each address of a host
_SAID = 200  # characters of what others say that messages show
_BLOCK = 1 << 20
_LOOK = 256 * _BLOCK  # how often the room left is looked at
_KEEP_FREE = 1 << 30  # bytes of the file system that a download leaves alone
_REDIRECTS = (301, 302, 303, 307, 308)
_AS_IT_IS = "/?%:@!$&'()*+,;=~-._[]"

Progress = Callable[[int, Optional[int]], None]  # bytes that came, and how many there are if that was said


class _Terms(NamedTuple):
    rules: addresses.Rules
    allow_local: bool
    progress: Progress
    ends: float  # when all must have come, on the monotonic clock


class BadAddress(BackendError):
    """What is no address that may be asked for."""

    def __init__(self, msg: str) -> None:
        super().__init__(msg, "ImageRefused")


def checked(option: str, uri: str) -> str:
    """An address that may be fetched from, as far as its text tells.

    :raises BadAddress: it is not HTTP(S), has no host, carries a password, or is too long.
    """
    if len(uri) > LONGEST_URI:
        raise BadAddress(f"{option} has {len(uri)} characters, more than {LONGEST_URI}.")
    try:
        parts = urlsplit(uri)
        _port(parts)
    except ValueError as exc:
        raise BadAddress(f"{option} is not an address: {_short(exc)}.") from exc
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
    return _short(f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}")


def download(
    uri: str, target: IO[bytes], *, rules: addresses.Rules, allow_local: bool, progress: Progress
) -> tuple[str, int]:
    """Write what is at the address into an open file; its checksum and size.

    :param rules: where it may lead, and how large it may be.
    :param allow_local: whether the task asks for what is near this host.
    :param progress: called for every block; what it raises ends the download.
    :raises BackendError: a hop leads where it may not, the answer is not the file, it is cut off, or takes too long.
    """
    at, terms = uri, _Terms(rules, allow_local, progress, time.monotonic() + pace.LONGEST)
    for _hop in range(HOPS + 1):
        try:
            with _answer(at, terms) as answer:
                if answer[1].status not in _REDIRECTS:
                    return _saved(at, answer, target, terms)
                at = _next(at, answer[1].headers.get("Location"))
        except http.client.HTTPException as exc:  # its text may be what some other service says of itself
            raise _refused(f"{shown(at)} could not be fetched: no answer in HTTP ({type(exc).__name__}).") from exc
        except (OSError, UnicodeError) as exc:
            raise _refused(f"{shown(at)} could not be fetched: {_short(exc) or type(exc).__name__}.") from exc
    raise _refused(f"{shown(uri)} leads on and on: more than {HOPS} redirects.")


def _next(at: str, location: str | None) -> str:
    if not location:
        raise _refused(f"{shown(at)} redirects to nowhere.")
    try:
        after = checked("The redirect", urljoin(at, location))
    except ValueError as exc:
        raise _refused(f"{shown(at)} redirects to what is no address: {_short(exc)}.") from exc
    except BadAddress as exc:
        raise _refused(f"{shown(at)} redirects where it may not: {exc.msg}") from exc
    if urlsplit(at).scheme == "https" and urlsplit(after).scheme != "https":
        raise _refused(f"{shown(at)} redirects from HTTPS to {shown(after)}, which anyone on the way could change.")
    return after


@contextmanager
def _answer(uri: str, terms: _Terms) -> Iterator[tuple[pace.Line, http.client.HTTPResponse]]:
    parts = urlsplit(uri)
    host, port = str(parts.hostname), _port(parts)
    link = http.client.HTTPConnection(host, port)
    link.auto_open = 0  # it never looks for a way of its own
    sock = _connected(host, port, terms)
    try:
        if parts.scheme == "https":
            sock.settimeout(pace.STALLED)
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        line = pace.Line(sock, terms.ends)
        link.sock = cast(Any, line)
        path = quote(f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}", safe=_AS_IT_IS)
        headers = {"Accept-Encoding": "identity", "User-Agent": "agentless.cloud", "Host": _host_header(parts)}
        link.request("GET", path, headers=headers)
        with closing(link.getresponse()) as response:
            yield line, response
    finally:
        sock.close()


def _connected(host: str, port: int, terms: _Terms) -> socket.socket:
    """A connection to the first of the host's addresses that answers, if none of them is out of bounds.

    The name is looked up once, and what was judged is what is connected to: a second answer would not be judged.
    """
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for text in found:
        address = ipaddress.ip_address(text.partition("%")[0])
        why = addresses.refusal(address, terms.rules, allow_local=terms.allow_local)
        if why is not None:  # what the name of an inner host stands for is not a tenant's to know
            raise _refused(
                f"{_short(host)} leads to an address that the image store does not fetch from: it is {why}. "
                "Else fetch the file yourself and give filename."
            )
    last: OSError | None = None
    until = time.monotonic() + pace.STALLED
    for text in found:
        left = until - time.monotonic()
        if left <= 0:
            break
        try:
            return socket.create_connection((text, port), timeout=min(left, _CONNECT))
        except OSError as exc:
            last = exc
    raise last or OSError(f"{host} has no address")


def _host_header(parts: SplitResult) -> str:
    host = str(parts.hostname)
    name = f"[{host}]" if ":" in host else host.encode("idna").decode()
    return f"{name}:{parts.port}" if parts.port else name


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _saved(
    uri: str, answer: tuple[pace.Line, http.client.HTTPResponse], target: IO[bytes], terms: _Terms
) -> tuple[str, int]:
    line, response = answer
    if response.status != 200:
        raise _refused(f"{shown(uri)} answered {response.status} {_short(response.reason)}.")
    announced = response.length
    _small(uri, announced or 0, terms)
    _room(uri, target, announced or 0)
    seen, size = hashlib.sha256(), 0
    while block := response.read1(_BLOCK):  # what is there, so that progress shows on a slow line
        size += len(block)
        _small(uri, size, terms)
        line.brought(len(block))
        seen.update(block)
        target.write(block)
        if size // _LOOK != (size - len(block)) // _LOOK:
            _room(uri, target, 0)
        terms.progress(size, announced)
    if announced is not None and size != announced:
        raise _refused(f"{shown(uri)} was cut off: {size} of {announced} bytes came.")
    target.flush()
    return f"sha256:{seen.hexdigest()}", size


def _small(uri: str, size: int, terms: _Terms) -> None:
    if size > terms.rules.most:
        raise _refused(
            f"{shown(uri)} is larger than the store's operator allows: {terms.rules.most / addresses.GIB:g} GiB "
            "(image_store_import_max_gib)."
        )


def _room(uri: str, target: IO[bytes], needed: int) -> None:
    free = os.fstatvfs(target.fileno())
    if free.f_bavail * free.f_frsize < needed + _KEEP_FREE:
        raise _refused(f"{shown(uri)} does not fit the store, where 1 GiB is left free.")


def _short(said: object) -> str:
    """What somebody else says, as much of it as a message may carry."""
    text = "".join(each if each.isprintable() else "?" for each in str(said))
    return text if len(text) <= _SAID else f"{text[:_SAID]}..."


def _refused(msg: str) -> BackendError:
    return BackendError(msg, "ImageRefused")
