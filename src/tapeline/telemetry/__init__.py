"""Logs, counters and the clock: set up once, used everywhere."""

from tapeline.telemetry.bugs import Bugs
from tapeline.telemetry.clock import SystemClock
from tapeline.telemetry.logs import get_logger, set_up_logs

__all__ = ["Bugs", "SystemClock", "get_logger", "set_up_logs"]
