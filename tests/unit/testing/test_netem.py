import pytest

from tapeline.testing.netem import PERFECT, Netem, NetworkQuality

MS = 1_000_000


def run(quality: NetworkQuality, seed: int = 1, count: int = 10_000) -> list[tuple[int, ...]]:
    network = Netem(quality, seed=seed)
    return [network.departures(20 * MS * n) for n in range(count)]


def test_a_perfect_network_changes_nothing() -> None:
    assert run(PERFECT, count=3) == [(0,), (20 * MS,), (40 * MS,)]


def test_shares_come_out() -> None:
    network = Netem(NetworkQuality(loss=0.05, duplicate=0.02, reorder=0.1), seed=3)

    sent = [network.departures(n) for n in range(20_000)]

    assert sum(not copies for copies in sent) / 20_000 == pytest.approx(0.05, abs=0.01)
    assert sum(len(copies) == 2 for copies in sent) / 20_000 == pytest.approx(0.02, abs=0.005)
    assert network.reordered / 20_000 == pytest.approx(0.1, abs=0.01)


def test_delay_and_jitter_stay_in_their_bounds() -> None:
    sent = run(NetworkQuality(delay_ms=30, jitter_ms=10))

    delays = [copies[0] - 20 * MS * n for n, copies in enumerate(sent)]
    assert min(delays) >= 30 * MS
    assert max(delays) <= 40 * MS
    assert max(delays) - min(delays) > 9 * MS


def test_the_same_seed_is_the_same_network() -> None:
    bad = NetworkQuality(loss=0.2, jitter_ms=30)

    assert run(bad, seed=5) == run(bad, seed=5)
    assert run(bad, seed=5) != run(bad, seed=6)
