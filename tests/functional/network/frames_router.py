# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends router advertisements from a namespace of a test host, or says who sent some. Runs there.

``frames_router.py send DEVICE MAC`` or ``frames_router.py listen DEVICE SECONDS``.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")


def advertisement(mac: bytes) -> bytes:
    """A frame in which the sender offers itself as default router, with a correct checksum."""
    source = bytes.fromhex("fe80000000000000") + bytes([mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]])
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    covered = source + ALL_NODES + struct.pack("!II", len(body), 58) + body
    total = sum(struct.unpack(f"!{len(covered) // 2}H", covered))
    total = (total >> 16) + (total & 0xFFFF)
    body = body[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), 58, 255)
    return bytes.fromhex("333300000001") + mac + b"\x86\xdd" + header + source + ALL_NODES + body


def listen(wire: socket.socket, seconds: float) -> None:
    """Print the MAC addresses of those who advertise."""
    wire.settimeout(0.2)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            frame = wire.recv(2000)
        except OSError:
            continue
        if frame[20] == 58 and frame[54] == 134:
            print(frame[6:12].hex(":"))


def main() -> None:
    """Do what the arguments say."""
    verb, device, what = sys.argv[1:]
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86DD))
    wire.bind((device, 0))
    if verb == "listen":
        listen(wire, float(what))
        return
    for _turn in range(3):
        wire.send(advertisement(bytes.fromhex(what.replace(":", ""))))
        time.sleep(0.3)


main()
