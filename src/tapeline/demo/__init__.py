"""`tapeline demo`: the 60-second story, with real calls, a real recording and its check.

It names no vendor: what is sent and shown comes from the dialect's demo row.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Literal

import aiohttp

from tapeline.api.dialect import Dialect, find_dialects
from tapeline.api.localnode import LocalNode
from tapeline.demo.script import cast
from tapeline.demo.sdks import SecondAct, host_of
from tapeline.demo.show import Show
from tapeline.demo.story import CONFERENCE, Stage, StoryBroken, tell
from tapeline.testing import NodeTrouble, Receiver, ServedNode, Softphone, SoftphoneError

__all__ = ["run"]

BROKEN = (
    StoryBroken,
    NodeTrouble,
    SoftphoneError,
    OSError,
    TimeoutError,
    aiohttp.ClientError,
)


def run(
    *,
    format: Literal["wav", "mp3"] = "mp3",
    seconds: float = 12,
    keep: bool = False,
    dialect: str | None = None,
) -> int:
    """Tells the story and returns the exit status: 1 if anything was off.

    The recording stays in a temporary folder of its own; `keep` leaves the node's data folder and
    log beside it. `dialect` is whose API is shown, by default the first that is there.
    """
    show = Show()
    folder = Path(tempfile.mkdtemp(prefix="tapeline-demo-"))
    try:
        is_fine = asyncio.run(_run(show, folder, _choose(dialect), format, seconds))
    except* BROKEN as group:
        is_fine = False
        for error in _flat(group):
            show.say(f"[red]{type(error).__name__}: {error}[/]")
    if not keep and is_fine:
        shutil.rmtree(folder / "data", ignore_errors=True)
        (folder / "data.log").unlink(missing_ok=True)
    else:
        show.say(f"\n  the node's data folder: {folder / 'data'}, its log: {folder / 'data.log'}")
    return 0 if is_fine else 1


def _choose(name: str | None) -> Dialect:
    dialects = find_dialects()
    chosen = name or next(iter(dialects))
    if chosen not in dialects:
        raise StoryBroken(f"there is no dialect {chosen!r}; there are {', '.join(dialects)}")
    return dialects[chosen]


async def _run(
    show: Show,
    folder: Path,
    dialect: Dialect,
    format: str,
    seconds: float,
) -> bool:
    keep_at = folder / f"{CONFERENCE}.{format}"
    settings = {"default_dialect": dialect.name}
    show.step("A node starts: SIP, RTP and REST on free loopback ports, a data folder of its own")
    async with (
        ServedNode(folder / "data", settings) as node,
        Receiver() as receiver,
        Softphone("demo") as phone,
    ):
        show.say(f"  SIP {node.sip_address[0]}:{node.sip_address[1]}/udp, REST {node.http_url}")
        stage = Stage(
            node=node,
            account=node.first_account(),
            receiver=receiver,
            phone=phone,
            local=LocalNode(node.data_dir),
            dialect=dialect,
            format=format,
            seconds=seconds,
            show=show,
        )
        try:
            is_fine = await tell(stage, keep_at)
        finally:
            show.end_levels()
        show.file(keep_at)
        show.step("The same room once more, by the vendors' own SDKs, unmodified, all at once")
        act = SecondAct(
            host=await host_of(node, stage.account, receiver),
            conference=CONFERENCE,
            speakers=[speaker for speaker in cast(seconds) if speaker.leaves_at is None],
            receiver=receiver,
            show=show,
        )
        is_fine = await act.play() and is_fine
    faults = node.faults()
    show.check("the node met no fault of its own", is_ok=not faults)
    return is_fine and not faults


def _flat(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_flat(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]
