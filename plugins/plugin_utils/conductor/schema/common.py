# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tables of both schemas share: constraint names, record columns, rules for names.

Constraints are named by one convention, because an error of the database is recognised by the constraint it names.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa

NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}

# One for the cloud database, whose tables are in cloud.py, network.py and volume.py, and one for each cell's.
cloud_metadata = sa.MetaData(naming_convention=NAMING)
cell_metadata = sa.MetaData(naming_convention=NAMING)

# A name is a label, any text; the bound keeps indexes and messages sane. Control characters are the front's affair.
NAME_CHECK = "length(name) BETWEEN 1 AND 255"


def stamps() -> list[sa.Column[Any]]:
    """When the row was made and last changed (ISO 8601 UTC text), and how often: generation 1 is the first."""
    return [
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False, server_default="1"),
    ]


def record() -> list[sa.Column[Any]]:
    """The columns of every main table: a UUID and the stamps."""
    return [sa.Column("id", sa.String(36), primary_key=True), *stamps()]


def document(name: str) -> sa.Column[Any]:
    """A column that carries a JSON document; NULL is None, never the JSON text ``null``."""
    return sa.Column(name, sa.JSON(none_as_null=True))


def reference(name: str, target: str, *, nullable: bool = False, cascade: bool = False) -> sa.Column[Any]:
    """A UUID column that points to another table; ``cascade``: this row is a part of that one and goes with it."""
    key = sa.ForeignKey(target, ondelete="CASCADE" if cascade else None)
    return sa.Column(name, sa.String(36), key, nullable=nullable)


def flag(name: str, *, default: bool) -> sa.Column[Any]:
    """A boolean column that is never NULL."""
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.true() if default else sa.false())


def text(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    """A text column of any length."""
    return sa.Column(name, sa.Text, nullable=nullable)


def number(name: str, *, default: int | None = None, nullable: bool = False) -> sa.Column[Any]:
    """A 64-bit integer column."""
    return sa.Column(name, sa.BigInteger, nullable=nullable, server_default=None if default is None else str(default))
