"""The whole HTTP side: health, recordings' media, and each dialect at its prefix."""

import json
from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tapeline.api.dialect import Dialect
from tapeline.api.operations import DialectApp, Surroundings
from tapeline.api.rawpath import split_path
from tapeline.telemetry.metrics import CONTENT_TYPE

Metrics = Callable[[], Awaitable[bytes]]


class App:
    """Chooses by the first segments of the raw path; the longest prefix wins."""

    def __init__(
        self,
        mounts: Mapping[tuple[str, ...], ASGIApp],
        not_ready: Callable[[], str | None],
        metrics: Metrics | None,
    ) -> None:
        self._mounts = sorted(mounts.items(), key=lambda mount: -len(mount[0]))
        self._not_ready = not_ready
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is served here, not {scope['type']}")
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        segments = split_path(raw_path)
        if segments == ("metrics",) and self._metrics is not None:
            page = Response(await self._metrics(), media_type=CONTENT_TYPE)
            await page(scope, receive, send)
            return
        app, below = self._below_prefix(raw_path) if segments is None else self._find(segments)
        await app({**scope, "tapeline.segments": below}, receive, send)

    def _below_prefix(self, raw_path: bytes) -> tuple[ASGIApp, tuple[str, ...]]:
        """For what no path can be: whose prefix it has says in its own shape that it is nothing."""
        pieces = raw_path[1:].split(b"/")
        for prefix, app in self._mounts:
            if pieces[: len(prefix)] == [piece.encode() for piece in prefix]:
                return app, ()
        return _unknown(), ()

    def _find(self, segments: tuple[str, ...]) -> tuple[ASGIApp, tuple[str, ...]]:
        if segments == ("healthz",):
            return PlainTextResponse("ok\n"), ()
        if segments == ("readyz",):
            return self._readiness(), ()
        for prefix, app in self._mounts:
            if segments[: len(prefix)] == prefix:
                return app, segments[len(prefix) :]
        return _unknown(), ()

    def _readiness(self) -> Response:
        reason = self._not_ready()
        if reason is None:
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"not ready: {reason}\n", status_code=503)


def _unknown() -> Response:
    body = json.dumps({"error": "there is nothing at this address"})
    return Response(content=body, status_code=404, media_type="application/json")


def build_app(
    *,
    surroundings: Surroundings,
    dialects: Mapping[str, Dialect],
    media: ASGIApp,
    not_ready: Callable[[], str | None] = lambda: None,
    metrics: Metrics | None = None,
) -> App:
    """`media` serves what is below `/media`; `not_ready` says why calls cannot come in, or None;
    `metrics` makes the page at `/metrics`, which is not there without it.
    """
    mounts: dict[tuple[str, ...], ASGIApp] = {("media",): media}
    for dialect in dialects.values():
        prefix = split_path(dialect.prefix.encode()) or ()
        mounts[prefix] = DialectApp(dialect, surroundings)
    return App(mounts, not_ready, metrics)
