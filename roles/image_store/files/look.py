# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the image store serves: the certificate, and what it answers. Arguments: address, port, name, certificate or "".

Without a certificate to compare, it is verified by /etc/agentless/ca.pem and asked for what it must not give.
"""

import hashlib
import http.client
import socket
import ssl
import sys

CA = "/etc/agentless/ca.pem"
REQUESTS = (("PUT", "/sha256/" + "0" * 64, 403), ("GET", "/incoming/", 404), ("GET", "/sha256/", 404))


class Link(http.client.HTTPSConnection):
    """A connection to one address that wants the certificate of one name."""

    def connect(self):
        self.sock = context.wrap_socket(socket.create_connection((address, port), 20), server_hostname=name)


def digest(pem):
    """The digest of a certificate."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN") :])).hexdigest()


address, port, name, certificate = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
if certificate:
    with open(certificate, encoding="ascii") as stream:
        kept = digest(stream.read())
    sys.exit(digest(ssl.get_server_certificate((address, port))) != kept)
context = ssl.create_default_context(cafile=CA)
for method, path, status in REQUESTS:
    link = Link(name, port)
    link.request(method, path)
    answer = link.getresponse().status
    if answer != status and not (sys.argv[5:] == ["limited"] and answer == 403):
        sys.exit(f"{method} {path} is answered with {answer}, not {status}.")
    link.close()
plain = http.client.HTTPConnection(address, port, timeout=20)
plain.request("GET", "/sha256/" + "0" * 64)
if plain.getresponse().status != 400:
    sys.exit("The store answers without TLS.")
