"""One transaction's repositories and what is to happen when it has been committed."""

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from tapeline.domain import port
from tapeline.domain.event import Event
from tapeline.state import rows
from tapeline.state.vault import Vault

Subscriber = Callable[[port.Transaction, Event], None]


class WriteInRead(RuntimeError):
    """A read's work tried to write: our own error."""


class SqlTransaction:
    """`domain.port.Transaction` over one connection; lives as long as one `work`."""

    accounts: port.AccountRows
    applications: port.ApplicationRows
    numbers: port.NumberRows
    calls: port.CallRows
    conferences: port.ConferenceRows
    participants: port.ParticipantRows
    recordings: port.RecordingRows
    tracks: port.TrackRows
    manifests: port.ManifestRows
    keeping: port.KeepingRows
    transcripts: port.TranscriptRows
    deliveries: port.DeliveryRows
    endpoints: port.EndpointRows
    trunks: port.TrunkRows
    policies: port.PolicyRows
    buckets: port.BucketRows
    stored: port.StoredRows
    works: port.WorkRows
    events: rows.EventRows

    def __init__(
        self,
        connection: sa.Connection,
        vault: Vault,
        *,
        subscribers: Sequence[Subscriber] = (),
        may_write: bool = True,
    ) -> None:
        self.accounts = rows.AccountRows(connection, vault)
        self.applications = rows.ApplicationRows(connection)
        self.numbers = rows.NumberRows(connection)
        self.calls = rows.CallRows(connection)
        self.conferences = rows.ConferenceRows(connection)
        self.participants = rows.ParticipantRows(connection)
        self.recordings = rows.RecordingRows(connection)
        self.tracks = rows.TrackRows(connection)
        self.manifests = rows.ManifestRows(connection, may_write=may_write)
        self.keeping = rows.KeepingRows(connection)
        self.transcripts = rows.TranscriptRows(connection)
        self.deliveries = rows.DeliveryRows(connection)
        self.endpoints = rows.EndpointRows(connection)
        self.trunks = rows.TrunkRows(connection, vault)
        self.policies = rows.PolicyRows(connection)
        self.buckets = rows.BucketRows(connection, vault)
        self.stored = rows.StoredRows(connection)
        self.works = rows.WorkRows(connection)
        self.events = rows.EventRows(connection)
        self.emitted: list[Event] = []
        self.afterwards: list[Callable[[], None]] = []
        self._subscribers = subscribers
        self._may_write = may_write

    def emit(self, event: Event) -> None:
        """Stores the event and lets the in-transaction subscribers add to the transaction."""
        if not self._may_write:
            raise WriteInRead(f"{event.name} emitted in a read")
        self.events.add(event)
        self.emitted.append(event)
        for subscriber in self._subscribers:
            subscriber(self, event)

    def on_commit(self, run: Callable[[], None]) -> None:
        """`run` is called on the event loop once this work is durable; never when it is not."""
        self.afterwards.append(run)
