"""For tests of your own application against a live node: telephones, voices, bad networks, a
receiver for callbacks, and detectors that say when each speaker is heard in a recording.

Shares no code with the core, or it would share its errors.
"""

from tapeline.testing.call import Call, CallOver, CallRejected, EndedBy
from tapeline.testing.detect import ToneSpan, find_tone, tone_level
from tapeline.testing.g711 import Law, Samples
from tapeline.testing.netem import NetworkQuality
from tapeline.testing.receiver import Answer, Received, Receiver, refuse
from tapeline.testing.ringing import IncomingCall, OutgoingCall
from tapeline.testing.rtp import Heard
from tapeline.testing.served import NodeAccount, NodeTrouble, ServedNode
from tapeline.testing.softphone import Softphone
from tapeline.testing.sound import Sound, SoundUnreadable, read_sound
from tapeline.testing.stream import Spoken
from tapeline.testing.tones import Clip, Silence, Source, Tone, Voice, level_dbov
from tapeline.testing.transaction import CallTimeout, SoftphoneError

__all__ = [
    "Answer",
    "Call",
    "CallOver",
    "CallRejected",
    "CallTimeout",
    "Clip",
    "EndedBy",
    "Heard",
    "IncomingCall",
    "Law",
    "NetworkQuality",
    "NodeAccount",
    "NodeTrouble",
    "OutgoingCall",
    "Received",
    "Receiver",
    "Samples",
    "ServedNode",
    "Silence",
    "Softphone",
    "SoftphoneError",
    "Sound",
    "SoundUnreadable",
    "Source",
    "Spoken",
    "Tone",
    "ToneSpan",
    "Voice",
    "find_tone",
    "level_dbov",
    "read_sound",
    "refuse",
    "tone_level",
]
