# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that has fallen: its Python says something else than the module that it ran."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from .cloud import Cloud

PYTHON = "/usr/bin/python3"

# Stands where the host's Python was, and becomes it; what a module says is changed on its way out.
LIAR = """#!{real}
import json, subprocess, sys
done = subprocess.run(["{real}", *sys.argv[1:]], stdout=subprocess.PIPE)
out = done.stdout
with open("/root/answers", "a") as log:
    print(out[:200], file=log)
try:
    said, lie = json.loads(out), json.load(open("/root/lie.json"))
    said.setdefault("ansible_facts", {{}}).update(lie.get("facts", {{}}))
    for result in said.get("results", ()):
        if lie.get("instead") and "protocol" in result:
            for key in set(result) - {{"ok", "changed"}}:
                del result[key]
            result.update(lie["instead"])
    out = json.dumps(said).encode()
except (ValueError, AttributeError):
    pass
sys.stdout.buffer.write(out)
sys.stdout.flush()
sys.exit(done.returncode)
"""


@contextlib.contextmanager
def lying(cloud: Cloud, host: str, **lie: Any) -> Iterator[None]:
    """Have a host lie, and be well again afterwards.

    :param lie: ``facts``, which it adds to every answer, and ``instead``: what it says of a volume that it exports.
    """
    real = cloud.host(host, f"readlink -f {PYTHON}").strip()
    cloud.host(host, f"cat > /root/lie.json <<'EOF'\n{json.dumps(lie)}\nEOF\nrm -f /root/answers")
    cloud.host(host, f"cat > {PYTHON}.new <<'EOF'\n{LIAR.format(real=real)}\nEOF\nchmod 755 {PYTHON}.new")
    cloud.host(host, f"mv {PYTHON}.new {PYTHON}")
    try:
        yield
    finally:
        cloud.host(host, f"ln -sf {real} {PYTHON}; rm -f /root/lie.json /root/answers")


def answers(cloud: Cloud, host: str) -> int:
    """How often its Python has run since it lies."""
    return int(cloud.host(host, "cat /root/answers 2>/dev/null | wc -l"))
