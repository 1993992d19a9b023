# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SQLAlchemy and netaddr, or a stand-in for the one that is missing.

The tables are built when their file is imported, and an action plugin imports them all. Where a library is missing,
that import must still succeed: documentation can then be shown, and a task that needs the database fails with one
sentence that says what to install (:func:`require`) instead of a traceback.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import DatabaseFailed

__all__ = ["netaddr", "require", "sa"]


class _Missing:
    """Answers every attribute, item and call with itself, so that table definitions can be read and mean nothing."""

    def __getattr__(self, name: str) -> _Missing:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: object) -> _Missing:
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> _Missing:
        return self


_missing: list[str] = []


def _load(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        _missing.append(package)
        return _Missing()


if TYPE_CHECKING:
    import netaddr
    import sqlalchemy as sa
else:
    sa = _load("sqlalchemy", "SQLAlchemy>=2.0")
    netaddr = _load("netaddr", "netaddr")


def require() -> None:
    """Make sure that the libraries are there.

    :raises DatabaseFailed: one is missing from the controller's Python, or SQLAlchemy is older than 2.0.
    """
    lacking = list(_missing)
    if not lacking and sa.__version__.startswith("1."):
        lacking.append(f"SQLAlchemy>=2.0 (found {sa.__version__})")
    if lacking:
        raise DatabaseFailed(
            f"The controller's Python lacks {', '.join(lacking)}. Install what the collection's requirements.txt names "
            "into the Python that runs ansible-playbook.",
            missing=lacking,
        )
