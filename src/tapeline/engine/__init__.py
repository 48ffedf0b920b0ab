"""The asyncio face of the native core: awaitable commands, signals in order, and no policy.

`CoreEngine` and `CoreSpoolTools` are imported from their own modules, which need the compiled core;
what is exported here does not, so that everything above can be tested without it.
"""

from tapeline.engine.memory import MemoryEngine
from tapeline.engine.settings import Access, CoreSettings

__all__ = ["Access", "CoreSettings", "MemoryEngine"]
