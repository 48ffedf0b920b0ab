"""One dialect's HTTP application: finds the operation on the raw path, proves who asks, reads,
executes and writes, and turns whatever goes wrong into the dialect's own shape.
"""

import asyncio
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tapeline.api.dialect import Dialect, Operation, WireRequest, WireResponse
from tapeline.api.openapi import describe
from tapeline.api.rawpath import RouteTable
from tapeline.domain.account import Account, Credentials
from tapeline.domain.command import Command
from tapeline.domain.error import InternalFault, InvalidBody, TapelineError, TooLarge
from tapeline.domain.id import new_uuid
from tapeline.domain.port import Clock
from tapeline.telemetry import get_logger

MAX_BODY_BYTES = 1024 * 1024
MAX_QUERY_FIELDS = 1_000
BODY_TIMEOUT_S = 30.0
_log = get_logger(__name__)

OutcomeT = TypeVar("OutcomeT")


class Authority(Protocol):
    """What answers requests: `control.Control`."""

    async def execute(self, command: Command[OutcomeT]) -> OutcomeT: ...
    async def authenticate(self, credentials: Credentials) -> Account:
        """Raises Unauthenticated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every application of the HTTP side works with."""

    control: Authority
    clock: Clock
    report_fault: Callable[[str, BaseException], None]
    """Counts an unexpected exception as a bug of ours."""


class DialectApp:
    """Mounted at the dialect's prefix; `segments` in the scope are the decoded ones below it."""

    def __init__(self, dialect: Dialect, surroundings: Surroundings) -> None:
        self._dialect = dialect
        self._with = surroundings
        self._table: RouteTable[Operation] = RouteTable(dialect.operations)
        self.fastapi = FastAPI(
            title=f"tapeline: {dialect.title}",
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )
        self.fastapi.openapi = functools.cache(  # type: ignore[method-assign]
            functools.partial(describe, dialect)
        )
        # Which operation it is, is decided on the raw path; FastAPI's own routes have it decoded.
        self.fastapi.mount("", self._respond)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # FastAPI's patterns do not match a path with a line break: what counts are the segments.
        await self.fastapi({**scope, "path": "/"}, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._serve(Request(scope, receive))
        await response(scope, receive, send)

    async def _serve(self, http: Request) -> Response:
        segments: tuple[str, ...] = http.scope["tapeline.segments"]
        if segments == ("openapi.json",) and http.method == "GET":
            return _json(self.fastapi.openapi())
        found = self._table.find(http.method, segments)
        request = _describe_request(http, segments, self._with.clock)
        request = replace(request, params=found.params, allowed_methods=found.allowed)
        name = found.route.name if found.route else "unknown"
        try:
            if found.route is None:
                answer = self._dialect.render_unknown(request)
            else:
                answer = await self._run(found.route, request, http)
        except TapelineError as error:
            answer = self._dialect.render_error(error, request)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - a bug of ours is answered in the dialect's shape
            answer = self._fault(name, request, error)
        _log.info(
            "request_answered",
            dialect=self._dialect.name,
            operation=name,
            status=answer.status,
            request_id=request.request_id,
        )
        return _response(answer, request)

    async def _run(self, operation: Operation, request: WireRequest, http: Request) -> WireResponse:
        dialect = self._dialect
        account = await self._with.control.authenticate(dialect.credentials(request))
        dialect.check_account(request, account)
        request = replace(request, query=_read_query(http), body=await read_body(http))
        outcome: Any = await self._with.control.execute(operation.read(request, account))
        try:
            return operation.write(outcome, request, account)
        except Exception as error:
            if operation.method == "GET":
                raise
            # It has happened: a 5xx would make the vendor's SDK do it again.
            self._fault(operation.name, request, error)
            return _bare_success(operation)

    def _fault(self, name: str, request: WireRequest, error: Exception) -> WireResponse:
        where = f"{self._dialect.name} {name} {request.request_id}"
        self._with.report_fault(where, error)
        return self._dialect.render_error(InternalFault(request.request_id), request)


def _bare_success(operation: Operation) -> WireResponse:
    status = min((code for code in operation.responses if code < 300), default=200)  # noqa: PLR2004
    return WireResponse(status=status, body=b"" if status == 204 else b"{}")  # noqa: PLR2004


def _describe_request(http: Request, segments: tuple[str, ...], clock: Clock) -> WireRequest:
    return WireRequest(
        method=http.method,
        path="/" + "/".join(segments),
        segments=segments,
        params={},
        query=(),
        headers={key.lower(): value for key, value in http.headers.items()},
        body=b"",
        request_id=new_uuid(),
        now_ms=clock.now_ms(),
    )


def _read_query(http: Request) -> tuple[tuple[str, str], ...]:
    text = http.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError as error:
        raise InvalidBody(f"the query has more than {MAX_QUERY_FIELDS} fields") from error
    return tuple(pairs)


async def read_body(http: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """Raises TooLarge as soon as it is known, InvalidBody when it does not come."""
    declared = http.headers.get("content-length", "0")
    if declared.isdecimal() and (len(declared) > 12 or int(declared) > limit):  # noqa: PLR2004
        raise TooLarge(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in http.stream():
                body += chunk
                if len(body) > limit:
                    raise TooLarge(limit)
    except TimeoutError as error:
        raise InvalidBody(f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s") from error
    return bytes(body)


def _response(answer: WireResponse, request: WireRequest) -> Response:
    headers = {"X-Request-Id": request.request_id, **answer.headers}
    if answer.body:
        headers["Content-Type"] = answer.content_type
    return Response(content=answer.body, status_code=answer.status, headers=headers)


def _json(document: dict[str, Any]) -> Response:
    return Response(content=json.dumps(document), media_type="application/json")
