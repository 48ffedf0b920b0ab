"""A recording as a folder that proves itself: audio, tracks, journal, manifest, words, public key.

RECORDING.mp3  RECORDING.track-001.mp3  RECORDING.journal.jsonl  RECORDING.manifest.json
RECORDING.personal.json   the personal values with their salts, as the manifest hashes them
RECORDING.transcript.json
public-keys.pem
"""

import json
import shutil
import zipfile
from pathlib import Path

from tapeline.domain.command import ProofView
from tapeline.domain.error import Unavailable
from tapeline.domain.recording import RecordingState
from tapeline.domain.transcript import Transcript
from tapeline.proof import read_public_key
from tapeline.recording import companion_keys, manifest_key, tombstone_key

KEYS_NAME = "public-keys.pem"


def export_recording(
    data_dir: Path, proof: ProofView, transcript: Transcript | None, folder: Path
) -> None:
    """Into `folder`, which is made. Raises Unavailable when the audio is not on this machine,
    OSError.
    """
    row, root = proof.recording, data_dir / "recordings"
    audio = [row.storage_key, *(track.storage_key for track in proof.tracks)]
    has_audio = row.sample_count > 0 and row.state is not RecordingState.DELETED
    if has_audio:
        for key in audio:
            if not (root / key).is_file():
                raise Unavailable(f"{root / key} is not on this machine; download it by its link")
    folder.mkdir(parents=True)
    wanted = [manifest_key(row.storage_key), tombstone_key(row.storage_key)]
    if has_audio:
        wanted += [name for key in audio for name in (key, *companion_keys(key).values())]
    for key in wanted:
        if (root / key).is_file():
            shutil.copy2(root / key, folder)
    stem = f"{folder}/{row.id}"
    if proof.values:
        shown = {v.name: {"salt": v.salt.hex(), "value": v.value} for v in proof.values}
        _write(Path(f"{stem}.personal.json"), shown)
    if transcript is not None:
        said = {"state": transcript.state.value, "text": transcript.text}
        _write(Path(f"{stem}.transcript.json"), said)
    pems = read_public_key(data_dir / "keys").pems
    (folder / KEYS_NAME).write_bytes(b"".join(pems[key_id] for key_id in sorted(pems)))


def zip_folder(folder: Path, target: Path) -> None:
    """And removes the folder."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"{folder.name}/{file.name}")
    shutil.rmtree(folder)


def _write(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
