"""Recordings' bytes: `GET|HEAD /media/Account/{auth_id}/Recording/{recording_id}.{mp3|wav}`, and of
its tracks `…/Recording/{recording_id}/tracks/{number}.{mp3|wav}`.

Who may read is the account's choice: a signed link that has not expired, API credentials of any
dialect, or anybody. Another account's recording and one that is not final are not found.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tapeline.api.dialect import Dialect, WireRequest
from tapeline.api.operations import Surroundings
from tapeline.api.ranges import Slice, Unsatisfiable, choose_slice, names_etag
from tapeline.domain.account import Account, LinkPolicy
from tapeline.domain.command import GetAccount, GetRecording
from tapeline.domain.error import NotFound, TapelineError, Unauthenticated
from tapeline.domain.id import AccountId, EpochMs, RecordingId, new_uuid
from tapeline.domain.recording import Recording, RecordingFormat, RecordingState, Track
from tapeline.storage import LinkState
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

CHUNK_BYTES = 256 * 1024
_MOST_DIGITS = 6
CONTENT_TYPES = {RecordingFormat.MP3: "audio/mpeg", RecordingFormat.WAV: "audio/wav"}


CheckLink = Callable[[str, str, str, EpochMs], LinkState]
"""Path, `expires`, `signature`, now: what the link is worth; expired only when it was genuine."""


class RecordingBytes(Protocol):
    """Finished recordings, by their storage key."""

    async def read(self, storage_key: str, *, offset: int, length: int) -> bytes:
        """Fewer bytes only at the end. Raises FileNotFoundError, OSError."""


class Denied(Exception):
    """`status` 401 or 403, and why."""

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        super().__init__(detail)


class Missing(Exception):
    """There is no such recording for who asks, or not yet."""


class MediaApp:
    """Mounted at `/media`."""

    def __init__(
        self,
        *,
        surroundings: Surroundings,
        dialects: Mapping[str, Dialect],
        files: RecordingBytes,
        check_link: CheckLink,
    ) -> None:
        self._with = surroundings
        self._dialects = dialects
        self._files = files
        self._check_link = check_link

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = Request(scope, receive)
        try:
            response = await self._serve(http, scope["tapeline.segments"])
        except Missing:
            response = PlainTextResponse("no such recording, or it is not final yet\n", 404)
        except Denied as denied:
            response = PlainTextResponse(f"{denied}\n", denied.status)
            if denied.status == 401:  # noqa: PLR2004
                response.headers["WWW-Authenticate"] = 'Basic realm="recordings"'
        except TapelineError as error:
            response = PlainTextResponse(f"{error}\n", 503)
        except OSError as error:
            _log.warning("recording_not_read", path=scope["path"], reason=str(error))
            response = PlainTextResponse("the recording cannot be read now\n", 503)
        except Exception as error:  # noqa: BLE001 - a bug of ours
            self._with.report_fault("media", error)
            response = PlainTextResponse("internal error\n", 500)
        await response(scope, receive, send)

    async def _serve(self, http: Request, segments: tuple[str, ...]) -> Response:
        account_id, recording_id, number, suffix = _parse(segments)
        if http.method not in {"GET", "HEAD"}:
            return Response(status_code=405, headers={"Allow": "GET, HEAD"})
        await self._check_reader(http, segments, account_id)
        try:
            view = await self._with.control.execute(
                GetRecording(account_id=account_id, recording_id=recording_id)
            )
        except NotFound:
            raise Missing from None
        recording = view.recording
        if recording.state is not RecordingState.COMPLETED or recording.format.value != suffix:
            raise Missing
        if number is None:
            return await self._file(http, _File.of(recording))
        for each in view.tracks:
            if each.track.number == number:
                return await self._file(http, _File.of_track(recording, each.track))
        raise Missing

    async def _check_reader(
        self, http: Request, segments: tuple[str, ...], account_id: AccountId
    ) -> None:
        """Raises Denied or Missing. Credentials open the account's recordings always."""
        if await self._has_credentials_of(http, segments, account_id):
            return
        try:
            owner = await self._with.control.execute(GetAccount(account_id=account_id))
        except NotFound:
            raise Missing from None
        policy = owner.settings.link_policy
        if policy is LinkPolicy.PUBLIC:
            return
        if policy is LinkPolicy.AUTH:
            raise Denied(401, "this account's recordings need API credentials")
        self._check_signature(http)

    def _check_signature(self, http: Request) -> None:
        query = parse_qs(http.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        expires, signature = query.get("expires", [""])[0], query.get("signature", [""])[0]
        if not signature:
            raise Denied(401, "the link needs its signature, or API credentials")
        now_ms = self._with.clock.now_ms()
        state = self._check_link(http.scope["path"], expires, signature, now_ms)
        if state is LinkState.EXPIRED:
            raise Denied(403, "the link has expired: get a fresh one from the API")
        if state is LinkState.FORGED:
            raise Denied(403, "the link's signature is wrong: it was not made for this address")

    async def _has_credentials_of(
        self, http: Request, segments: tuple[str, ...], account_id: AccountId
    ) -> bool:
        account = await self._authenticated(http, segments)
        if account is not None and account.id != account_id:
            raise Missing
        return account is not None

    async def _authenticated(self, http: Request, segments: tuple[str, ...]) -> Account | None:
        """The account of the first dialect whose credentials these are."""
        request = WireRequest(
            method=http.method,
            path=http.scope["path"],
            segments=segments,
            params={},
            query=(),
            headers={key.lower(): value for key, value in http.headers.items()},
            body=b"",
            request_id=new_uuid(),
            now_ms=self._with.clock.now_ms(),
        )
        for dialect in self._dialects.values():
            try:
                credentials = dialect.credentials(request)
                return await self._with.control.authenticate(credentials)
            except Unauthenticated:
                continue
        return None

    async def _file(self, http: Request, file: "_File") -> Response:
        etag = f'"{file.sha256}"' if file.sha256 else None
        headers = _headers(file, etag)
        if etag and names_etag(http.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        wanted = http.headers.get("range")
        if wanted and http.headers.get("if-range", etag) != etag:
            wanted = None
        try:
            part = choose_slice(wanted, file.byte_count)
        except Unsatisfiable:
            headers["Content-Range"] = f"bytes */{file.byte_count}"
            return PlainTextResponse("no such bytes\n", 416, headers=headers)
        headers["Content-Type"] = CONTENT_TYPES[file.format]
        headers["Content-Length"] = str(part.length)
        if part.is_part:
            last = part.offset + part.length - 1
            headers["Content-Range"] = f"bytes {part.offset}-{last}/{file.byte_count}"
        status = 206 if part.is_part else 200
        if http.method == "HEAD":
            return Response(status_code=status, headers=headers)
        body = await self._first_chunk(file, part)
        return StreamingResponse(body, status_code=status, headers=headers)

    async def _first_chunk(self, file: "_File", part: Slice) -> AsyncIterator[bytes]:
        """Reads ahead of the status line, so that a file that has gone is a 404."""
        size = min(part.length, CHUNK_BYTES)
        try:
            first = await self._files.read(file.storage_key, offset=part.offset, length=size)
        except FileNotFoundError:
            raise Missing from None
        return self._chunks(file, part, first)

    async def _chunks(self, file: "_File", part: Slice, first: bytes) -> AsyncIterator[bytes]:
        yield first
        offset, end = part.offset + len(first), part.offset + part.length
        while offset < end:
            size = min(end - offset, CHUNK_BYTES)
            chunk = await self._files.read(file.storage_key, offset=offset, length=size)
            if not chunk:
                raise EOFError(f"{file.name} is shorter than its {file.byte_count} bytes")
            yield chunk
            offset += len(chunk)
            await asyncio.sleep(0)


def _parse(segments: tuple[str, ...]) -> tuple[AccountId, RecordingId, int | None, str]:
    """The number is a track's."""
    match segments:
        case ("Account", account_id, "Recording", file):
            name, _, suffix = file.rpartition(".")
            return AccountId(account_id), RecordingId(name), None, suffix
        case ("Account", account_id, "Recording", recording_id, "tracks", file):
            name, _, suffix = file.rpartition(".")
            if name.isascii() and name.isdecimal() and len(name) <= _MOST_DIGITS:
                return AccountId(account_id), RecordingId(recording_id), int(name), suffix
    raise Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    name: str
    format: RecordingFormat
    storage_key: str
    byte_count: int
    sha256: str | None

    @classmethod
    def of(cls, recording: Recording) -> "_File":
        return cls(
            name=recording.id,
            format=recording.format,
            storage_key=recording.storage_key,
            byte_count=recording.byte_count,
            sha256=recording.sha256,
        )

    @classmethod
    def of_track(cls, recording: Recording, track: Track) -> "_File":
        return cls(
            name=f"{recording.id}-{track.number}",
            format=recording.format,
            storage_key=track.storage_key,
            byte_count=track.byte_count,
            sha256=track.sha256,
        )


def _headers(file: _File, etag: str | None) -> dict[str, str]:
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-transform",
        "Content-Disposition": f'inline; filename="{file.name}.{file.format.value}"',
        "X-Content-Type-Options": "nosniff",
    }
    if etag:
        headers["ETag"] = etag
    return headers
