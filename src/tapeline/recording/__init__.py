"""What happens to a recording after its last sample; the bytes themselves are the core's."""

from tapeline.recording.events import recording_event
from tapeline.recording.finalise import Finaliser, companion_keys
from tapeline.recording.recover import Recovery, recover
from tapeline.recording.tracks import side_of

__all__ = ["Finaliser", "Recovery", "companion_keys", "recording_event", "recover", "side_of"]
