"""The service: its pages, its rules and its errors. What it can do comes in as routers."""

from __future__ import annotations

import contextlib
import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

from mien import __version__
from mien.errors import InputError
from mien.serve.access import COOKIE, Access, Guard
from mien.serve.errors import error_response, explain_errors

STATIC = Path(__file__).parent / "static"
"""The built page: `make web` writes it from `web/`."""

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}


class Handover(BaseModel):
    """What a browser sends to be let in."""

    token: str


def create_app(*routers: APIRouter, access: Access) -> FastAPI:
    """The service with what these routers add, under these rules."""
    app = FastAPI(title="mien", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @app.get("/", include_in_schema=False)
    @app.get("/label", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.get("/api/session")
    def session(request: Request) -> dict[str, bool]:
        """Whether this browser is let in already."""
        return {"is_known": access.is_known(request.headers)}

    @app.post("/api/session")
    def open_session(handover: Handover, request: Request) -> Response:
        """Let a browser in that has the token: it gets a cookie, which scripts cannot read."""
        if not access.token or not access.is_token(handover.token):
            return error_response(401, "access", "token: expected the one that this service was started with")
        answer = Response(status_code=204)
        is_secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, access.cookie(), httponly=True, samesite="strict", secure=is_secure)
        return answer

    for router in routers:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Guard, access=access, headers=HEADERS)

    explain_errors(app)
    return app


def listen(host: str, port: int, *, is_fallback_allowed: bool = False) -> socket.socket:
    """A socket bound to an address; port 0 takes a free one, and so does a taken port when that is allowed.

    Raises `InputError` when the address cannot be had.
    """
    address = host.strip("[]")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
    except (OSError, OverflowError) as error:
        bound.close()
        if is_fallback_allowed and port:
            return listen(host, 0)
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{host}:{port}: expected an address and a free port ({reason}); choose another --port") from None
    return bound


def address_of(bound: socket.socket, path: str = "/") -> str:
    """What to type into a browser to reach a listening socket."""
    host, port = bound.getsockname()[:2]
    shown = "127.0.0.1" if host == "0.0.0.0" else "[::1]" if host == "::" else f"[{host}]" if ":" in host else host  # noqa: S104
    return f"http://{shown}:{port}{path}"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None], on_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready, self._on_end = on_ready, on_end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        # Here, since a signal that ended the server is raised again as soon as it is down.
        self._on_end()


def serve(
    app: FastAPI,
    bound: socket.socket,
    *,
    on_ready: Callable[[], None] = lambda: None,
    on_end: Callable[[], None] = lambda: None,
) -> None:
    """Run the service on a bound socket until it is told to stop (Ctrl-C, SIGTERM), finishing what it is answering.

    on_ready: called once, when it answers. on_end: called once, when it has answered all.
    """
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5)
    with closing(bound), contextlib.suppress(KeyboardInterrupt):
        _Server(config, on_ready, on_end).run(sockets=[bound])


def open_browser(address: str) -> None:
    """Show a page in the person's browser, without waiting for it."""
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
