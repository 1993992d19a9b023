# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom a host believes that it is an image store: real certificates, shown by a real server."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.compute import images

CONTENT = b"an image"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_given: Any) -> None:
        pass


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def made(directory: Path, name: str, *, names: str, signer: str, dates: tuple[str, str] | None = None) -> None:
    """A key and a certificate; its own signer, if that has the same name."""
    key, pem = (str(directory / f"{name}.{end}") for end in ("key", "pem"))
    new = ["-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}"]
    if name == signer:
        openssl("req", "-x509", *new, "-days", "9", "-keyout", key, "-out", pem)
        return
    request, about, conf = (directory / f"{name}.{end}" for end in ("csr", "about", "conf"))
    openssl("req", *new, "-keyout", key, "-out", str(request))
    about.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
    (directory / "index").write_text("")
    conf.write_text(
        f"[ca]\ndefault_ca=here\n[here]\ndatabase={directory}/index\nnew_certs_dir={directory}\nrand_serial=yes\n"
        "default_md=sha256\npolicy=any\nunique_subject=no\n[any]\ncommonName=supplied\n"
    )
    lasts = ["-startdate", dates[0], "-enddate", dates[1]] if dates else ["-days", "2"]
    who = ["-cert", str(directory / f"{signer}.pem"), "-keyfile", str(directory / f"{signer}.key")]
    openssl(
        "ca",
        "-batch",
        "-notext",
        "-config",
        str(conf),
        *who,
        *lasts,
        "-extfile",
        str(about),
        "-in",
        str(request),
        "-out",
        pem,
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site's authority and another, and what they have certified."""
    directory = tmp_path_factory.mktemp("certificates")
    for name in ("site", "other"):
        made(directory, name, names="", signer=name)
    here = "IP:127.0.0.1,DNS:localhost"
    made(directory, "good", names=here, signer="site")
    made(directory, "stranger", names=here, signer="other")
    made(directory, "address", names="IP:127.0.0.2,DNS:localhost", signer="site")
    made(directory, "name", names="IP:127.0.0.1,DNS:store1", signer="site")
    made(directory, "expired", names=here, signer="site", dates=("20200101000000Z", "20200201000000Z"))
    made(directory, "early", names=here, signer="site", dates=("20900101000000Z", "20900201000000Z"))
    return directory


@contextmanager
def serving(directory: Path, shown: str | None) -> Iterator[int]:
    """A server that shows a certificate; without one it does not speak TLS."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if shown:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / f"{shown}.pem", directory / f"{shown}.key")
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield httpd.server_port
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def fetch(tmp_path: Path, host: str, port: int) -> str:
    url = f"https://{host}:{port}/sha256/{DIGEST}"
    image = {"checksum": f"sha256:{DIGEST}", "format": "raw", "url": url, "size": len(CONTENT)}
    return images.ensure(Context(state_dir=str(tmp_path)), image)[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_store_of_the_site(certificates: Path, tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "CA", str(certificates / "site.pem"))
    with serving(certificates, "good") as port:
        assert Path(fetch(tmp_path, host, port)).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("shown", "host", "why"),
    [
        ("stranger", "127.0.0.1", "certificate is refused by .*: unable to get local issuer certificate"),
        ("other", "127.0.0.1", "certificate is refused by .*: self.signed certificate"),
        ("address", "127.0.0.1", "certificate is refused by .*: IP address mismatch.*'127.0.0.1'"),
        ("name", "localhost", "certificate is refused by .*: Hostname mismatch.*'localhost'"),
        ("expired", "127.0.0.1", "certificate is refused by .*: certificate has expired"),
        ("early", "127.0.0.1", "certificate is refused by .*: certificate is not yet valid"),
        (None, "127.0.0.1", "does not speak TLS"),
    ],
)
def test_no_store_of_the_site(
    certificates: Path, tmp_path: Path, shown: str | None, host: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused by name, nothing stored."""
    monkeypatch.setattr(images, "CA", str(certificates / "site.pem"))
    with serving(certificates, shown) as port, pytest.raises(BackendError, match=why) as caught:
        fetch(tmp_path, host, port)
    assert caught.value.error == "BackendFailed"
    assert list(Path(tmp_path, "images").iterdir()) == []


def test_the_systems_trust_does_not_count(certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "CA", str(certificates / "site.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "other.pem"))
    with serving(certificates, "stranger") as port, pytest.raises(BackendError, match="refused by"):
        fetch(tmp_path, "127.0.0.1", port)


@pytest.mark.parametrize(("content", "why"), [(None, "ca.pem is missing"), ("nothing", "ca.pem cannot be read")])
def test_a_host_without_the_authority(
    certificates: Path, tmp_path: Path, content: str | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = tmp_path / "ca.pem"
    if content:
        ca.write_text(content)
    monkeypatch.setattr(images, "CA", str(ca))
    with serving(certificates, "good") as port, pytest.raises(BackendError, match=f"{why}.*agentless.cloud.site"):
        fetch(tmp_path, "127.0.0.1", port)
