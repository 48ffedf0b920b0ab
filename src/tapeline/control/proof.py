"""Use cases about what vouches for recordings."""

from tapeline.control.parts import Parts
from tapeline.domain.command import GetChain, GetProof, ProofView
from tapeline.domain.error import AccountNotFound, RecordingNotFound
from tapeline.domain.manifest import Manifest
from tapeline.domain.port import Transaction
from tapeline.domain.recording import RecordingState


async def get_proof(parts: Parts, command: GetProof) -> ProofView:
    def work(tx: Transaction) -> ProofView:
        recording = tx.recordings.get(command.recording_id)
        if recording is None or command.account_id not in {None, recording.account_id}:
            raise RecordingNotFound(command.recording_id)
        return ProofView(
            recording=recording,
            tracks=tuple(tx.tracks.of_recording(recording.id)),
            links=tuple(tx.manifests.of_recording(recording.id)),
            values=tuple(tx.manifests.values(recording.id)),
        )

    found = await parts.store.read(work)
    if found.links and found.recording.state is not RecordingState.DELETED:
        await parts.prover.lay_missing_document(found.recording)
    return found


async def get_chain(parts: Parts, command: GetChain) -> tuple[Manifest, ...]:
    def work(tx: Transaction) -> tuple[Manifest, ...]:
        if tx.accounts.get(command.account_id) is None:
            raise AccountNotFound(command.account_id)
        return tuple(
            tx.manifests.chain(command.account_id, after=command.after, limit=command.limit)
        )

    return await parts.store.read(work)
