"""The retry rule that a callback URL carries in its fragment: `#ct=2000&rt=3000&rc=3&rp=ct,rt`.

The fragment is ours alone and never sent. Values out of range are clamped, unknown keys and
malformed values are as if absent: a callback must not be lost for a slip in its rule.
"""

from dataclasses import dataclass

from tapeline.domain.delivery import Failure, RetryPolicy

WAITS_MS = (1_000, 2_000, 4_000, 8_000, 16_000)


@dataclass(frozen=True, slots=True)
class _Range:
    low: int
    high: int
    default: int

    def read(self, text: str | None) -> int:
        if text is None or not (text.isascii() and text.isdecimal()):
            return self.default
        if len(text) > 9:  # noqa: PLR2004 - past every range; int() refuses texts far longer
            return self.high
        return min(max(int(text), self.low), self.high)


CONNECT_MS = _Range(100, 10_000, 2_000)
READ_MS = _Range(100, 40_000, 40_000)
TOTAL_MS = _Range(100, 55_000, 55_000)
RETRIES = _Range(0, 5, 1)

# A refused connection and a failed TLS handshake are failures to connect, as a timeout is.
_CONNECT = frozenset({Failure.CONNECT_TIMEOUT, Failure.CONNECT, Failure.TLS})
_WORDS = {
    "ct": _CONNECT,
    "rt": frozenset({Failure.READ_TIMEOUT}),
    "4xx": frozenset({Failure.CLIENT_ERROR}),
    "5xx": frozenset({Failure.SERVER_ERROR}),
    "all": _CONNECT
    | {Failure.READ_TIMEOUT, Failure.CLIENT_ERROR, Failure.SERVER_ERROR, Failure.REDIRECT},
}
_DEFAULT_WORDS = ("ct", "rt")


def split_retry(url: str) -> tuple[str, RetryPolicy]:
    """The URL without its fragment, and the rule that the fragment states."""
    bare, _, fragment = url.partition("#")
    pairs = dict(pair.split("=", 1) for pair in fragment.split("&") if "=" in pair)
    words = [word for word in pairs.get("rp", "").lower().split(",") if word in _WORDS]
    return bare, RetryPolicy(
        connect_timeout_ms=CONNECT_MS.read(pairs.get("ct")),
        read_timeout_ms=READ_MS.read(pairs.get("rt")),
        total_ms=TOTAL_MS.read(pairs.get("tt")),
        waits_ms=WAITS_MS[: RETRIES.read(pairs.get("rc"))],
        retry_on=frozenset[Failure]().union(*(_WORDS[word] for word in words or _DEFAULT_WORDS)),
    )
