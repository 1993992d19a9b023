# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetching over HTTP, from a server on loopback that answers as it is told."""

from __future__ import annotations

import hashlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.image import addresses, pace, web
from tests.unit.image.web import Respond, Server, gives, leads_to, sends, serving

CONTENT = b"some bytes" * 1000
# The operator allows the server of these tests, and no other address of loopback.
HERE = addresses.Rules(allowed=(ip_network("127.0.0.1/32"),))
NOTHING = addresses.Rules()


def fetched(uri: str, rules: addresses.Rules = HERE, *, allow_local: bool = True) -> bytes:
    told: list[tuple[int, int | None]] = []
    with tempfile.TemporaryFile() as target:
        checksum, size = web.download(
            uri, target, rules=rules, allow_local=allow_local, progress=lambda done, total: told.append((done, total))
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


@pytest.mark.parametrize(
    ("rules", "asked", "fine"),
    [(NOTHING, False, False), (NOTHING, True, False), (HERE, False, False), (HERE, True, True)],
)
def test_loopback_needs_the_operator_and_the_task(
    server: Server, rules: addresses.Rules, asked: bool, fine: bool
) -> None:
    server.answers["/"] = gives(CONTENT)
    port = server.base.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::127.0.0.1]"):
        if fine and ":" not in host:
            assert fetched(f"http://{host}:{port}/", rules, allow_local=asked) == CONTENT
        else:
            with pytest.raises(BackendError, match=r"allow_local_uri|image_store_import_allowed"):
                fetched(f"http://{host}:{port}/", rules, allow_local=asked)
    assert bool(server.asked) is fine


def test_what_is_denied_is_denied(server: Server) -> None:
    server.answers["/"] = gives(CONTENT)
    with pytest.raises(BackendError, match="image_store_import_denied"):
        fetched(f"{server.base}/", HERE._replace(denied=(ip_network("127.0.0.0/8"),)))
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


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A name service of the test's own: what is said to the first who asks for a name, to the second, and so on."""
    told: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *more: Any, **options: Any) -> Any:
        if host not in told:
            return real(host, port, *more, **options)
        return [entry for text in told[host].pop(0).split() for entry in real(text, port, *more, **options)]

    monkeypatch.setattr(web.socket, "getaddrinfo", resolve)
    return told


@pytest.fixture
def hidden(server: Server) -> Iterator[Server]:
    """Another server with the same port, which nobody may be led to."""
    with serving(address="127.0.0.2", port=int(server.base.rpartition(":")[2])) as started:
        started.answers["/"] = gives(b"secret")
        yield started


def test_every_hop_is_looked_at(server: Server, hidden: Server, names: dict[str, list[str]]) -> None:
    names["inner.example"] = ["127.0.0.2"]
    port = server.base.rpartition(":")[2]
    for target in (f"http://inner.example:{port}/", f"{hidden.base}/", f"//127.0.0.2:{port}/"):
        server.answers["/"] = leads_to(target)
        with pytest.raises(BackendError, match="the image store itself"):
            fetched(f"{server.base}/")
    assert (len(server.asked), hidden.asked) == (3, [])


def test_a_name_that_means_another_address_the_next_time(
    server: Server, hidden: Server, names: dict[str, list[str]]
) -> None:
    """What was judged is what is connected to; the next hop is judged anew."""
    base = f"http://images.example:{server.base.rpartition(':')[2]}"
    server.answers["/"] = gives(CONTENT)
    server.answers["/again"] = leads_to("/")
    names["images.example"] = ["127.0.0.1", "127.0.0.2"]
    assert fetched(f"{base}/") == CONTENT
    assert names["images.example"] == ["127.0.0.2"], "it is looked up once"
    names["images.example"] = ["127.0.0.1", "127.0.0.2"]
    with pytest.raises(BackendError, match="the image store itself"):
        fetched(f"{base}/again")
    assert hidden.asked == []


@pytest.mark.parametrize("meaning", ["127.0.0.2 127.0.0.1", "127.0.0.1 127.0.0.2", "127.0.0.1 10.0.0.1"])
def test_one_bad_address_of_a_name_is_enough(server: Server, names: dict[str, list[str]], meaning: str) -> None:
    server.answers["/"] = gives(CONTENT)
    names["images.example"] = [meaning]
    with pytest.raises(BackendError, match=r"images\.example leads to an address"):
        fetched(f"http://images.example:{server.base.rpartition(':')[2]}/")
    assert server.asked == []


def test_no_inner_address_is_told(names: dict[str, list[str]]) -> None:
    names["intranet.example"] = ["10.9.8.7"]
    with pytest.raises(BackendError, match=r"it is private.*filename") as caught:
        fetched("http://intranet.example/")
    assert "10.9.8.7" not in caught.value.msg


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


