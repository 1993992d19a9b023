# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small parts that run on hosts: commands, console text, order of work, files."""

from __future__ import annotations

import ast
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.compute import batch, console, files, ports, probe, spawn

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
NAMESPACE = "https://agentless.cloud/xmlns/instance/1.0"
ID = "6f0d7c1e-52b0-4c8e-9d6b-0c6f2f9b7a10"


def qemu_img_calls(source: str) -> list[list[str]]:
    """The constant words of each argument list that holds 'qemu-img'."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.List, ast.Tuple)):
            words = [item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)]
            if "qemu-img" in words:
                found.append(words)
    return found


def test_qemu_img_is_always_told_the_format() -> None:
    """No call without -f, in the whole collection; and no mention of it outside an argument list."""
    calls = 0
    for path in PLUGINS.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for words in qemu_img_calls(source):
            calls += 1
            assert "-f" in words, f"{path}: {words}"
        if '"qemu-img"' in source:
            assert qemu_img_calls(source), f"{path} names qemu-img, but not in an argument list"
    assert calls


def test_the_check_above_can_fail() -> None:
    """A call without -f is seen."""
    assert qemu_img_calls('run([*LIMITS, "qemu-img", "info", path])') == [["qemu-img", "info"]]


def test_no_shell() -> None:
    """Nothing that runs on hosts starts a shell or a command by itself; that is the context's work."""
    for path in (PLUGINS / "module_utils" / "compute").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert "subprocess" not in source, path
        assert "os.system" not in source, path


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("a\r\nb\tc\n", "a\nb\tc\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]52;c;ZWNobw==\x1b\\x", "x"),
        ("\x1bc\x9bA\x7f\x00.", "A."),
        ("grün", "grün"),
    ],
)
def test_console_text(raw: str, plain: str) -> None:
    """What a guest writes cannot command the terminal of who reads it."""
    assert console.plain(raw) == plain


def test_console_log_of_a_long_life(tmp_path: Path) -> None:
    """The part that was moved aside comes first, and the limit counts from the end."""
    where = Path(files.directory(str(tmp_path), ID))
    where.mkdir(parents=True)
    (where / "console.log.0").write_text("old")
    (where / "console.log").write_text("new")
    ctx = Context(state_dir=str(tmp_path))
    assert console.console_log(ctx, {"id": ID})["log"] == "oldnew"
    assert console.console_log(ctx, {"id": ID, "max_bytes": 4})["log"] == "dnew"
    assert console.console_log(ctx, {"id": ID.replace("6", "7")})["log"] == ""


@pytest.mark.parametrize("bad", ["", "x", "../../etc", ID.upper(), "{" + ID + "}", ID + "\n", None, 7])
def test_only_a_uuid_makes_a_path(bad: Any) -> None:
    """In its one written form."""
    with pytest.raises(BackendError):
        files.directory("/var/lib/agentless", bad)


def test_one_at_a_time_on_an_instance(tmp_path: Path) -> None:
    """A second operation waits, and finds the directory gone when the first has removed it."""
    where = files.directory(str(tmp_path), ID)
    seen = []

    def second() -> None:
        with files.held(where) as there:
            seen.append(there)

    with files.held(where, create=True):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.1)
        assert seen == []
        files.remove(where)
    thread.join(5)
    assert seen == [False]
    assert list((tmp_path / "instances").iterdir()) == []


def test_order_within_an_instance() -> None:
    """Operations of one instance run in their order, those of different ones at the same time."""
    log: list[tuple[str, int]] = []
    gate = threading.Barrier(2, timeout=5)

    def one(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
        if op["n"] == 0:
            gate.wait()
        log.append((op["id"], op["n"]))
        return {"n": op["n"], "id": op["id"]}

    operations = [{"id": key, "n": n} for n in range(3) for key in ("a", "b")]
    assert batch.together(Context(), operations, one) == [{"n": op["n"], "id": op["id"]} for op in operations]
    for key in ("a", "b"):
        assert [n for found, n in log if found == key] == [0, 1, 2]


def test_probe_is_a_boot_sector() -> None:
    """One sector with the mark at its end, and an exit status that qemu gives for no other reason."""
    assert len(probe.SECTOR) == 512
    assert probe.SECTOR.endswith(b"\x55\xaa")
    assert probe.RAN == 85


@pytest.mark.parametrize(
    "text",
    [
        "<domain",
        "<domain/>",
        f"<domain><uuid>{ID}</uuid></domain>",
        f"<domain><uuid>{ID}</uuid><metadata><instance id='{ID}'/></metadata></domain>",
        f"<domain><uuid>{ID}</uuid><metadata><i:instance xmlns:i='{NAMESPACE}' id='x'/></metadata></domain>",
    ],
)
def test_xml_of_another_instance(tmp_path: Path, text: str) -> None:
    """Refused before anything is made."""
    with pytest.raises(BackendError):
        spawn.spawn(Context(state_dir=str(tmp_path)), {"op": "spawn", "id": ID, "xml": text})
    assert list(tmp_path.iterdir()) == []


def test_taps_of_ports() -> None:
    """Found in the XML by port, whatever they are called."""
    text = (
        "<domain><devices><interface><virtualport><parameters interfaceid='p1'/></virtualport><target dev='tapx'/>"
        "</interface><interface><target dev='other'/></interface></devices></domain>"
    )
    assert ports.taps(text, ["p1", "p2"]) == {"p1": "tapx"}


CONF = '#group = "root"\nuser = "x"\n'
# qemu.conf (None: no libvirt), groups of the system, the directory's mode and group
ENTERED: dict[str, tuple[str | None, dict[str, int], tuple[int, int]]] = {
    "Debian": (CONF, {"libvirt-qemu": 64055}, (0o710, 64055)),
    "Red Hat": (CONF, {"qemu": 107}, (0o710, 107)),
    "as qemu.conf says": (f'{CONF}group = "guests"\n', {"libvirt-qemu": 64055, "guests": 77}, (0o710, 77)),
    "as qemu.conf says, by number": (f'{CONF} group="+78"\n', {"qemu": 107}, (0o710, 78)),
    "nobody knows": (CONF, {}, (0o711, 0)),
    "no libvirt": (None, {}, (0o700, 0)),
}


@pytest.mark.parametrize("case", ENTERED)
def test_who_enters_the_cache_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """QEMU and root, also where an earlier release has let everybody through; asked again nothing is done."""
    conf, known, (mode, group) = ENTERED[case]
    if conf is not None:
        (tmp_path / "libvirt").mkdir()
        (tmp_path / "libvirt" / "qemu.conf").write_text(conf)
    given: list[int] = []
    monkeypatch.setattr(files, "QEMU_CONF", str(tmp_path / "libvirt" / "qemu.conf"))
    monkeypatch.setattr(files.os, "geteuid", lambda: 0)
    monkeypatch.setattr(files.os, "chown", lambda _path, _user, to: given.append(to))
    monkeypatch.setattr(files.grp, "getgrnam", lambda name: SimpleNamespace(gr_gid=known[name]))
    path = tmp_path / "images"
    path.mkdir(mode=0o755)
    path.chmod(0o755)
    files.entered_by_qemu(str(path))
    assert (path.stat().st_mode & 0o777, given) == (mode, [group])
    made = tmp_path / "state" / "images"
    files.entered_by_qemu(str(made))
    assert made.stat().st_mode & 0o007 == mode & 0o007
