"""An S3 server on loopback (moto's), and stores that do not do their part."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from moto.server import ThreadedMotoServer

from tapeline.domain.id import BucketId, EpochMs
from tapeline.domain.storage import Bucket, BucketKind

ADDRESS = "127.0.0.1"
SECRETS = {"access_key_id": "key-of-the-test", "secret_access_key": "secret-of-the-test"}


@dataclass(frozen=True)
class S3:
    port: int

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.port}"

    def bucket(self, name: str = "recordings", *, prefix: str = "") -> Bucket:
        return bucket_at(self.port, name, prefix=prefix)

    def make(self, name: str) -> None:
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")  # noqa: S310
        urllib.request.urlopen(request).read()  # noqa: S310


def bucket_at(port: int, name: str = "recordings", *, prefix: str = "") -> Bucket:
    return Bucket(
        id=BucketId(f"bucket-{name}"),
        account_id=None,
        kind=BucketKind.S3,
        name=name,
        prefix=prefix,
        options={"endpoint": f"http://{ADDRESS}:{port}", "region": "us-east-1"},
        secrets=SECRETS,
        created_at_ms=EpochMs(1),
    )


@contextmanager
def serve_s3(port: int = 0) -> Iterator[S3]:
    """With a bucket `recordings`."""
    server = ThreadedMotoServer(ip_address=ADDRESS, port=port, verbose=False)
    server.start()
    try:
        s3 = S3(server.get_host_and_port()[1])
        s3.make("recordings")
        yield s3
    finally:
        server.stop()


@asynccontextmanager
async def bad_store(answer: bytes | None) -> AsyncIterator[int]:
    """Takes connections on the yielded port and answers every request with that, or, without it,
    never.
    """
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while await reader.read(65_536):
                if answer is not None:
                    writer.write(answer)
                    await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, ADDRESS, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.close()
