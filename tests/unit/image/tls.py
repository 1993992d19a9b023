# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An authority of the tests' own and a certificate for 127.0.0.1, for servers that stand for image stores."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from functools import cache
from http.server import HTTPServer
from pathlib import Path

NAMES = "subjectAltName=IP:127.0.0.1"


@dataclass(frozen=True)
class Authority:
    """Files: what clients trust, and what servers show."""

    ca: Path
    certificate: Path
    key: Path

    def secure(self, httpd: HTTPServer) -> None:
        """Have a server speak TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)


@cache
def authority(directory: Path) -> Authority:
    """Made once in a directory."""
    directory.mkdir(exist_ok=True)
    ca, key, certificate = directory / "ca.pem", directory / "key.pem", directory / "certificate.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    signer = directory / "ca.key"
    made = ["-subj", "/CN=authority of a test", "-keyout", str(signer), "-out", str(ca)]
    _openssl("req", "-x509", *curve, *made)
    shown = ["-subj", "/CN=store", "-addext", NAMES, "-keyout", str(key), "-out", str(certificate)]
    _openssl("req", "-x509", "-CA", str(ca), "-CAkey", str(signer), *curve, *shown)
    return Authority(ca, certificate, key)


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)
