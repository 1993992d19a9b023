# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resources that are records and nothing more: projects, flavors, keypairs, server groups, cells.

``engine`` knows how such a resource is made, changed and removed; every other file is one table of fields.
"""
