# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cached image for as long as somebody reads it: fetched if it is not there, and kept from being forgotten."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.compute import cache, images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context


@contextlib.contextmanager
def borrowed(ctx: Context, image: dict[str, Any]) -> Iterator[str]:
    """The path of an image, which stays there until the block ends. What was fetched makes the cache forget others.

    :raises BackendError: it cannot be fetched, or is not what was said.
    """
    downloaded = False
    with contextlib.ExitStack() as stack:
        while True:
            path, fetched = images.ensure(ctx, image)
            downloaded = downloaded or fetched
            if ctx.check_mode:
                break
            try:
                stack.enter_context(cache.held(path))
                break
            except FileNotFoundError:
                continue  # the cache has just forgotten it: fetch it again
        yield path
        if downloaded and not ctx.check_mode:
            cache.prune(ctx, cache.limits())
