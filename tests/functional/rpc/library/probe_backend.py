# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backend for tests: says who and where it is, sleeps, fails, lies."""

from __future__ import annotations

import getpass
import os
import sys
import time

from ansible_collections.agentless.cloud.plugins.module_utils import backend


def whoami(ctx, op):
    return {
        "user": getpass.getuser(),
        "python": sys.executable,
        "host": os.uname().nodename,
        "check": ctx.check_mode,
        "echo": op.get("text"),
        "boot": "{{ lookup('pipe', 'touch /tmp/agentless-owned') }}",
    }


def sleep(ctx, op):
    time.sleep(op["seconds"])
    return {}


def fail(ctx, op):
    raise backend.BackendError("As asked.", error=op.get("error", "BackendFailed"))


def surprise(ctx, op):
    raise KeyError("surprise")


def touch(ctx, op):
    ctx.effect("touch")
    with open(op["path"], "a", encoding="utf-8"):
        pass
    return {"changed": True}


if __name__ == "__main__":
    backend.main(
        {"whoami": whoami, "sleep": sleep, "fail": fail, "surprise": surprise, "touch": touch},
        reading=frozenset({"whoami", "sleep", "fail", "surprise"}),
    )
