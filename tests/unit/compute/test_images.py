# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image cache: checked, downloaded once, and clean after every failure."""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.compute import disks, images
from ansible_collections.agentless.cloud.plugins.module_utils.image import pace
from ansible_collections.agentless.cloud.plugins.module_utils.image import store as stored
from tests.unit.image import tls
from tests.unit.image.web import gives, sends, serving

CONTENT = os.urandom(3 << 20)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Store:
    """An image host that counts, and that can be told to misbehave."""

    def __init__(self, authority: tls.Authority) -> None:
        self.served = 0
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/plain":
                    self.send_response(302)
                    self.send_header("Location", f"http://127.0.0.1:{store.server.server_port}/image")
                    self.end_headers()
                    return
                if self.path.startswith("/to/"):
                    self.send_response(302)
                    self.send_header("Location", "https://" + self.path[4:])
                    self.end_headers()
                    return
                store.served += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(CONTENT)))
                self.end_headers()
                self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path == "/half" else CONTENT)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        authority.secure(self.server)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def image(self, path: str = "/image", **values: Any) -> dict[str, Any]:
        """An image of this store, as operations carry it."""
        url = f"https://127.0.0.1:{self.server.server_port}{path}"
        return {"checksum": f"sha256:{DIGEST}", "format": "raw", "url": url, "size": len(CONTENT), **values}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tls.Authority:
    """What certifies the store of these tests."""
    return tls.authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def store(authority: tls.Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store for one test."""
    monkeypatch.setattr(images, "CA", str(authority.ca))
    made = Store(authority)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    """A host with nothing on it."""
    return Context(state_dir=str(tmp_path))


def cached(ctx: Context) -> list[str]:
    """What is in the cache, unfinished downloads included."""
    where = Path(ctx.state_dir, "images")
    return sorted(path.name for path in where.iterdir()) if where.exists() else []


@pytest.mark.parametrize("bad", ["https://127.0.0.1:9/", "/half", "/to/192.0.2.1:9/", "/plain"])
def test_the_next_address_is_tried(ctx: Context, store: Store, bad: str) -> None:
    good = store.image()["url"]
    first = bad if bad.startswith("https") else store.image(bad)["url"]
    path, _downloaded = images.ensure(ctx, store.image(url=first, mirrors=[good]))
    assert Path(path).read_bytes() == CONTENT, "nothing is left of what the first address gave"
    assert cached(ctx) == [DIGEST]


def test_no_address_has_it(ctx: Context, store: Store) -> None:
    urls = ["https://127.0.0.1:9/a", "https://127.0.0.1:9/b"]
    with pytest.raises(BackendError, match=r"9/a could not.*9/b could not"):
        images.ensure(ctx, store.image(url=urls[0], mirrors=urls[1:]))
    assert cached(ctx) == []


def test_downloaded_once_by_many(ctx: Context, store: Store) -> None:
    """Ten at the same time: one request, one file, which nobody can write."""
    with ThreadPoolExecutor(10) as pool:
        done = list(pool.map(lambda _n: images.ensure(ctx, store.image()), range(10)))
    assert store.served == 1
    assert sorted(downloaded for _path, downloaded in done) == [False] * 9 + [True]
    assert cached(ctx) == [DIGEST]
    assert Path(done[0][0]).read_bytes() == CONTENT
    assert Path(done[0][0]).stat().st_mode & 0o777 == 0o444


def test_leftover_of_a_killed_download(ctx: Context, store: Store) -> None:
    """The next download starts it over."""
    draft = Path(ctx.state_dir, "images", f"{DIGEST}.part")
    draft.parent.mkdir()
    draft.write_bytes(b"rubbish" * len(CONTENT))
    images.ensure(ctx, store.image())
    assert cached(ctx) == [DIGEST]


def other(store: Store, host: str) -> str:
    """A path that redirects to another host."""
    return f"/to/{host}:{store.server.server_port}/image"


@pytest.mark.parametrize(
    ("broken", "error", "message"),
    [
        (lambda store: store.image(checksum="sha256:" + "0" * 64), "ImageRefused", "nothing was stored"),
        (lambda store: store.image(checksum="sha256:../../etc/passwd"), "ImageRefused", "not a checksum"),
        (lambda store: store.image(checksum=None), "ImageRefused", "not a checksum"),
        (lambda store: store.image(size=1000), "ImageRefused", "longer than"),
        (lambda store: store.image("/half", size=None), "ImageRefused|BackendFailed", "SHA-256|could not"),
        (lambda store: store.image(other(store, "localhost")), "ImageRefused", "redirects to"),
        (lambda store: store.image(url="file:///etc/passwd"), "ImageRefused", "not an HTTPS address"),
        (lambda store: store.image(url=store.image()["url"].replace("https", "http")), "ImageRefused", "not an HTTPS"),
        (lambda store: store.image("/plain"), "ImageRefused", "redirects to http://127"),
        (lambda store: store.image(url="https://127.0.0.1:9/"), "BackendFailed", "could not be"),
        (lambda store: store.image(size=1 << 60), "BackendFailed", "has .* left"),
    ],
)
def test_refused(ctx: Context, store: Store, broken: Callable[[Store], Any], error: str, message: str) -> None:
    """Whatever is wrong, nothing stays behind."""
    with pytest.raises(BackendError, match=message) as caught:
        images.ensure(ctx, broken(store))
    assert caught.value.error in error.split("|")
    assert cached(ctx) == []


def test_redirect_within_the_host(ctx: Context, store: Store) -> None:
    """Followed, since the address that was named still answers."""
    images.ensure(ctx, store.image(other(store, "127.0.0.1")))
    assert cached(ctx) == [DIGEST]


HEAD = b"HTTP/1.1 200 OK\r\n"
WHOLE = HEAD + b"Content-Length: " + str(len(CONTENT)).encode() + b"\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
TOO_SLOW = "it is too slow"


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """Ends a server that would go on for ever."""
    ended = threading.Event()
    yield ended
    ended.set()


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ((b"H",), TOO_SLOW),
        ((HEAD, b"X: y\r\n"), TOO_SLOW),
        ((b"HTTP/1.1 100 Continue\r\n\r\n",), TOO_SLOW),
        ((WHOLE, b"x"), TOO_SLOW),
        ((WHOLE + CONTENT[: 1 << 20], b"x"), TOO_SLOW),
        ((CHUNKED, b"1\r\nx\r\n"), TOO_SLOW),
        ((CHUNKED, b"1;"), TOO_SLOW),
        ((b"",), TOO_SLOW),
        ((CHUNKED + b"0\r\n", b"X: y\r\n" * 10000), "more than 1 MiB that are not the file"),
    ],
)
def test_a_store_that_drips_is_left(
    ctx: Context,
    authority: tls.Authority,
    stop: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    pieces: tuple[bytes, ...],
    said: str,
) -> None:
    """A byte always comes before a time-out of the socket would say that there is none; the next store is asked."""
    monkeypatch.setattr(images, "CA", str(authority.ca))
    monkeypatch.setattr(pace, "STALLED", 0.5 if said == TOO_SLOW else 30)
    monkeypatch.setattr(pace, "BESIDE", 1 << 20)

    def raw(handler: BaseHTTPRequestHandler) -> None:
        sends(*pieces, stop=stop)(handler)
        handler.close_connection = True

    began = time.monotonic()
    with serving(authority) as server:
        server.answers.update({"/bad": raw, "/good": gives(CONTENT)})
        image = {"checksum": f"sha256:{DIGEST}", "format": "raw", "size": len(CONTENT)}
        with pytest.raises(BackendError, match=f"/bad could not be downloaded: .*{said}"):
            images.ensure(ctx, {**image, "url": f"{server.base}/bad"})
        assert cached(ctx) == []
        urls = {"url": f"{server.base}/bad", "mirrors": [f"{server.base}/good"]}
        path, _downloaded = images.ensure(ctx, {**image, **urls})
        assert Path(path).read_bytes() == CONTENT
        about = {"id": "7a3d5c1e-52b0-4c8e-9d6b-0c6f2f9b7a10", **image, "url": f"{server.base}/bad"}
        with pytest.raises(BackendError, match=said):
            stored.fetch(ctx, about)
        stop.set()
    assert time.monotonic() - began < 10


def test_a_pace_is_good_enough_and_still_has_an_end(
    ctx: Context, authority: tls.Authority, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "CA", str(authority.ca))
    monkeypatch.setattr(pace, "STALLED", 0.5)
    monkeypatch.setattr(pace, "SLOWEST", 1000)
    monkeypatch.setattr(pace, "LONGEST", 2.0)
    began = time.monotonic()
    with serving(authority) as server:
        server.answers["/"] = sends(WHOLE, b"x" * 100, stop=stop)
        with pytest.raises(BackendError, match="it takes longer than"):
            images.ensure(ctx, {"checksum": f"sha256:{DIGEST}", "format": "raw", "url": f"{server.base}/"})
        stop.set()
    assert 1.9 < time.monotonic() - began < 5


@pytest.mark.parametrize("broken", [CHUNKED + b"5\r\nxx", CHUNKED + b"zz\r\n", b"HTTP/9 what\r\n\r\n", b"\r\n"])
def test_what_is_not_http(
    ctx: Context, authority: tls.Authority, monkeypatch: pytest.MonkeyPatch, broken: bytes
) -> None:
    """It is an error of that address, so that the next one is tried."""
    monkeypatch.setattr(images, "CA", str(authority.ca))

    def raw(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(broken)
        handler.close_connection = True

    with serving(authority) as server:
        server.answers.update({"/bad": raw, "/good": gives(CONTENT)})
        image = {"checksum": f"sha256:{DIGEST}", "format": "raw", "size": len(CONTENT), "url": f"{server.base}/bad"}
        with pytest.raises(BackendError, match="/bad could not be"):
            images.ensure(ctx, image)
        images.ensure(ctx, {**image, "mirrors": [f"{server.base}/good"]})
    assert cached(ctx) == [DIGEST]


def test_disk_full(ctx: Context, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clear error, and the space is given back."""

    def full(handle: int, block: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(images, "_write", full)
    with pytest.raises(BackendError, match="No space left"):
        images.ensure(ctx, store.image())
    assert cached(ctx) == []


def test_check_mode_downloads_nothing(ctx: Context, store: Store) -> None:
    """It says that it would."""
    ctx.check_mode = True
    assert images.prefetch(ctx, {"image": store.image()})["changed"] is True
    assert (cached(ctx), store.served) == ([], 0)


def qcow2(
    path: Path, *, backing: int = 0, incompatible: int = 0, size: int = 1 << 30, magic: bytes = b"QFI\xfb"
) -> None:
    """A qcow2 header."""
    head = struct.pack(">4sIQIIQ", magic, 3, backing, 0, 16, size).ljust(72, b"\0")
    path.write_bytes((head + struct.pack(">Q", incompatible)).ljust(104, b"\0"))


@pytest.mark.parametrize("bad", [{"backing": 4096}, {"incompatible": 4}, {"magic": b"KDMV"}])
def test_images_that_lead_elsewhere(tmp_path: Path, bad: dict[str, Any]) -> None:
    """A backing file, an external data file or another format is refused on the host, too."""
    path = tmp_path / "image"
    qcow2(path)
    assert images.virtual_size(str(path), "qcow2") == 1 << 30
    qcow2(path, **bad)
    with pytest.raises(BackendError) as caught:
        images.virtual_size(str(path), "qcow2")
    assert caught.value.error == "ImageRefused"


@pytest.mark.parametrize(
    ("disk", "message"),
    [
        ({"name": "../x", "format": "qcow2", "size": 1}, "plain file name"),
        ({"name": "/etc/passwd", "format": "qcow2", "size": 1}, "plain file name"),
        ({"name": "a.qcow2", "format": "vmdk", "size": 1}, "raw or qcow2"),
    ],
)
def test_disks_refused(ctx: Context, tmp_path: Path, disk: dict[str, Any], message: str) -> None:
    """Names stay in the directory, formats are the two that are known."""
    with pytest.raises(BackendError, match=message):
        disks.ensure(ctx, str(tmp_path), disk)


def test_image_larger_than_the_disk(ctx: Context, tmp_path: Path) -> None:
    """A guest never gets half an image."""
    (tmp_path / "images").mkdir()
    qcow2(tmp_path / "images" / DIGEST, size=3 << 30)
    image = {"checksum": f"sha256:{DIGEST}", "format": "qcow2", "url": "http://x/"}
    with pytest.raises(BackendError, match="a disk of 3 GiB, and this one has 2"):
        disks.ensure(ctx, str(tmp_path), {"name": "disk.qcow2", "format": "qcow2", "size": 2, "image": image})
