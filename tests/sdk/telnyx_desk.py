"""A customer of the Telnyx dialect: the vendor's own SDK against a live node, telephones, and a
web server that checks every webhook's signature as the SDK does.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import telnyx
from telnyx import Telnyx
from tests.e2e.site import PATIENCE_S, SILENT, Site, eventually, open_site

from tapeline.domain.command import AddNumber, GetAccount, GetRecording, RecordingView
from tapeline.domain.id import AccountId, ApplicationId, RecordingId
from tapeline.domain.recording import Recording
from tapeline.testing import Call, Received, Sound, Source, read_sound

HOOK, SPARE, OWN = "/hook", "/spare", "/own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """`client` is the SDK as it comes, with `base_url` set and nothing else."""

    site: Site
    client: Telnyx
    connection_id: str
    checked: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By path, what has come and been checked so far."""

    async def ask(self, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """The SDK blocks, and the telephones live in this loop."""
        return await asyncio.to_thread(function, *args, **more)

    async def fault_of(
        self, function: Callable[..., Any], *args: Any, **more: Any
    ) -> tuple[str, str | None]:
        """Code and pointer of the 422 that the SDK raises."""
        with pytest.raises(telnyx.UnprocessableEntityError) as raised:
            await self.ask(function, *args, **more)
        (fault,) = raised.value.body["errors"]  # type: ignore[index, call-overload]
        return fault["code"], fault.get("source", {}).get("pointer")

    async def ring(self, user: str, *, caller: str = "ann", play: Source | None = SILENT) -> Any:
        """Calls in; the call on its way and its `call.initiated`."""
        dialled = self.site.phone.dial(self.site.node.sip_uri(user), play=play, caller=caller)
        initiated = await self.event("call.initiated", lambda p: p["from"] == caller)
        return dialled, initiated

    async def talk(
        self, user: str, *, caller: str = "ann", play: Source | None = SILENT, **more: Any
    ) -> tuple[Call, str]:
        """A call that a command has answered, and its call_control_id."""
        dialled, initiated = await self.ring(user, caller=caller, play=play)
        call_control_id = initiated["payload"]["call_control_id"]
        await self.ask(self.client.calls.actions.answer, call_control_id, **more)
        return await dialled.answered(), call_control_id

    def events(self, path: str = HOOK) -> list[dict[str, Any]]:
        """Everything that came, each checked with the SDK's own `unwrap`."""
        checked = self.checked.setdefault(path, [])
        checked += map(self.check, self.site.receiver.received(path)[len(checked) :])
        return checked

    def check(self, received: Received) -> dict[str, Any]:
        """Raises ValueError for a signature that is not the account's."""
        text = received.body.decode()
        self.client.webhooks.unwrap(text, headers=received.headers)
        content = received.json()
        data: dict[str, Any] = content["data"]
        return {**data, "meta": content["meta"]}

    async def event(
        self,
        event_type: str,
        holds: Callable[[dict[str, Any]], bool] = lambda _payload: True,
        *,
        path: str = HOOK,
        within_s: float = PATIENCE_S,
    ) -> dict[str, Any]:
        """The last event of that type whose payload fits, when it has come."""
        found: list[dict[str, Any]] = []

        async def has_come() -> bool:
            found[:] = [
                each
                for each in self.events(path)
                if each["event_type"] == event_type and holds(each["payload"])
            ]
            return bool(found)

        await eventually(has_come, f"{event_type} at {path}", within_s=within_s)
        return found[-1]

    async def saved(self, recording_id: str, *, kind: str = "conference") -> dict[str, Any]:
        """The payload of the recording's own webhook."""
        event = await self.event(
            f"{kind}.recording.saved", lambda payload: payload["recording_id"] == recording_id
        )
        payload: dict[str, Any] = event["payload"]
        return payload

    async def sound(self, payload: dict[str, Any]) -> Sound:
        """The file behind a saved webhook's link."""
        (link,) = payload["recording_urls"].values()
        reply = await self.site.fetch(link)
        assert reply.status == 200, reply.body
        return read_sound(reply.body)

    async def view(self, recording_id: str) -> RecordingView:
        account_id = AccountId(self.site.account.auth_id)
        wanted = GetRecording(account_id=account_id, recording_id=RecordingId(recording_id))
        return await self.site.local.execute(wanted)

    async def row(self, recording_id: str) -> Recording:
        return (await self.view(recording_id)).recording


@asynccontextmanager
async def open_desk(folder: Path) -> AsyncIterator[Desk]:
    """An application whose numbers are `desk-…`."""
    async with open_site(folder) as site:
        account_id = AccountId(site.account.auth_id)
        public_key = (await site.local.execute(GetAccount(account_id=account_id))).public_key
        assert len(base64.b64decode(public_key)) == 32
        client = Telnyx(
            api_key=site.account.api_key,
            base_url=f"{site.node.http_url}/v2",
            public_key=public_key,
        )
        made = await asyncio.to_thread(
            client.call_control_applications.create,
            application_name="Desk",
            webhook_event_url=site.receiver.url(HOOK),
            webhook_event_failover_url=site.receiver.url(SPARE),
        )
        connection_id = made.data.id
        number = AddNumber(pattern="desk-*", application_id=ApplicationId(connection_id))
        await site.local.execute(number)
        yield Desk(site=site, client=client, connection_id=connection_id)
        await asyncio.to_thread(client.close)