HEAD = b"HTTP/1.1 200 OK\r\n"
FILE = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
TOO_SLOW = "it is too slow"


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ((b"H",), TOO_SLOW),
        ((HEAD, b"X"), TOO_SLOW),
        ((HEAD, b"X: y\r\n"), TOO_SLOW),
        ((b"HTTP/1.1 100 Continue\r\n\r\n",), TOO_SLOW),
        ((HEAD + b"\r\n", b"x"), TOO_SLOW),
        ((HEAD + b"Content-Length: 1000000\r\n\r\n", b"x"), TOO_SLOW),
        ((FILE, b"1\r\nx\r\n"), TOO_SLOW),
        ((FILE, b"1;"), TOO_SLOW),
        ((FILE + b"0\r\n", b"X: y\r\n"), TOO_SLOW),
        ((b"",), TOO_SLOW),
        ((b"HTTP/1.1 100 Continue\r\n\r\n" * 10000,), "more than 1 MiB that are not the file"),
        ((FILE + b"0\r\n", b"X: y\r\n" * 10000), "more than 1 MiB that are not the file"),
    ],
)
def test_who_drips_is_left(
    server: Server, stop: threading.Event, monkeypatch: pytest.MonkeyPatch, pieces: tuple[bytes, ...], said: str
) -> None:
    """A byte always comes before a time-out of the socket would say that there is none."""
    monkeypatch.setattr(pace, "STALLED", 0.5 if said == TOO_SLOW else 30)
    monkeypatch.setattr(pace, "BESIDE", 1 << 20)
    server.answers["/"] = raw(sends(*pieces, stop=stop))
    began = time.monotonic()
    with pytest.raises(BackendError, match=said):
        fetched(f"{server.base}/")
    assert time.monotonic() - began < 10


def test_a_pace_is_good_enough_and_still_has_an_end(
    server: Server, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "STALLED", 0.5)
    monkeypatch.setattr(pace, "SLOWEST", 1000)
    monkeypatch.setattr(pace, "LONGEST", 2.0)
    server.answers["/"] = raw(sends(HEAD + b"\r\n", b"x" * 100, stop=stop))
    began = time.monotonic()
    with pytest.raises(BackendError, match="it takes longer than"):
        fetched(f"{server.base}/")
    assert 1.9 < time.monotonic() - began < 5


def test_all_hops_have_one_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(handler: Any) -> None:
        time.sleep(0.4)
        leads_to("/")(handler)

    monkeypatch.setattr(pace, "LONGEST", 1.0)
    server.answers["/"] = slowly
    with pytest.raises(BackendError, match="it takes longer than"):
        fetched(f"{server.base}/")
    assert len(server.asked) <= 3


@pytest.mark.parametrize(("head", "sent"), [(b"Content-Length: 1001\r\n", 1), (b"", 1001)])
def test_the_largest(server: Server, head: bytes, sent: int) -> None:
    """Refused before it comes where the server says how much it is, and else once too much has come."""
    most = HERE._replace(most=1000)
    server.answers["/"] = gives(b"x" * 1000)
    assert len(fetched(f"{server.base}/", most)) == 1000
    server.answers["/"] = raw(lambda handler: handler.wfile.write(HEAD + head + b"\r\n" + b"x" * sent))
    with pytest.raises(BackendError, match="image_store_import_max_gib"):
        fetched(f"{server.base}/", most)


@pytest.mark.parametrize("said", [b"SSH-2.0-canary\r\n", b"HTTP/1.1 500 " + b"canary" * 5000 + b"\x1b[31m\r\n\r\n"])
def test_what_another_service_says_is_not_repeated(server: Server, said: bytes) -> None:
    server.answers["/"] = raw(lambda handler: handler.wfile.write(said))
    with pytest.raises(BackendError) as caught:
        fetched(f"{server.base}/")
    assert len(caught.value.msg) < 400
    assert "\x1b" not in caught.value.msg
    assert "SSH" not in caught.value.msg


def test_an_address_that_is_too_long(server: Server) -> None:
    with pytest.raises(web.BadAddress, match="more than 8192"):
        web.checked("uri", "http://a/" + "x" * 8192)
    server.answers["/"] = leads_to("/" + "x" * 8192)
    with pytest.raises(BackendError, match="more than 8192"):
        fetched(f"{server.base}/")


def raw(respond: Callable[[Any], Any]) -> Respond:
    """Nothing but what is written, and the connection closed after it."""

    def alone(handler: Any) -> None:
        handler.close_connection = True
        respond(handler)

    return alone


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """Set at the end, or before a test would wait for ever."""
    event = threading.Event()
    timer = threading.Timer(20, event.set)
    timer.start()
    yield event
    timer.cancel()
    event.set()
