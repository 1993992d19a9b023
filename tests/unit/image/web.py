# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server on loopback that answers as it is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.unit.image.tls import Authority

Respond = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """Answers by path; counts who came."""

    answers: dict[str, Respond] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    base: str = ""


@contextmanager
def serving(authority: Authority | None = None, *, address: str = "127.0.0.1", port: int = 0) -> Iterator[Server]:
    """A server that speaks TLS where it has an authority to show."""
    about = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            about.asked.append(self.path)
            about.answers[self.path.partition("?")[0]](self)

        def log_message(self, *_given: Any) -> None:
            pass

    httpd = ThreadingHTTPServer((address, port), Handler)
    about.base = f"{'https' if authority else 'http'}://{address}:{httpd.server_port}"
    if authority is not None:
        authority.secure(httpd)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield about
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def gives(content: bytes, *, length: int | None = None, status: int = 200) -> Respond:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return respond


def half_of(content: bytes, rest: threading.Event) -> Respond:
    """Gives the first half at once, and the rest when it is told to."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2])
        rest.wait(30)
        with contextlib.suppress(ConnectionError):
            handler.wfile.write(content[len(content) // 2 :])

    return respond


def drips(stop: threading.Event) -> Respond:
    """Gives a little, again and again, until it is told to stop or nobody listens."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 30))
        handler.end_headers()
        with contextlib.suppress(ConnectionError):
            while not stop.wait(0.05):
                handler.wfile.write(b"x" * 100)

    return respond


def leads_to(location: str | None) -> Respond:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        if location is not None:
            handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return respond


def sends(*pieces: bytes, stop: threading.Event, every: float = 0.02) -> Respond:
    """Sends bytes as they are, the last piece again and again until it is told to stop or nobody listens."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        with contextlib.suppress(OSError):
            for piece in pieces:
                handler.wfile.write(piece)
            while not stop.wait(every):
                handler.wfile.write(pieces[-1])

    return respond
