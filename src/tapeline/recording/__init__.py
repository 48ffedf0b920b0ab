"""What happens to a recording after its last sample; the bytes themselves are the core's."""

from tapeline.recording.events import recording_event
from tapeline.recording.finalise import Finaliser, companion_keys
from tapeline.recording.prove import Prover, manifest_key, recording_link, tombstone_key
from tapeline.recording.recover import Recovery, recover
from tapeline.recording.tracks import side_of

__all__ = [
    "Finaliser",
    "Prover",
    "Recovery",
    "companion_keys",
    "manifest_key",
    "recording_event",
    "recording_link",
    "recover",
    "side_of",
    "tombstone_key",
]
