"""Repositories: one module for each aggregate, rows in, domain objects out."""

from tapeline.state.rows.accounts import AccountRows
from tapeline.state.rows.applications import ApplicationRows
from tapeline.state.rows.base import RowMissing
from tapeline.state.rows.calls import CallRows
from tapeline.state.rows.conferences import ConferenceRows
from tapeline.state.rows.deliveries import DeliveryRows
from tapeline.state.rows.endpoints import EndpointRows
from tapeline.state.rows.events import EventRows
from tapeline.state.rows.keeping import KeepingRows
from tapeline.state.rows.manifests import ManifestRows
from tapeline.state.rows.numbers import NumberRows
from tapeline.state.rows.participants import ParticipantRows
from tapeline.state.rows.policies import PolicyRows
from tapeline.state.rows.recordings import RecordingRows
from tapeline.state.rows.storage import BucketRows, StoredRows
from tapeline.state.rows.tracks import TrackRows
from tapeline.state.rows.transcripts import TranscriptRows
from tapeline.state.rows.trunks import TrunkRows
from tapeline.state.rows.works import WorkRows

__all__ = [
    "AccountRows",
    "ApplicationRows",
    "BucketRows",
    "CallRows",
    "ConferenceRows",
    "DeliveryRows",
    "EndpointRows",
    "EventRows",
    "KeepingRows",
    "ManifestRows",
    "NumberRows",
    "ParticipantRows",
    "PolicyRows",
    "RecordingRows",
    "RowMissing",
    "StoredRows",
    "TrackRows",
    "TranscriptRows",
    "TrunkRows",
    "WorkRows",
]
