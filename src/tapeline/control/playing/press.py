"""Keys that this node presses on calls."""

import re
from collections.abc import Sequence

from tapeline.control.checks import check_range
from tapeline.control.live import LiveCall
from tapeline.control.parts import Parts
from tapeline.domain.error import Invalid, TapelineError
from tapeline.domain.sound import Keys
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

_KEYS = re.compile("[0-9*#A-DwW]{1,64}")
_SHORTEST_MS, _LONGEST_MS = 40, 2_000


def check_keys(keys: Keys) -> None:
    """Raises Invalid, OutOfRange."""
    if not _KEYS.fullmatch(keys.digits):
        expected = "1 to 64 of 0-9, *, #, A-D, w and W"
        raise Invalid(field="digits", value=keys.digits[:64], expected=expected)
    check_range("tone_ms", keys.tone_ms, _SHORTEST_MS, _LONGEST_MS)


def press_beside(parts: Parts, live_calls: Sequence[LiveCall], keys: Keys) -> None:
    """Goes on after the command has been answered: many keys take many seconds."""
    for live_call in live_calls:
        parts.tasks.start(_press_or_log(parts, live_call, keys), name="keys to be pressed")


async def press(parts: Parts, live_call: LiveCall, keys: Keys) -> None:
    """Returns when the last is released. Raises EngineFailed."""
    await parts.engine.send_digits(live_call.leg, keys.digits, tone_ms=keys.tone_ms)


async def _press_or_log(parts: Parts, live_call: LiveCall, keys: Keys) -> None:
    try:
        await press(parts, live_call, keys)
    except TapelineError as error:
        _log.warning("digits_not_sent", call=live_call.call.id, reason=str(error))
    except Exception as error:  # noqa: BLE001 - the boundary where a bug is counted
        parts.bugs.add("keys", error)
