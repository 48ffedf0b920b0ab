"""The metrics page: Prometheus' text from figures that are counted elsewhere."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "tapeline"
BYTES_A_SECOND = 16_000
"""Of a mono recording at 8 kHz that is not compressed: the most that an ordinary one takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One look at a node."""

    core: Mapping[str, int]
    """The core's own, by their names there."""
    live: Mapping[str, int]
    counted: Mapping[str, int]
    """Since the start: `deliveries_delivered`, `recordings_completed_ok`, …"""
    stored: Mapping[str, int] = field(default_factory=dict)
    works: Mapping[str, int] = field(default_factory=dict)
    deliveries_pending: int = 0
    disk_free_bytes: int = 0
    disk_reserve_bytes: int = 0
    is_ready: bool = False


def render(figures: Figures) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Look(figures))
    return generate_latest(registry)


def disk_minutes_left(free_bytes: int, reserve_bytes: int, recordings: int) -> float:
    """How long what records now, or one recording, could go on until the reserve is reached."""
    usable = max(free_bytes - reserve_bytes, 0)
    return usable / (max(recordings, 1) * BYTES_A_SECOND * 60)


class _Look(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        of = self._figures
        yield _gauge("ready", "Whether calls can come in.", int(of.is_ready))
        for name, value in sorted(of.live.items()):
            yield _gauge(f"live_{name}", f"{name.capitalize()} going on.", value)
        for name, value in sorted(of.core.items()):
            yield _gauge(f"core_{name}", "A figure of the core's.", value)
        for name, value in sorted(of.counted.items()):
            counter = CounterMetricFamily(f"{PREFIX}_{name}", "Since the start.")
            counter.add_metric([], value)
            yield counter
        yield _labelled("stored_recordings", "By where their bytes are.", "place", of.stored)
        yield _labelled("works", "Work after recordings' ends, not done.", "state", of.works)
        yield _gauge("deliveries_pending", "Callbacks not delivered yet.", of.deliveries_pending)
        yield _gauge("disk_free_bytes", "Under the data folder.", of.disk_free_bytes)
        minutes = disk_minutes_left(
            of.disk_free_bytes, of.disk_reserve_bytes, of.live.get("recordings", 0)
        )
        yield _gauge("disk_minutes_left", "Until the reserve is reached, as now.", minutes)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=value)


def _labelled(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family
