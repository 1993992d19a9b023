# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images on the controller: fetched, looked at, put into the store, recorded.

``images`` is the flow; ``source`` says where the content comes from, ``fetch`` brings it over HTTP, ``inspect`` judges
it, ``store`` knows the image host.
"""
