"""The call program of dialects whose calls are steered by commands."""

from tapeline.control import calls
from tapeline.control.live import LiveCall
from tapeline.control.parts import Parts


class Commanded:
    """Lets the caller hear ringing and leaves the rest to commands: until one comes the call stays
    parked, once answered in its private room. Implements `flow.program.Program`.
    """

    def __init__(self, parts: Parts, live_call: LiveCall) -> None:
        self._parts = parts
        self._live_call = live_call

    async def run(self) -> None:
        await calls.ring(self._parts, self._live_call)
