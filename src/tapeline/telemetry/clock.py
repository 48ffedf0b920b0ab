"""The wall clock, read in one place so that everything else takes time as an argument."""

import time

from tapeline.domain.id import EpochMs


class SystemClock:
    def now_ms(self) -> EpochMs:
        return EpochMs(time.time_ns() // 1_000_000)
