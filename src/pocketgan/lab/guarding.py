"""Who may ask the lab for what: hosts, origins, tokens, sizes, and what a page of it may do.

Any page that is open in the browser can send requests to a local port. So a request needs a host of the list (against
names that are bound to 127.0.0.1), a cookie that only this server's address sets, and, to change anything or to open a
socket, the server's own origin: Starlette itself accepts sockets from any.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE = ("GET", "HEAD")
MOST_BODY = 64 << 10  # bytes of a request
MOST_UPLOAD = 4 << 20  # of one that brings a picture
UPLOADS = ("/invert", "/target")  # what the paths of these end with
TOKEN = "token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; font-src 'self'; "
    "connect-src 'self' ws://{host}; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types svelte-trusted-html"
)
PAPER = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"  # of a report
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Keys:
    """Secrets of one server.

    Attributes
    ----------
    full, reading
        Tokens of addresses: with the second one can look only; None where there is none.
    """

    full: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    reading: str | None = None

    def rank(self, token: str) -> str | None:
        """``full`` or ``reading``; None for a token that is neither."""
        for rank, known in (("full", self.full), ("reading", self.reading)):
            if known is not None and hmac.compare_digest(token.encode(), known.encode()):
                return rank
        return None


class Guard:
    """Stands before the application, and refuses what must not reach it.

    Parameters
    ----------
    app
        The application. It finds the rank of who asks as ``scope["state"]["rank"]``.
    keys
        Of this server.
    hosts
        What the header `Host` may say, ports included.
    """

    def __init__(self, app: ASGIApp, keys: Keys, hosts: frozenset[str]) -> None:
        self.app, self.keys, self.hosts = app, keys, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._refused(scope, headers)
        if scope["type"] == "websocket":
            if refused is None:
                await self.app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": ""})  # before it is accepted: 403
            return
        host = headers.get("host", "")
        response = refused or self._let_in(scope)
        if response is not None:
            await response(scope, receive, _marked(send, host))
            return
        most = MOST_UPLOAD if scope["path"].endswith(UPLOADS) else MOST_BODY
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most or "transfer-encoding" in headers:
            too_long = PlainTextResponse(f"a request may have {most:,} bytes, told by content-length", 413)
            await too_long(scope, receive, _marked(send, host))
            return
        await self.app(scope, receive, _marked(send, host))

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        """The refusal of a request; None where there is nothing against it, or where it brings the token itself."""
        host = headers.get("host", "")
        if host not in self.hosts or len(headers.getlist("host")) != 1:
            return PlainTextResponse("this host is not one that the lab answers for; see --allow-host", 421)
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE
        if changes and headers.getlist("origin") != [f"http://{host}"]:
            return PlainTextResponse("only the lab's own page may ask for this", 403)
        rank = self.keys.rank(_cookie(headers, cookie_name(host)))
        scope.setdefault("state", {})["rank"] = rank
        if rank is None and not (scope["type"] == "http" and _given(scope)):
            return PlainTextResponse("open the address that pocketgan lab has printed: it has a token in it", 401)
        if rank == "reading" and scope["type"] == "http" and scope["method"] not in SAFE:
            return PlainTextResponse("this address is for looking: it changes nothing", 403)
        return None

    def _let_in(self, scope: Scope) -> Response | None:
        """Turn a token in the address into a cookie, and take it out of the address."""
        token = _given(scope)
        if token is None:
            return None
        if scope["method"] not in SAFE or self.keys.rank(token) is None:
            return PlainTextResponse("this token is another lab's; open the address that was printed last", 401)
        query = urlencode([pair for pair in _query(scope) if pair[0] != TOKEN])
        path = "/" + scope["path"].lstrip("/\\")  # two slashes would lead to another host
        response = RedirectResponse(path + (f"?{query}" if query else ""), 303)
        host = Headers(scope=scope)["host"]
        response.set_cookie(cookie_name(host), token, path="/", httponly=True, samesite="strict")
        return response


def cookie_name(host: str) -> str:
    """The cookie of a lab; cookies know no ports, so its name does."""
    return f"pocketgan-lab-{host.rpartition(':')[2]}"


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)


def _given(scope: Scope) -> str | None:
    return next((value for name, value in _query(scope) if name == TOKEN), None)


def _cookie(headers: Headers, name: str) -> str:
    try:
        cookies = SimpleCookie("; ".join(headers.getlist("cookie")))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""


def _marked(send: Send, host: str) -> Send:
    """Send with the headers that every answer has."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("content-security-policy", POLICY.format(host=host))
        await send(message)

    return marked
