"""CPU time of a node by thread, from `/proc` (Linux)."""

import os
from pathlib import Path


def by_thread(process_id: int) -> dict[str, int]:
    """Nanoseconds on the CPU so far, by thread name; threads of one name are added up."""
    totals: dict[str, int] = {}
    for task in Path(f"/proc/{process_id}/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            spent = int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        totals[name] = totals.get(name, 0) + spent
    return totals


def spent_between(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Nanoseconds by thread name, the dearest first."""
    spent = {name: total - before.get(name, 0) for name, total in after.items()}
    return dict(sorted(spent.items(), key=lambda item: -item[1]))


def pin(process_id: int, core: int) -> None:
    """All threads of a process, those to come too, on one core; without two cores nothing."""
    if core >= (os.cpu_count() or 1):
        return
    for task in Path(f"/proc/{process_id}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def prefer(process_id: int) -> bool:
    """Makes a load generator's one thread run before all else on its core: phones that share a core
    would be late, which is theirs and not the node's. False where that is not allowed.
    """
    try:
        os.sched_setscheduler(process_id, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    return True
