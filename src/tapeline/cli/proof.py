"""`tapeline verify` and what an auditor is handed."""

from pathlib import Path
from typing import Annotated

import typer

from tapeline.cli.ask import ask, configured
from tapeline.cli.options import ConfigFile, DataDir
from tapeline.config import Config
from tapeline.domain.command import GetChain, GetProof
from tapeline.domain.error import Invalid
from tapeline.domain.id import AccountId, RecordingId
from tapeline.domain.manifest import Manifest, ManifestKind
from tapeline.domain.recording import RecordingState
from tapeline.proof import (
    FindingKind,
    KeyInvalid,
    PublicKeys,
    Signer,
    Verdict,
    document_of,
    read_public_key,
    verify_chain,
    verify_file,
)

PAGE = 1_000


def verify(
    target: Annotated[
        str | None, typer.Argument(help="A recording's or a track's file, or a recording's id.")
    ] = None,
    *,
    key: Annotated[
        str | None,
        typer.Option(help="The public key: PEM file, folder, hex or Base64; else this node's."),
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="The manifest, if it does not lie beside the file.")
    ] = None,
    chain: Annotated[
        Path | None, typer.Option(help="A folder of manifests: is none missing or altered?")
    ] = None,
    show_key: Annotated[bool, typer.Option(help="Print this node's public keys.")] = False,
    rotate_key: Annotated[bool, typer.Option(help="Sign with a new key from now on.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Say whether audio is what was recorded, or which second of it is not. Exit status 0 or 1."""
    found = configured(config=config, data_dir=data_dir)
    if show_key or rotate_key:
        _keys_of_node(found, rotate=rotate_key)
        return
    if target is None and chain is None:
        raise Invalid(field="", value=None, expected="name a file, a recording's id or --chain")
    try:
        keys = read_public_key(key) if key is not None else _own_keys(found)
    except KeyInvalid as error:
        raise Invalid(field="--key", value=key, expected=str(error)) from error
    verdict = Verdict()
    if target is not None:
        verdict += _verify_target(found, target, keys, manifest)
    if chain is not None:
        verdict += verify_chain(chain, keys)
    for note in verdict.notes:
        typer.echo(note)
    for finding in verdict.findings:
        typer.echo(finding.text)
    typer.echo("OK" if verdict.is_ok else "NOT OK")
    if not verdict.is_ok:
        raise typer.Exit(1)


def _own_keys(config: Config) -> PublicKeys:
    folder = keys_folder(config)
    keys = read_public_key(folder) if folder.is_dir() else PublicKeys([])
    if len(keys) == 0:
        raise Invalid(
            field="", value=None, expected=f"give --key: there is no public key in {folder}"
        )
    return keys


def keys_folder(config: Config) -> Path:
    return config.data_dir / "keys"


def _keys_of_node(config: Config, *, rotate: bool) -> None:
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = Signer(keys_folder(config))
    if rotate:
        signer.rotate()
    pems = signer.public_keys().pems
    for key_id in sorted(pems, key=lambda each: each != signer.key_id):
        typer.echo(f"{key_id}  {'signs now' if key_id == signer.key_id else 'signed before'}")
        typer.echo(pems[key_id].decode().rstrip())


def _verify_target(config: Config, target: str, keys: PublicKeys, manifest: Path | None) -> Verdict:
    if Path(target).exists():
        return verify_file(Path(target), keys, manifest=manifest)
    if "/" in target or "." in target:
        return Verdict.of(FindingKind.AUDIO_MISSING, f"there is no file at {target}")
    proof = ask(config, GetProof(account_id=None, recording_id=RecordingId(target)))
    row, root = proof.recording, config.data_dir / "recordings"
    if not proof.links:
        return Verdict.of(
            FindingKind.MANIFEST_MISSING, f"recording {row.id} is older than manifests"
        )
    if row.state is RecordingState.DELETED:
        stem = row.storage_key.rpartition(".")[0]
        return verify_file(root / row.storage_key, keys, manifest=root / f"{stem}.tombstone.json")
    verdict = Verdict()
    for key in (row.storage_key, *(track.storage_key for track in proof.tracks)):
        if row.sample_count > 0:
            verdict += verify_file(root / key, keys, manifest=manifest)
    if row.sample_count == 0:
        verdict += Verdict(notes=(f"there is no audio: the recording is {row.state.value}",))
        verdict += verify_manifest_only(root / row.storage_key, keys)
    return verdict


def verify_manifest_only(audio: Path, keys: PublicKeys) -> Verdict:
    """Of a recording that has no audio to compare."""
    verdict = verify_file(audio, keys)
    absent = {FindingKind.AUDIO_MISSING}
    return Verdict(
        findings=tuple(each for each in verdict.findings if each.kind not in absent),
        notes=verdict.notes,
    )


def export_chain(
    account: Annotated[str, typer.Option("--account", help="Whose.")],
    out: Annotated[Path, typer.Option(help="A folder, made when it is not there.")],
    *,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Write every link of an account's chain, for `tapeline verify --chain FOLDER`."""
    found, after = configured(config=config, data_dir=data_dir), 0
    out.mkdir(parents=True, exist_ok=True)
    head: Manifest | None = None
    while page := ask(found, GetChain(account_id=AccountId(account), after=after, limit=PAGE)):
        for link in page:
            is_tombstone = link.kind is ManifestKind.TOMBSTONE
            kind = "tombstone" if is_tombstone else "manifest"
            (out / f"{link.number:08}.{kind}.json").write_bytes(document_of(link))
        head, after = page[-1], page[-1].number
    if head is None:
        typer.echo("none")
        return
    typer.echo(f"{head.number} links; the head is {head.sha256}")
