import pytest
from prometheus_client.parser import text_string_to_metric_families

from tapeline.telemetry.metrics import Figures, disk_minutes_left, render

FIGURES = Figures(
    core={"legs": 3, "ticks_late": 7},
    live={"calls": 3, "recordings": 2},
    counted={"deliveries_delivered": 5, "bugs": 0},
    stored={"remote": 4, "upload_pending": 1},
    works={"stuck": 1},
    deliveries_pending=9,
    disk_free_bytes=1_256_000_000,
    disk_reserve_bytes=256_000_000,
    is_ready=True,
)


def test_every_figure_is_on_the_page_in_prometheus_own_words() -> None:
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(render(FIGURES).decode())
        for sample in family.samples
    }

    assert found == {
        ("tapeline_ready",): 1,
        ("tapeline_live_calls",): 3,
        ("tapeline_live_recordings",): 2,
        ("tapeline_core_legs",): 3,
        ("tapeline_core_ticks_late",): 7,
        ("tapeline_deliveries_delivered_total",): 5,
        ("tapeline_bugs_total",): 0,
        ("tapeline_stored_recordings", "remote"): 4,
        ("tapeline_stored_recordings", "upload_pending"): 1,
        ("tapeline_works", "stuck"): 1,
        ("tapeline_deliveries_pending",): 9,
        ("tapeline_disk_free_bytes",): 1_256_000_000,
        ("tapeline_disk_minutes_left",): pytest.approx(1e9 / (2 * 16_000 * 60)),
    }


@pytest.mark.parametrize(
    ("free", "reserve", "recordings", "minutes"),
    [(960_000, 0, 1, 1.0), (960_000, 0, 0, 1.0), (1_920_000, 960_000, 4, 0.25), (5, 9, 1, 0.0)],
)
def test_minutes_left(free: int, reserve: int, recordings: int, minutes: float) -> None:
    assert disk_minutes_left(free, reserve, recordings) == minutes
