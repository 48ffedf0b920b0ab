"""How long a start of a recording takes over REST, and whether the packet after the answer is in
the file.

One caller a room. Each start is asked over a kept connection; when its answer has arrived, the
caller, silent until then, begins a tone. Found whole and at its place in the decoded file, the tone
shows that the recorder was armed before the answer left.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tapeline.testing import (
    Call,
    NodeAccount,
    Receiver,
    ServedNode,
    Silence,
    Softphone,
    Spoken,
    Tone,
    find_tone,
    read_sound,
)

TONE_HZ, TONE_S, TOLERANCE_MS = 1_000, 0.4, 20.0
BUFFER_MS = 60.0
"""The most that the caller's jitter buffer may hold on loopback."""
P50_MS, P99_MS = 5.0, 25.0
SETTLE_S = 0.5
OK = 200


@dataclass(frozen=True, slots=True)
class Start:
    latency_ms: float
    url: str
    spoken: Spoken
    callback_path: str


async def start_once(
    client: aiohttp.ClientSession, record: str, call: Call, receiver: Receiver, number: int
) -> Start:
    path = f"/done/{number}"
    body = {"file_format": "wav", "callback_url": receiver.url(path)}
    began = time.perf_counter_ns()
    async with client.post(record, json=body) as answer:
        told = await answer.json()
    latency_ms = (time.perf_counter_ns() - began) / 1e6
    spoken = call.play(Tone(TONE_HZ))
    if answer.status != OK:
        raise RuntimeError(f"start {number}: {answer.status} {told}")
    await asyncio.sleep(TONE_S)
    call.play(Silence())
    await asyncio.sleep(0.1)
    async with client.delete(record) as stopped:
        stopped.raise_for_status()
    return Start(latency_ms, told["url"], spoken, path)


async def is_whole(client: aiohttp.ClientSession, receiver: Receiver, start: Start) -> bool:
    """Whether the tone stands in the file at the time of its first packet, with its full length."""
    done = (await receiver.wait_for(start.callback_path)).fields()
    async with client.get(start.url) as answer:
        sound = read_sound(await answer.read())
    spans = find_tone(sound.mono(), TONE_HZ, rate_hz=sound.rate_hz)
    if len(spans) != 1:
        return False
    expected_ms = start.spoken.first_unix_us / 1000 - int(done["recording_start_ms"])
    late_ms = spans[0].start_ms - expected_ms
    said_ms = start.spoken.packet_count * 20
    length_ms = spans[0].end_ms - spans[0].start_ms
    return (
        -TOLERANCE_MS <= late_ms <= TOLERANCE_MS + BUFFER_MS
        and abs(length_ms - said_ms) <= TOLERANCE_MS
    )


def base_of(node: ServedNode, account: NodeAccount) -> str:
    return f"{node.http_url}/api/v1/Account/{account.auth_id}"


async def run(count: int) -> int:
    with tempfile.TemporaryDirectory(prefix="tapeline-bench-") as name:
        async with (
            ServedNode(Path(name) / "data", {"log_level": "warning"}) as node,
            Receiver() as receiver,
            Softphone("bench") as phone,
        ):
            account = node.first_account()
            headers = {"X-Auth-ID": account.auth_id, "X-Auth-Token": account.auth_token}
            call = await phone.call(node.sip_uri("room-Bench"), play=Silence())
            record = f"{base_of(node, account)}/Conference/Bench/Record/"
            async with aiohttp.ClientSession(headers=headers) as client:
                await asyncio.sleep(SETTLE_S)
                starts = [
                    await start_once(client, record, call, receiver, number)
                    for number in range(count)
                ]
                whole = [await is_whole(client, receiver, each) for each in starts]
            await call.hang_up()
    latencies = sorted(each.latency_ms for each in starts)
    p50, p99 = statistics.median(latencies), latencies[int(0.99 * (count - 1))]
    print(f"{count} starts over REST, one after the other, row durable and recorder armed")
    print(f"  p50 {p50:6.2f} ms   (target {P50_MS:.0f})")
    print(f"  p99 {p99:6.2f} ms   (target {P99_MS:.0f})   worst {latencies[-1]:.2f} ms")
    print(f"  the first packet after the answer is in the file: {sum(whole)} of {count}")
    return 0 if all(whole) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=200)
    return asyncio.run(run(parser.parse_args().starts))


if __name__ == "__main__":
    sys.exit(main())
