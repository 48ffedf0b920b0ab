"""A live node and everything that a test meets it with: an account, its requests, a telephone, a
web server of the customer's.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from tapeline.api.localnode import LocalNode
from tapeline.domain.command import (
    AddNumber,
    CreateAccount,
    CreateApplication,
    GetRecording,
    ListConferences,
)
from tapeline.domain.id import AccountId, RecordingId
from tapeline.domain.recording import Recording
from tapeline.testing import Call, NodeAccount, Receiver, ServedNode, Softphone, Source
from tapeline.testing.tones import Silence

DIALECT = "vobiz"
PATIENCE_S = 10.0
SILENT = Silence()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """One account's requests below its own path; paths are sent as they are written."""

    client: aiohttp.ClientSession
    http_url: str
    account: NodeAccount

    async def __call__(self, method: str, path: str, **more: Any) -> Reply:
        return await self.at(method, f"/api/v1/Account/{self.account.auth_id}/{path}", **more)

    async def at(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> Reply:
        """Any path of the node, with the account's credentials unless `headers` are given."""
        own = {
            "X-Auth-ID": self.account.auth_id,
            "X-Auth-Token": self.account.auth_token,
            **({"Content-Type": "application/json"} if "data" in more else {}),
        }
        return await fetch(
            self.client,
            self.http_url + path,
            method=method,
            headers=own if headers is None else headers,
            **more,
        )


async def fetch(
    client: aiohttp.ClientSession, url: str, *, method: str = "GET", **more: Any
) -> Reply:
    async with client.request(method, URL(url, encoded=True), **more) as response:
        return Reply(
            status=response.status,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=await response.read(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    node: ServedNode
    account: NodeAccount
    client: aiohttp.ClientSession
    rest: Rest
    phone: Softphone
    receiver: Receiver
    local: LocalNode

    async def another(self, name: str) -> "Site":
        """The same, seen by a new account."""
        made = await self.local.execute(CreateAccount(name=name))
        account = NodeAccount(
            auth_id=made.account.id, auth_token=made.auth_token, api_key=made.api_key
        )
        return replace(self, account=account, rest=replace(self.rest, account=account))

    async def sit(
        self, room: str, *, caller: str = "ann", play: Source | None = SILENT, number: str = "room-"
    ) -> Call:
        """A call that is in the room of that name when this returns."""
        call = await self.phone.call(self.node.sip_uri(number + room), play=play, caller=caller)
        await eventually(lambda: self._is_in(room, caller), f"{caller} in {room}")
        return call

    async def _is_in(self, room: str, caller: str) -> bool:
        views = await self.local.execute(ListConferences())
        return any(
            each.call.caller == caller
            for view in views
            if view.conference.name == room
            for each in view.participants
        )

    async def start(self, room: str, **body: Any) -> dict[str, Any]:
        """Starts a recording; the answer's fields."""
        reply = await self.rest("POST", f"Conference/{room}/Record/", json=body)
        assert reply.status == 200, reply.body
        started: dict[str, Any] = reply.json
        return started

    async def stop(self, room: str) -> None:
        reply = await self.rest("DELETE", f"Conference/{room}/Record/")
        assert (reply.status, reply.body) == (204, b"")

    async def recording(self, recording_id: str) -> Recording:
        command = GetRecording(
            account_id=AccountId(self.account.auth_id), recording_id=RecordingId(recording_id)
        )
        return (await self.local.execute(command)).recording

    async def application(self, number: str, **fields: Any) -> None:
        """A number that is answered as `fields` of CreateApplication say."""
        command = CreateApplication(
            account_id=AccountId(self.account.auth_id), dialect=DIALECT, name=number, **fields
        )
        made = await self.local.execute(command)
        await self.local.execute(AddNumber(pattern=number, application_id=made.id))

    async def fetch(self, url: str, **more: Any) -> Reply:
        """A GET without credentials: what somebody with only the link gets."""
        return await fetch(self.client, url, **more)


@asynccontextmanager
async def open_site(folder: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[Site]:
    """At the end the node stops cleanly and has met no bug of its own."""
    node = ServedNode(folder / "data", {"default_dialect": DIALECT, **(settings or {})})
    async with (
        Receiver() as receiver,
        Softphone("test") as phone,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as client,
    ):
        await node.start()
        try:
            account = node.first_account()
            local = LocalNode(node.data_dir)
            yield Site(
                node=node,
                account=account,
                client=client,
                rest=Rest(client=client, http_url=node.http_url, account=account),
                phone=phone,
                receiver=receiver,
                local=local,
            )
            # While the node can still answer: those that a killed one left would wait in vain.
            await asyncio.gather(*(call.hang_up() for call in phone.calls))
            await check_no_bugs(node)
        finally:
            status = await node.stop()
    assert status == 0
    assert node.faults() == []


async def check_no_bugs(node: ServedNode) -> None:
    """Of a running node: no unexpected exception, no caught panic, no lost event."""
    stats = await LocalNode(node.data_dir).stats()
    counted = {name: stats[name] for name in ("bugs", "caught_panics", "events_dropped")}
    assert counted == dict.fromkeys(counted, 0), node.faults()


async def eventually(is_so: Callable[[], Any], what: str, *, within_s: float = PATIENCE_S) -> None:
    """Waits for something in another process. Raises TimeoutError with its name."""
    try:
        async with asyncio.timeout(within_s):
            while not await is_so():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise TimeoutError(f"it did not come to that: {what}") from None
