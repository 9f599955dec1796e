"""Who may talk to the service: this machine's own browser, or whoever has the token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mien.errors import InputError
from mien.serve.errors import error_response

COOKIE = "mien_session"
MAX_BODY_BYTES = 1_000_000
LEAST_TOKEN = 16
"""Letters that a token has at least."""

_OPEN_PATHS = frozenset(("/", "/label", "/healthz", "/api/session"))
"""What anybody may load: the empty page, and where the token is handed over."""
_OPEN_FOLDER = "/static/"
_READING = frozenset(("GET", "HEAD", "OPTIONS"))
_LOCAL_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Refusal:
    """Why a request is not served."""

    status: int
    message: str


@dataclass(frozen=True)
class Access:
    """The rules of one running service.

    host: the address it listens on. token: what every request must prove to know; empty for none.

    Raises `InputError` for an address that other machines reach when there is no token, and for a token that is too short.
    """

    host: str = "127.0.0.1"
    token: str = ""

    def __post_init__(self) -> None:
        if self.token and (len(self.token) < LEAST_TOKEN or not self.token.isascii() or not self.token.isprintable()):
            raise InputError(f"token: expected at least {LEAST_TOKEN} plain letters or digits, got {len(self.token)}")
        if not self.token and not is_loopback(self.host):
            raise InputError(
                f"host {self.host}: expected an address of this machine alone, such as 127.0.0.1; "
                "to let other machines in, set a token: --token, or MIEN_TOKEN in the environment"
            )

    def is_token(self, given: str) -> bool:
        """Whether a text is the token, compared in constant time."""
        return hmac.compare_digest(_digest(given), _digest(self.token))

    def cookie(self) -> str:
        """What a browser that has shown the token keeps instead of it."""
        return hmac.new(self.token.encode(), b"mien browser session", hashlib.sha256).hexdigest()

    def is_known(self, headers: Mapping[str, str]) -> bool:
        """Whether a request proves that it knows the token: as ``Authorization: Bearer``, or by the cookie given for it."""
        if not self.token:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return True
        try:
            kept = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return kept is not None and hmac.compare_digest(_digest(kept.value), _digest(self.cookie()))

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """Why this request is not served; None when it is."""
        host = headers.get("host", "")
        # A page elsewhere can point a name of its own at this machine; the name in the request gives it away.
        if not self.token and _host_name(host) not in (*_LOCAL_NAMES, self.host):
            return Refusal(421, f"host: expected a name of this machine, got {host[:60]!r}; open http://127.0.0.1")
        origin = headers.get("origin")
        if method not in _READING and origin is not None and urlsplit(origin).netloc != host:
            return Refusal(403, f"origin: expected this page, got {origin[:60]!r}; other sites may not write here")
        if method not in _READING and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return Refusal(403, "origin: expected this page, got another site; other sites may not write here")
        if path not in _OPEN_PATHS and not path.startswith(_OPEN_FOLDER) and not self.is_known(headers):
            return Refusal(401, "token: expected the token that this service was started with; open the page with it")
        return _body_refusal(method, headers)


def _body_refusal(method: str, headers: Mapping[str, str]) -> Refusal | None:
    if "transfer-encoding" in headers:
        return Refusal(411, "body: expected its length beforehand (Content-Length), got a stream; send it whole")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:12]) > MAX_BODY_BYTES:
        return Refusal(413, f"body: expected at most {MAX_BODY_BYTES / 1e6:g} MB, got {length[:12]} bytes; send less")
    return None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


class Guard:
    """The first thing that a request meets: asks `Access`, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, access: Access, headers: Mapping[str, str]) -> None:
        self._app = app
        self._access = access
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # A web socket writes, so its origin is checked as that of a write.
        method = scope.get("method", "SOCKET")
        refusal = self._access.refusal(method, scope["path"], Headers(scope=scope))
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": refusal.message[:120]})
            return

        async def send_with_headers(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))  # type: ignore[call-overload]
                names = {name for name, _ in given}
                message["headers"] = [*given, *(pair for pair in self._headers if pair[0] not in names)]
            await send(message)

        app = self._app if refusal is None else error_response(refusal.status, "access", refusal.message)
        await app(scope, receive, send_with_headers)  # type: ignore[arg-type]
