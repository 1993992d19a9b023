# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a host reaches an image store: over HTTPS, certified by the site's own authority, and at a pace."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.image import pace

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def opened(url: str, ca: str) -> Iterator[tuple[http.client.HTTPResponse, pace.Line]]:
    """Open an HTTPS address of an image store: no proxy, no other scheme, and redirects only within the same host.

    The store has to keep up (see :mod:`pace`): one that has fallen would else hold the image, by a byte a minute, for
    as long as it likes, from all who wait for it on this host.

    :param ca: the file of the authority that alone counts.
    :raises BackendError, OSError: it cannot be opened, or is no store of the site.
    """
    if not url.startswith("https://"):
        raise BackendError(f"{url!r} is not an HTTPS address.", "ImageRefused")
    trust, ends = _trust(ca), time.monotonic() + pace.LONGEST
    lines: list[pace.Line] = []
    with contextlib.ExitStack() as sockets:

        class Paced(http.client.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                lines.append(pace.Line(sockets.enter_context(contextlib.closing(self.sock)), ends))
                self.sock = lines[-1]

        class Store(urllib.request.HTTPSHandler):
            def https_open(self, req: Any) -> Any:
                return self.do_open(cast("Any", Paced), req, context=trust)

        opener = urllib.request.OpenerDirector()
        for handler in (
            Store(context=trust),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _SameHost(),
        ):
            opener.add_handler(handler)
        with contextlib.closing(_answer(opener, url, ca)) as answer:
            try:
                yield answer, lines[-1]
            except http.client.HTTPException as exc:  # the next address may still have it
                raise BackendError(f"{url} could not be downloaded: its answer is not HTTP: {exc}.") from exc


class _SameHost(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        after = urllib.request.Request(newurl)
        if after.host != req.host or after.type != req.type:
            where = f"{after.type}://{after.host}"
            raise BackendError(f"{req.full_url} redirects to {where}: refused.", "ImageRefused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _answer(opener: urllib.request.OpenerDirector, url: str, ca: str) -> Any:
    try:
        return opener.open(url, timeout=pace.STALLED)
    except urllib.error.URLError as exc:
        if isinstance(exc.reason, ssl.SSLError):
            raise BackendError(f"{url} could not be opened: {_untrusted(exc.reason, ca)}") from exc
        raise
    except (http.client.HTTPException, ValueError) as exc:
        raise BackendError(f"{url} could not be opened: {exc}.") from exc


def _trust(ca: str) -> ssl.SSLContext:
    """Trust in the site's own authority and in no other, whatever the system trusts."""
    try:
        context = ssl.create_default_context(cafile=ca)
    except FileNotFoundError as exc:
        raise BackendError(f"{ca} is missing, by which image stores are known: run agentless.cloud.site.") from exc
    except (OSError, ssl.SSLError) as exc:
        raise BackendError(f"{ca} cannot be read ({exc}): run agentless.cloud.site.") from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _untrusted(exc: ssl.SSLError, ca: str) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is refused by {ca}: {exc.verify_message.rstrip('.')}. Run agentless.cloud.site."
    return f"it does not speak TLS as it should: {exc.reason or exc}. Run agentless.cloud.site."
