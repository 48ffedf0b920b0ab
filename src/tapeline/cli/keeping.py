"""`tapeline recordings hold|release|keep|delete|export`."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tapeline.cli.ask import ask, configured
from tapeline.cli.export import export_recording, zip_folder
from tapeline.cli.options import AsJson, ConfigFile, DataDir
from tapeline.cli.show import show_one
from tapeline.domain.command import (
    DeleteRecording,
    GetProof,
    GetTranscript,
    HoldRecording,
    KeepRecording,
    ReleaseRecording,
)
from tapeline.domain.error import Invalid, TranscriptNotFound
from tapeline.domain.id import EpochMs, RecordingId
from tapeline.domain.transcript import Transcript

RecordingArgument = Annotated[str, typer.Argument(help="The recording.")]
Because = Annotated[str, typer.Option("--because", help="Why, for those who ask later.")]
DAY_MS = 86_400_000


def hold(
    recording_id: RecordingArgument,
    *,
    because: Because,
    by: Annotated[str, typer.Option(help="Who orders it.")] = "operator",
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Forbid a recording's deletion until it is released."""
    command = HoldRecording(
        account_id=None, recording_id=RecordingId(recording_id), because=because, by=by
    )
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


def release(
    recording_id: RecordingArgument,
    *,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Take a hold away."""
    command = ReleaseRecording(account_id=None, recording_id=RecordingId(recording_id))
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


def keep(
    recording_id: RecordingArgument,
    *,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day (UTC) it goes.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=0, help="So many days from now.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Give a recording a due date of its own; without one it is kept as its account keeps them."""
    if until is not None and days is not None:
        raise Invalid(field="", value=None, expected="give --until or --days, not both")
    until_ms = None
    if until is not None:
        until_ms = EpochMs(int(until.replace(tzinfo=UTC).timestamp() * 1000))
    elif days is not None:
        until_ms = EpochMs(int(datetime.now(UTC).timestamp() * 1000) + days * DAY_MS)
    command = KeepRecording(
        account_id=None, recording_id=RecordingId(recording_id), until_ms=until_ms
    )
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


def delete(
    recording_id: RecordingArgument,
    *,
    because: Because,
    by: Annotated[str, typer.Option(help="Who orders it.")] = "operator",
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Delete a recording's audio, words and personal values; a signed tombstone stays."""
    command = DeleteRecording(
        account_id=None, recording_id=RecordingId(recording_id), because=because, by=by
    )
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


def export(
    recording_id: RecordingArgument,
    *,
    out: Annotated[Path, typer.Option(help="A folder that is not there yet, or a .zip file.")],
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Write all that there is of a recording, with the public key, for `tapeline verify`."""
    found = configured(config=config, data_dir=data_dir)
    if out.exists():
        raise Invalid(field="--out", value=str(out), expected="a name that is not taken")
    proof = ask(found, GetProof(account_id=None, recording_id=RecordingId(recording_id)))
    row = proof.recording
    transcript: Transcript | None = None
    with contextlib.suppress(TranscriptNotFound):
        transcript = ask(found, GetTranscript(account_id=row.account_id, recording_id=row.id))
    folder = out.with_suffix("") if out.suffix == ".zip" else out
    export_recording(found.data_dir, proof, transcript, folder)
    if out.suffix == ".zip":
        zip_folder(folder, out)
    typer.echo(str(out))
