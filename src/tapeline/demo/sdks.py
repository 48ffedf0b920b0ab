"""The demo's second act: the room is recorded by every vendor's own SDK at once, unmodified."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from tapeline.api.localnode import LocalNode
from tapeline.compat.demos import Host, SdkDemo, Webhook, find_sdk_demos
from tapeline.demo.script import SdkRow, Speaker, hears
from tapeline.demo.show import Show
from tapeline.domain.command import GetAccount, SetAccount
from tapeline.domain.id import AccountId
from tapeline.testing import NodeAccount, Received, Receiver, ServedNode, read_sound

RECORDED_S = 3.0
CALLBACK_S = 15.0
ACCOUNT_PATH = "/sdk-account"
SHORTEST_S = RECORDED_S - 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondAct:
    host: Host
    conference: str
    speakers: Sequence[Speaker]
    """Who talks in the room meanwhile."""
    receiver: Receiver
    show: Show

    async def play(self) -> bool:
        """Whether every SDK got its recording; those that are not installed are named."""
        demos = find_sdk_demos()
        for name in sorted(name for name, demo in demos.items() if demo is None):
            self.show.say(f"  {name}: its SDK is not installed here")
        there = {name: demo for name, demo in demos.items() if demo is not None}
        rows = await asyncio.gather(*(self._record(name, demo) for name, demo in there.items()))
        self.show.sdk_rows(rows)
        return all(row.is_ok for row in rows)

    async def _record(self, name: str, demo: SdkDemo) -> SdkRow:
        """An SDK's own exception becomes its row's answer."""
        path = f"/sdk-{name}" if demo.has_callback_url else ACCOUNT_PATH
        title = f"{demo.package} {demo.version}"
        try:
            answer = await asyncio.to_thread(
                demo.start, self.host, self.conference, self.receiver.url(path)
            )
            await asyncio.sleep(RECORDED_S)
            await asyncio.to_thread(demo.stop, self.host, self.conference)
            received = await self.receiver.wait_for(path, timeout_s=CALLBACK_S)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's SDK raises is shown
            return SdkRow(
                name=title,
                call=demo.call,
                answer=f"{type(error).__name__}: {error}",
                callback="-",
                is_signed=False,
                file="-",
                is_ok=False,
            )
        webhook = webhook_of(self.receiver, received)
        is_signed = await asyncio.to_thread(demo.is_signed, self.host, webhook)
        file, is_whole = await self._file(demo.link(webhook))
        return SdkRow(
            name=title,
            call=demo.call,
            answer=answer,
            callback=f"{received.method} {received.path}",
            is_signed=is_signed,
            file=file,
            is_ok=is_signed and is_whole,
        )

    async def _file(self, url: str) -> tuple[str, bool]:
        """What was fetched, and whether everybody who talked is in it."""
        async with aiohttp.ClientSession() as client, client.get(url) as response:
            content = await response.read()
        sound = await asyncio.to_thread(read_sound, content)
        everyone = all(hears(sound.mono(), speaker.voice) for speaker in self.speakers)
        names = " and ".join(speaker.name for speaker in self.speakers)
        text = f"{sound.duration_ms / 1000:.2f} s, {names if everyone else 'somebody is missing'}"
        return text, everyone and sound.duration_ms >= SHORTEST_S * 1000


def webhook_of(receiver: Receiver, received: Received) -> Webhook:
    """With the whole URL, as signatures need it."""
    query = "&".join(f"{key}={value}" for key, value in received.query.items())
    return Webhook(
        method=received.method,
        url=receiver.url(received.path) + (f"?{query}" if query else ""),
        headers=received.headers,
        body=received.body,
    )


async def host_of(node: ServedNode, account: NodeAccount, receiver: Receiver) -> Host:
    """The account as a program sees it, told by webhook where an API has no callback URLs."""
    local, account_id = LocalNode(node.data_dir), AccountId(account.auth_id)
    await local.execute(SetAccount(account_id=account_id, webhook_url=receiver.url(ACCOUNT_PATH)))
    found = await local.execute(GetAccount(account_id=account_id))
    return Host(
        base=node.http_url,
        auth_id=account.auth_id,
        auth_token=account.auth_token,
        api_key=account.api_key,
        public_key=found.public_key,
    )
