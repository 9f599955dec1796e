"""Errors as the service tells them: a status, and JSON with a kind and one line."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from mien.data.project import Conflict
from mien.errors import InputError, MienError

logger = logging.getLogger(__name__)


class NotFoundError(InputError):
    """What a request names is not there."""


def error_response(status: int, kind: str, message: str, **more: Any) -> JSONResponse:
    """An error in the form that predictions have it too: kind and one line."""
    return JSONResponse({"error": {"kind": kind, "message": " ".join(message.split())}, **more}, status)


def explain_errors(app: FastAPI) -> None:
    """Let the service answer every error in that form; a conflict carries the row as it is now."""

    @app.exception_handler(RequestValidationError)
    def explain_request(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
        return error_response(422, "input", f"{place}: {first['msg']}, got {str(first.get('input'))[:60]!r}")

    @app.exception_handler(HTTPException)
    def explain_status(request: Request, error: HTTPException) -> JSONResponse:
        return error_response(error.status_code, "input", f"{request.url.path[:200]}: {error.detail}")

    @app.exception_handler(NotFoundError)
    def explain_missing(request: Request, error: NotFoundError) -> JSONResponse:
        return error_response(404, error.kind, str(error))

    @app.exception_handler(Conflict)
    def explain_conflict(request: Request, error: Conflict) -> JSONResponse:
        return error_response(409, "conflict", str(error), row=dict(error.row))

    @app.exception_handler(MienError)
    def explain_error(request: Request, error: MienError) -> JSONResponse:
        return error_response(422, error.kind, str(error))

    @app.exception_handler(Exception)
    def explain_fault(request: Request, error: Exception) -> JSONResponse:  # the border of one request
        logger.error("a fault in %s", request.url.path, exc_info=error)
        return error_response(500, "fault", f"a fault in mien, not in your input ({type(error).__name__}); see its log")
