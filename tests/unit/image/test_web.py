# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetching over HTTP, from a server on loopback that answers as it is told."""

from __future__ import annotations

import hashlib
import ipaddress
import tempfile
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.image import web
from tests.unit.image.web import Respond, Server, gives, leads_to

CONTENT = b"some bytes" * 1000


def fetched(uri: str, *, allow_local: bool = True) -> bytes:
    told: list[tuple[int, int | None]] = []
    with tempfile.TemporaryFile() as target:
        checksum, size = web.download(
            uri, target, allow_local=allow_local, progress=lambda done, total: told.append((done, total))
        )
        target.seek(0)
        content = target.read()
    assert checksum == "sha256:" + hashlib.sha256(content).hexdigest()
    assert size == len(content)
    assert told[-1] == (size, size)
    return content


def test_a_file(server: Server) -> None:
    server.answers["/a b/ü"] = server.answers["/a%20b/%C3%BC"] = gives(CONTENT)
    assert fetched(f"{server.base}/a%20b/ü?x=1&y=%2F") == CONTENT
    assert server.asked == ["/a%20b/%C3%BC?x=1&y=%2F"]


def test_five_redirects_and_no_more(server: Server) -> None:
    for number in range(6):
        server.answers[f"/{number}"] = leads_to(f"/{number + 1}" if number % 2 else f"{server.base}/{number + 1}")
    server.answers["/6"] = gives(CONTENT)
    assert fetched(f"{server.base}/1") == CONTENT
    with pytest.raises(BackendError, match="more than 5 redirects"):
        fetched(f"{server.base}/0")


def test_loopback_is_refused_unless_allowed(server: Server) -> None:
    server.answers["/"] = gives(CONTENT)
    port = server.base.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"):
        with pytest.raises(BackendError, match="allow_local_uri"):
            fetched(f"http://{host}:{port}/", allow_local=False)
    assert server.asked == []


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/shadow",
        "ftp://example.org/x",
        "gopher://127.0.0.1/",
        "http://user:secret@example.org/",
        "//",
        "http://[::1",
        "http://example.org:99999/",
        "http://exa mple.org/",
        None,
    ],
)
def test_where_a_redirect_may_not_lead(server: Server, location: str | None) -> None:
    server.answers["/"] = leads_to(location)
    with pytest.raises(BackendError, match="redirects") as caught:
        fetched(f"{server.base}/")
    assert "secret" not in caught.value.msg


def test_every_hop_is_looked_at(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first hop is a public name; what it leads to is not."""
    server.answers["/"] = leads_to("http://metadata.example/latest")
    real = web.socket.getaddrinfo
    port = int(server.base.rpartition(":")[2])
    names = {"images.example": "192.0.2.1", "metadata.example": "169.254.169.254"}

    def resolve(host: str, given: int, *more: Any, **options: Any) -> Any:
        return real(names.get(host, host), given, *more, **options)

    connect = web.socket.create_connection
    monkeypatch.setattr(web.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(web.socket, "create_connection", lambda address, timeout: connect(("127.0.0.1", port), timeout))
    with pytest.raises(BackendError, match=r"metadata\.example is 169\.254\.169\.254"):
        fetched("http://images.example/", allow_local=False)
    assert server.asked == ["/"]


def test_no_way_back_from_https() -> None:
    with pytest.raises(BackendError, match="from HTTPS"):
        web._next("https://example.org/a", "http://example.org/a")
    assert web._next("http://example.org/a", "https://example.org/b") == "https://example.org/b"


@pytest.mark.parametrize(
    "respond", [gives(CONTENT, length=len(CONTENT) + 1), gives(b"no", status=404), gives(b"", status=206)]
)
def test_what_is_not_the_file(server: Server, respond: Respond) -> None:
    server.answers["/"] = respond
    with pytest.raises(BackendError, match=r"cut off|answered"):
        fetched(f"{server.base}/?token=canary")


def test_messages_carry_no_query(server: Server) -> None:
    server.answers["/"] = gives(b"", status=403)
    with pytest.raises(BackendError) as caught:
        fetched(f"{server.base}/?token=canary")
    assert "canary" not in caught.value.msg
    with pytest.raises(BackendError, match="could not be fetched") as caught:
        fetched("http://127.0.0.1:9/?token=canary")
    assert "canary" not in caught.value.msg


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "x",
        "/etc/passwd",
        "file:///x",
        "http://",
        "http:///x",
        "http://a:b@c/",
        "http://a@c/",
        "http://a/b\nc",
        "http://a/ b",
        "http://a:x/",
        "http://a:70000/",
        "HTTP//a",
    ],
)
def test_what_is_no_address(uri: str) -> None:
    with pytest.raises(web.BadAddress) as caught:
        web.checked("uri", uri)
    assert ":b@" not in caught.value.msg


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("93.184.216.34", False),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("2001:db8::1", False),
        ("fd00::1", False),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("169.254.169.254", True),
        ("169.254.0.1", True),
        ("::1", True),
        ("fe80::1", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("::ffff:169.254.169.254", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("2002:7f00:1::", True),
    ],
)
def test_which_addresses_are_local(address: str, local: bool) -> None:
    assert web.allowed(ipaddress.ip_address(address), allow_local=False) is not local
    assert web.allowed(ipaddress.ip_address(address), allow_local=True)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0"])
def test_which_are_never_allowed(address: str) -> None:
    assert not web.allowed(ipaddress.ip_address(address), allow_local=True)
