"""A served node's streams: where they are told, and certificates that change."""

import asyncio
import json
import os
import shutil
import signal
import ssl
from collections.abc import Callable
from pathlib import Path

from tapeline.testing.served import ServedNode

CERTIFICATES = Path(__file__).parents[2] / "core" / "tapeline-core" / "tests" / "tls"
HOST = "127.0.0.1"
PATIENCE_S = 10.0


def options(transport: str) -> bytes:
    lines = [
        f"OPTIONS sip:room-x@{HOST} SIP/2.0",
        f"Via: SIP/2.0/{transport} client.invalid;branch=z9hG4bKstreams",
        "Max-Forwards: 70",
        "From: <sip:tester@client.invalid>;tag=t1",
        f"To: <sip:room-x@{HOST}>",
        "Call-ID: streams@client.invalid",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def ready(node: ServedNode) -> dict[str, object]:
    entries = [json.loads(line) for line in node.log_text().splitlines() if line.startswith("{")]
    (found,) = [entry for entry in entries if entry["event"] == "node_ready"]
    return found


def address(node: ServedNode, key: str) -> tuple[str, int]:
    (text,) = ready(node)[key]  # type: ignore[misc]
    host, _, port = str(text).rpartition(":")
    return host, int(port)


async def is_answered(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, transport: str
) -> bool:
    writer.write(options(transport))
    async with asyncio.timeout(PATIENCE_S):
        answer = await reader.readuntil(b"\r\n\r\n")
    return answer.startswith(b"SIP/2.0 200 ")


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERTIFICATES / "ca.pem")


def shown(writer: asyncio.StreamWriter) -> str:
    names = writer.get_extra_info("peercert")["subject"]
    return str(dict(name[0] for name in names)["commonName"])


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def test_streams_are_served_and_certificates_are_read_again_on_sighup(
    tmp_path: Path,
) -> None:
    certificate, key = tmp_path / "now.pem", tmp_path / "now.key"

    def install(name: str) -> None:
        shutil.copy(CERTIFICATES / f"{name}.pem", certificate)
        shutil.copy(CERTIFICATES / f"{name}.key", key)

    install("node")
    settings = {f"sip_{transport}": f"{HOST}:0" for transport in ("tcp", "tls", "ws", "wss")}
    settings |= {"sip_tls_certificate": str(certificate), "sip_tls_key": str(key)}
    async with ServedNode(tmp_path / "data", settings) as node:
        plain = await asyncio.open_connection(*address(node, "sip_tcp"))
        assert await is_answered(*plain, "TCP")
        tls = address(node, "sip_tls")
        first = await asyncio.open_connection(*tls, ssl=trusting(), server_hostname="localhost")
        assert shown(first[1]) == "node"
        assert await is_answered(*first, "TLS")
        assert {"sip_ws", "sip_wss"} <= ready(node).keys()

        install("renewed")
        os.kill(node.process_id, signal.SIGHUP)
        await until(lambda: "certificates_reloaded" in node.log_text())

        second = await asyncio.open_connection(*tls, ssl=trusting(), server_hostname="localhost")
        assert shown(second[1]) == "renewed"
        assert await is_answered(*second, "TLS")
        assert await is_answered(*first, "TLS")

        certificate.write_text("nothing")
        os.kill(node.process_id, signal.SIGHUP)
        await until(lambda: "certificates_not_reloaded" in node.log_text())
        third = await asyncio.open_connection(*tls, ssl=trusting(), server_hostname="localhost")
        assert shown(third[1]) == "renewed"
        for _, writer in (plain, first, second, third):
            writer.close()
        assert node.faults() == []
