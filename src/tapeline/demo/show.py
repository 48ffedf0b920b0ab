"""What the demo prints: colours and a live table on a terminal, plain lines elsewhere."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from tapeline.demo.script import Row, SdkRow
from tapeline.domain.signal import LegLevels
from tapeline.testing import Received

PLAIN_WIDTH = 110
PLAIN_EVERY_S = 2.0
QUIETEST_DB, BAR_CELLS = -60.0, 20
PLAYERS = {
    "ffplay": "ffplay -autoexit -nodisp {file}",
    "mpv": "mpv {file}",
    "play": "play {file}",
    "afplay": "afplay {file}",
    "vlc": "vlc {file}",
}


class Show:
    """Owns the console and, on a terminal, the live table."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=PLAIN_WIDTH)
        self._live: Live | None = None
        self._next_plain_s = 0.0

    def say(self, text: str) -> None:
        self.console.print(text)

    def step(self, text: str) -> None:
        self.console.print(f"\n[bold cyan]▸[/] [bold]{text}[/]")

    def command(self, text: str) -> None:
        self._code("$ " + text, "console")

    def answer(self, status: int, text: str) -> None:
        colour = "green" if status < 300 else "red"  # noqa: PLR2004 - HTTP's own line
        self.console.print(f"[{colour}]HTTP {status}[/]")
        if text.strip():
            self._code(_pretty(text), "json")

    def callback(self, received: Received) -> None:
        """As it arrived: request line, the headers that matter, the body."""
        self.console.print(f"[green]{received.method}[/] {escape(received.path)}")
        for name in ("content-type", "user-agent"):
            if name in received.headers:
                self.console.print(f"{name}: {escape(received.headers[name])}")
        self._code(_pretty(received.body.decode(errors="replace")), "json")

    def levels(self, at_s: float, of_s: float, levels: Mapping[str, LegLevels | None]) -> None:
        """Who is in the room, and how loud; called some times a second."""
        if not self.console.is_terminal:
            if at_s >= self._next_plain_s:
                self._next_plain_s = at_s + PLAIN_EVERY_S
                words = " · ".join(
                    f"{name} {found.level_rx_db:5.1f} dB" if found else f"{name} -"
                    for name, found in levels.items()
                )
                self.console.print(f"  {at_s:4.1f} s  {words}")
            return
        if self._live is None:
            self._live = Live(console=self.console, auto_refresh=False, transient=False)
            self._live.start()
        self._live.update(_levels_table(at_s, of_s, levels), refresh=True)

    def end_levels(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def verdict(self, rows: Sequence[Row]) -> None:
        table = Table(title=None, header_style="bold")
        table.add_column("speaker")
        for name in ("start expected", "measured", "end expected", "measured", "error", "level"):
            table.add_column(name, justify="right")
        table.add_column("")
        for row in rows:
            table.add_row(
                row.name,
                _seconds(row.expected_start_ms),
                _seconds(row.measured_start_ms),
                _seconds(row.expected_end_ms),
                _seconds(row.measured_end_ms),
                "-" if row.measured_start_ms is None else f"{row.error_ms:+.1f} ms",
                "-" if row.level_db is None else f"{row.level_db:.1f} dB",
                "[green]ok[/]" if row.is_ok else "[red]off[/]",
            )
        self.console.print(table)

    def sdk_rows(self, rows: Sequence[SdkRow]) -> None:
        table = Table(title=None, header_style="bold")
        for name in ("SDK", "call made", "answer", "callback", "signature", "file", ""):
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(
                *(escape(text) for text in (row.name, row.call, row.answer, row.callback)),
                "[green]valid[/]" if row.is_signed else "[red]not valid[/]",
                escape(row.file),
                "[green]ok[/]" if row.is_ok else "[red]off[/]",
            )
        self.console.print(table)

    def check(self, text: str, *, is_ok: bool) -> None:
        self.console.print(f"  {'[green]ok [/]' if is_ok else '[red]off[/]'} {escape(text)}")

    def file(self, path: Path) -> None:
        self.step("The recording")
        self.console.print(f"  {escape(str(path))}", soft_wrap=True)
        player = next((p for p in PLAYERS if shutil.which(p)), None)
        how = PLAYERS[player].format(file=path) if player else "open it with any player"
        self.console.print(f"  play it: [bold]{escape(how)}[/]", soft_wrap=True)

    def _code(self, text: str, language: str) -> None:
        if self.console.is_terminal:
            self.console.print(
                Syntax(text, language, background_color="default", word_wrap=True), soft_wrap=True
            )
        else:
            self.console.print(escape(text), soft_wrap=True)


def _levels_table(at_s: float, of_s: float, levels: Mapping[str, LegLevels | None]) -> Table:
    table = Table(title=f"recording, {at_s:.1f} of {of_s:.0f} s", header_style="bold")
    for name in ("in the room", "level", "dB", "packets", "lost", "buffer"):
        table.add_column(name, justify="left" if name in {"in the room", "level"} else "right")
    for name, found in levels.items():
        if found is None:
            table.add_row(f"[dim]{name}[/]", "", "", "", "", "")
            continue
        table.add_row(
            name,
            f"[green]{_bar(found.level_rx_db)}[/]",
            f"{found.level_rx_db:.0f}",
            str(found.packets_received),
            str(found.packets_lost),
            f"{found.buffer_delay_ms} ms",
        )
    return table


def _bar(level_db: float) -> str:
    share = max(0.0, min(1.0, 1.0 - level_db / QUIETEST_DB))
    filled = round(share * BAR_CELLS)
    return "█" * filled + " " * (BAR_CELLS - filled)


def _seconds(at_ms: float | None) -> str:
    return "-" if at_ms is None else f"{at_ms / 1000:.3f} s"


def _pretty(text: str) -> str:
    """JSON indented; anything else as it came."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
