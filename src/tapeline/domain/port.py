"""What the control plane needs from beneath it; `node` wires the concrete parts in."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from tapeline.domain.account import Account
from tapeline.domain.application import Application, Number
from tapeline.domain.call import Call, CallState
from tapeline.domain.command import CallFilter, RecordingFilter
from tapeline.domain.conference import Conference, ConferenceState, Participant
from tapeline.domain.delivery import Attempt, Delivery
from tapeline.domain.endpoint import Binding, Endpoint
from tapeline.domain.event import Event
from tapeline.domain.id import (
    AccountId,
    ApplicationId,
    BucketId,
    CallId,
    ConferenceId,
    DeliveryId,
    EndpointId,
    EpochMs,
    MemberId,
    NodeId,
    RecordingId,
    TranscriptId,
    TrunkId,
)
from tapeline.domain.keeping import Keeping
from tapeline.domain.manifest import Manifest, PersonalValue
from tapeline.domain.policy import PolicySubject, RecordPolicy
from tapeline.domain.recording import Recording, Track
from tapeline.domain.signal import (
    DialSpec,
    HeardBy,
    LegHandle,
    LegLevels,
    PlaybackHandle,
    PlaySpec,
    RecorderHandle,
    RecorderSpec,
    RepairReport,
    RoomHandle,
    Signal,
    TracedMessage,
)
from tapeline.domain.sound import Sound
from tapeline.domain.storage import Bucket, Stored
from tapeline.domain.transcript import Transcript
from tapeline.domain.trunk import Trunk
from tapeline.domain.work import Work

ResultT = TypeVar("ResultT")


class Clock(Protocol):
    def now_ms(self) -> EpochMs: ...


class Engine(Protocol):
    """The live core. Each command returns when the core has done it, or raises EngineFailed."""

    def subscribe(self, receive: Callable[[Signal], None]) -> None:
        """`receive` is called on the event loop for each signal, in the order the core sent
        them.
        """

    async def ring(self, leg: LegHandle) -> None: ...
    async def answer(self, leg: LegHandle) -> None: ...
    async def reject(self, leg: LegHandle, *, status: int, reason: str) -> None: ...
    async def dial(self, spec: DialSpec) -> LegHandle:
        """Returns when the INVITE is on its way; CallRinging, CallAnswered or CallEnded follow.

        Raises Invalid for what is no `sip:` URI, caller or header.
        """

    async def progress(self, leg: LegHandle) -> None:
        """Early media: a ringing caller hears from here on what is played to its leg. Raises
        EngineFailed for one that could not (no offer, no reliable responses).
        """

    async def hang_up(self, leg: LegHandle, *, cause: int = 0, reason: str = "") -> None:
        """The far end is told a `cause`, a final SIP status, where there is one (RFC 3326). Raises
        Invalid for another.
        """

    async def accept_transfer(self, leg: LegHandle) -> None:
        """The far end that asked (TransferAsked) hears of its progress by `report_transfer`."""

    async def refuse_transfer(self, leg: LegHandle, *, status: int) -> None:
        """With a SIP status of 300 to 699."""

    async def report_transfer(self, leg: LegHandle, *, status: int) -> None:
        """How the call of an accepted transfer goes; a final status ends it."""

    async def send_digits(
        self, leg: LegHandle, digits: str, *, tone_ms: int = 100, gap_ms: int = 80
    ) -> None:
        """Presses keys on a leg: `0-9*#A-D`, at most 64; `w` waits half a second, `W` a second.
        Returns when the last is released. Raises Invalid for anything else in it, EngineFailed on
        hold and when too many wait.
        """

    async def create_room(self, *, rate_hz: int) -> RoomHandle: ...
    async def close_room(self, room: RoomHandle) -> None: ...
    async def join(  # noqa: PLR0913 what `set_participant` changes, as it is at first
        self,
        leg: LegHandle,
        room: RoomHandle,
        *,
        muted: bool = False,
        deaf: bool = False,
        on_hold: bool = False,
        gain_db: float = 0.0,
        heard_by: HeardBy = "everyone",
        answers: bool = False,
    ) -> None:
        """Moves the leg from wherever it is; what is set holds from its first tick there on.

        `answers` a call that rings: nothing that its phone says from then on is missed by the
        room. It may be answered though this fails.

        Raises Invalid as `set_participant` does.
        """

    async def leave(self, leg: LegHandle) -> None:
        """What was set of the participant is forgotten."""

    async def set_participant(
        self,
        leg: LegHandle,
        *,
        muted: bool | None = None,
        deaf: bool | None = None,
        on_hold: bool | None = None,
        gain_db: float | None = None,
        heard_by: HeardBy | None = None,
    ) -> None:
        """Changes who hears whom from the next tick on; None leaves a thing as it is.

        A muted leg says nothing, a deaf one hears nothing of its room; one on hold neither says nor
        hears anything but what is played to it. `gain_db`, -60 to 20, raises what it says, without
        clipping. `heard_by` names those who hear it: everyone, at most eight legs of its room (it
        whispers), or none (it monitors). What a room's recordings hold is what everyone hears.

        Raises Invalid for another gain and for more legs.
        """

    async def play(self, spec: PlaySpec) -> PlaybackHandle:
        """Returns when it is queued; PlayFinished follows, once. Raises EngineFailed for a file
        that cannot be read, Invalid for tones or a level out of range.
        """

    async def stop_play(self, playback: PlaybackHandle) -> None: ...
    async def stop_plays(
        self, *, leg: LegHandle | None = None, room: RoomHandle | None = None
    ) -> None:
        """Everything that plays or waits at one target; fine when nothing does."""

    async def start_recording(self, spec: RecorderSpec) -> RecorderHandle:
        """Returns once armed. Raises DiskFull when the core refused for want of space."""

    async def stop_recording(self, recorder: RecorderHandle) -> None:
        """Returns when the stop was applied; RecordingFinished follows."""

    async def pause_recording(self, recorder: RecorderHandle) -> None:
        """Until it is resumed nothing of the audio exists anywhere. Pausing twice is once."""

    async def resume_recording(self, recorder: RecorderHandle) -> None: ...
    async def set_draining(self, *, draining: bool) -> None: ...
    async def set_credentials(self, table: Sequence[tuple[str, str, str, str]]) -> None:
        """Who may prove itself by digest, all of them: username, owner, and the two hashes of
        user, realm and password in hex (MD5, SHA-256; "" takes no digest of that kind). Raises
        Invalid for a username that is there twice and for what is no hash.
        """

    async def set_sources(self, table: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Whose requests come from which networks, all of them: owner, networks. Raises Invalid for
        what is no network.
        """

    async def set_locations(
        self, table: Sequence[tuple[str, Sequence[tuple[str, str, int]]]]
    ) -> None:
        """What was registered when the node stopped: owner and its contacts, each with its route
        and its end in milliseconds since 1970. What is registered anew by then stays. Raises
        Invalid.
        """

    async def register(
        self,
        trunk: str,
        *,
        registrar: str,
        aor: str,
        username: str,
        password: str,
        expires_s: int,
    ) -> None:
        """Kept up, with back-off, until `unregister`; TrunkRegistered and TrunkUnregistered tell
        how it goes. Takes the place of an earlier one of the trunk. `registrar` and `aor` are URIs,
        `expires_s` is 60 to 86400; raises Invalid for others.
        """

    async def unregister(self, trunk: str) -> None:
        """Raises EngineFailed when there is nothing to take back."""

    async def watch(self, trunk: str, uris: Sequence[str], *, every_s: int) -> None:
        """OPTIONS to each, at most 16, every 2 to 3600 s; TrunkTarget tells changes, and the first
        answer. No URIs: nothing is watched any more. Raises Invalid.
        """

    def levels(self, leg: LegHandle) -> LegLevels | None: ...
    def sip_trace(self, call: LegHandle | str) -> Sequence[TracedMessage]:
        """The last messages of a call, by its leg or its SIP Call-ID; none of a call that is
        forgotten.
        """

    def stats(self) -> Mapping[str, int]: ...


class SpoolTools(Protocol):
    """The core's offline half: pure functions over a recording's spool folder."""

    def repair(self, folder: str) -> RepairReport:
        """Makes `audio.part` playable and says what it holds. Blocking: call it in a thread."""


class Recogniser(Protocol):
    """Speech to text."""

    async def transcribe(self, audio: Path) -> str:
        """The words of a WAV or MP3 file; "" when nobody speaks. Raises RecogniserFailed."""


class Synthesiser(Protocol):
    """Text to speech."""

    async def speak(self, text: str, out: Path, *, voice: str, language: str) -> None:
        """Writes a mono WAV. Raises CannotBeSpoken, SynthesiserFailed."""


class SoundSource(Protocol):
    """Files to be played."""

    def file(self, sound: Sound) -> AbstractAsyncContextManager[Path]:
        """What the core can play as often as it likes until the context ends: a WAV, MP3 or Ogg
        Opus file, or a socket that gives one (`PlaySpec.path`). Raises DestinationFault,
        CannotBeSpoken, SynthesiserFailed, OSError.
        """


class RecordingStore(Protocol):
    """Bytes of finished recordings, by storage key."""

    async def put(self, source: Path, key: str) -> None:
        """Moves a file to its key, durably. Raises FileNotFoundError without a source, OSError."""

    async def read(self, storage_key: str, *, offset: int, length: int) -> bytes:
        """Fewer bytes only at the end. Raises FileNotFoundError."""

    async def size(self, key: str) -> int | None:
        """None when there is nothing under that key."""

    async def delete(self, storage_key: str) -> None:
        """Nothing happens when there is nothing under that key."""


class AccountRows(Protocol):
    def add(self, account: Account) -> None: ...
    def update(self, account: Account) -> None: ...
    def get(self, account_id: AccountId) -> Account | None: ...
    def by_api_key_hash(self, api_key_hash: str) -> Account | None: ...
    def all(self) -> Sequence[Account]: ...


class ApplicationRows(Protocol):
    def add(self, application: Application) -> None: ...
    def update(self, application: Application) -> None: ...
    def get(self, application_id: ApplicationId) -> Application | None:
        """A deleted one too: what it steers goes on."""

    def all(self, account_id: AccountId | None) -> Sequence[Application]:
        """Newest first; without those made for one call and deleted ones."""


class NumberRows(Protocol):
    def add(self, number: Number) -> None:
        """Raises AlreadyExists."""

    def all(self, account_id: AccountId | None) -> Sequence[Number]: ...
    def remove_of(self, application_id: ApplicationId) -> None:
        """Every number that leads to that application."""

    def match(self, called: str) -> Number | None:
        """The number whose literal part is the longest that fits; an exact one wins."""


class CallRows(Protocol):
    def add(self, call: Call) -> None: ...
    def update(self, call: Call) -> None: ...
    def get(self, call_id: CallId) -> Call | None: ...
    def list(
        self,
        account_id: AccountId | None,
        *,
        only_live: bool,
        limit: int,
        state: CallState | None = None,
        application_id: ApplicationId | None = None,
    ) -> Sequence[Call]: ...
    def page(
        self, account_id: AccountId, wanted: CallFilter, *, limit: int, offset: int
    ) -> tuple[Sequence[Call], int]:
        """Newest first, and how many there are in all."""

    def open_of(self, node_id: NodeId) -> Sequence[Call]: ...


class ConferenceRows(Protocol):
    def add(self, conference: Conference) -> None: ...
    def update(self, conference: Conference) -> None: ...
    def get(self, conference_id: ConferenceId) -> Conference | None: ...
    def live(self, account_id: AccountId, name: str) -> Conference | None: ...
    def last(self, account_id: AccountId, name: str) -> Conference | None:
        """The newest of that name, live or ended."""

    def list(
        self,
        account_id: AccountId | None,
        *,
        only_live: bool,
        limit: int,
        name: str | None = None,
        state: ConferenceState | None = None,
    ) -> Sequence[Conference]: ...
    def open_of(self, node_id: NodeId) -> Sequence[Conference]: ...


class ParticipantRows(Protocol):
    def next_member_id(self, account_id: AccountId) -> MemberId:
        """Counts up per account."""

    def add(self, participant: Participant) -> None: ...
    def update(self, participant: Participant) -> None: ...
    def present(self, conference_id: ConferenceId) -> Sequence[Participant]:
        """Those that have not left, in the order they joined."""

    def ever_in(self, conference_id: ConferenceId) -> Sequence[Participant]:
        """Those that have left, too, in the order they joined."""

    def of_call(self, call_id: CallId) -> Participant | None:
        """Where the call is now."""


class RecordingRows(Protocol):
    def add(self, recording: Recording) -> None: ...
    def update(self, recording: Recording) -> None: ...
    def get(self, recording_id: RecordingId) -> Recording | None: ...
    def open_on_conference(self, conference_id: ConferenceId) -> Sequence[Recording]: ...
    def unfinished_of(self, node_id: NodeId) -> Sequence[Recording]:
        """Neither completed nor failed nor absent nor deleted."""

    def list(
        self, account_id: AccountId | None, wanted: RecordingFilter, *, limit: int, offset: int
    ) -> tuple[Sequence[Recording], int]:
        """A page, newest first, and how many there are in all; without deleted ones."""


class TrackRows(Protocol):
    def replace(self, recording_id: RecordingId, found: Sequence[Track]) -> None:
        """These are all that the recording has."""

    def of_recording(self, recording_id: RecordingId) -> Sequence[Track]:
        """In the order of their numbers."""


class ManifestRows(Protocol):
    def head(self, account_id: AccountId) -> Manifest | None:
        """The newest link of the account's chain. In a write nobody else adds to that chain until
        the transaction ends.
        """

    def add(self, manifest: Manifest) -> None: ...
    def of_recording(self, recording_id: RecordingId) -> Sequence[Manifest]:
        """In the order of their numbers."""

    def chain(self, account_id: AccountId, *, after: int, limit: int) -> Sequence[Manifest]:
        """Links with higher numbers than `after`, in order."""

    def add_values(self, recording_id: RecordingId, values: Sequence[PersonalValue]) -> None: ...
    def values(self, recording_id: RecordingId) -> Sequence[PersonalValue]:
        """By name; none when they were erased."""

    def erase_values(self, recording_id: RecordingId) -> None: ...


class KeepingRows(Protocol):
    def get(self, recording_id: RecordingId) -> Keeping:
        """One in which all is None where nothing was said."""

    def put(self, kept: Keeping) -> None:
        """Takes the place of what was there."""

    def remove(self, recording_id: RecordingId) -> None: ...
    def begun(self, *, limit: int) -> Sequence[Keeping]:
        """Deletions that have begun and left traces, oldest first."""

    def due(self, now_ms: EpochMs, *, limit: int) -> Sequence[RecordingId]:
        """Whose own date has come, and no hold forbids it."""

    def due_of(
        self, account_id: AccountId, ended_by_ms: EpochMs, *, limit: int
    ) -> Sequence[RecordingId]:
        """The account's that ended by then, have no date of their own and no hold."""

    def erase_traces(self, recording_id: RecordingId) -> int:
        """What events and callbacks that have come to their end say of the recording; returns how
        many callbacks are still to go out, with what they say.
        """


class TranscriptRows(Protocol):
    def add(self, transcript: Transcript) -> None: ...
    def update(self, transcript: Transcript) -> None: ...
    def delete_of(self, recording_id: RecordingId) -> None:
        """All of the recording's."""

    def get(self, transcript_id: TranscriptId) -> Transcript | None: ...
    def of_recording(self, recording_id: RecordingId) -> Transcript | None:
        """The newest."""

    def pending(self, limit: int) -> Sequence[Transcript]:
        """Oldest first."""

    def list(
        self, account_id: AccountId | None, recording_id: RecordingId | None, *, limit: int
    ) -> Sequence[Transcript]:
        """Newest first."""


class DeliveryRows(Protocol):
    def add(self, delivery: Delivery) -> None: ...
    def update(self, delivery: Delivery) -> None: ...
    def get(self, delivery_id: DeliveryId) -> Delivery | None: ...
    def add_attempt(self, attempt: Attempt) -> None: ...
    def attempts(self, delivery_id: DeliveryId) -> Sequence[Attempt]: ...
    def due(
        self,
        now_ms: EpochMs,
        *,
        limit: int,
        per_destination: int | None = None,
        under_way: Mapping[str, AbstractSet[DeliveryId]] | None = None,
    ) -> Sequence[Delivery]:
        """Pending, due, oldest first; of one order key only the oldest pending.

        At most `per_destination` of one `message.destination`, with those `under_way` (by
        destination) counted in but left out of the answer.
        """

    def next_due_ms(self, after_ms: EpochMs | None = None) -> EpochMs | None:
        """The earliest instant after `after_ms` at which a pending delivery is due."""

    def pending_count(self) -> int: ...

    def list(
        self, account_id: AccountId | None, order_key: str | None, *, limit: int
    ) -> Sequence[Delivery]: ...


class EndpointRows(Protocol):
    def add(self, endpoint: Endpoint) -> None:
        """Raises AlreadyExists: a node has each username once."""

    def update(self, endpoint: Endpoint) -> None: ...
    def get(self, endpoint_id: EndpointId) -> Endpoint | None: ...
    def by_username(self, username: str) -> Endpoint | None: ...
    def all(self, account_id: AccountId | None) -> Sequence[Endpoint]:
        """By username."""

    def remove(self, endpoint_id: EndpointId) -> None:
        """And where it was."""

    def replace_bindings(self, endpoint_id: EndpointId, found: Sequence[Binding]) -> None:
        """These are all that it has."""

    def bindings(self, endpoint_id: EndpointId | None) -> Sequence[Binding]:
        """Of one or of all; expired ones too."""


class TrunkRows(Protocol):
    def add(self, trunk: Trunk) -> None:
        """Raises AlreadyExists: an account has each name once."""

    def update(self, trunk: Trunk) -> None: ...
    def get(self, trunk_id: TrunkId) -> Trunk | None: ...
    def by_name(self, account_id: AccountId, name: str) -> Trunk | None: ...
    def all(self, account_id: AccountId | None) -> Sequence[Trunk]:
        """In the order they were added."""

    def remove(self, trunk_id: TrunkId) -> None: ...


class PolicyRows(Protocol):
    def put(self, policy: RecordPolicy) -> None:
        """Takes the place of what its subject had."""

    def of(self, subject: PolicySubject, subject_id: str) -> RecordPolicy | None: ...
    def all(self, account_id: AccountId | None) -> Sequence[RecordPolicy]:
        """By subject."""

    def remove(self, subject: PolicySubject, subject_id: str) -> bool:
        """Whether there was one."""


class BucketRows(Protocol):
    def add(self, bucket: Bucket) -> None: ...
    def update(self, bucket: Bucket) -> None: ...
    def get(self, bucket_id: BucketId) -> Bucket | None:
        """A retired one too: what lies there is still served."""

    def current(self, account_id: AccountId) -> Bucket | None:
        """The account's own, else the node's, else none."""

    def all(self) -> Sequence[Bucket]:
        """In the order they were added; retired ones too."""


class StoredRows(Protocol):
    def add(self, found: Stored) -> None: ...
    def update(self, found: Stored) -> None: ...
    def get(self, recording_id: RecordingId) -> Stored | None: ...
    def counts(self) -> dict[str, int]:
        """How many by `Stored.words`."""


class WorkRows(Protocol):
    def add(self, work: Work) -> None: ...
    def update(self, work: Work) -> None: ...
    def get(self, recording_id: RecordingId) -> Work | None: ...
    def pending_of(self, node_id: NodeId, *, limit: int) -> Sequence[Work]:
        """Of recordings whose bytes that node made; those that waited longest first."""

    def counts(self) -> dict[str, int]:
        """How many are not done, by state."""


class Transaction(Protocol):
    """One database transaction. Everything in it happens, or nothing does."""

    accounts: AccountRows
    applications: ApplicationRows
    numbers: NumberRows
    calls: CallRows
    conferences: ConferenceRows
    participants: ParticipantRows
    recordings: RecordingRows
    tracks: TrackRows
    manifests: ManifestRows
    keeping: KeepingRows
    transcripts: TranscriptRows
    deliveries: DeliveryRows
    endpoints: EndpointRows
    trunks: TrunkRows
    policies: PolicyRows
    buckets: BucketRows
    stored: StoredRows
    works: WorkRows

    def emit(self, event: Event) -> None:
        """Stores the event; in-transaction subscribers run now, the others after the commit."""

    def on_commit(self, run: Callable[[], None]) -> None:
        """`run` is called on the event loop once this is durable; never if it rolls back."""


class Store(Protocol):
    """Rows. `work` is synchronous, runs off the event loop and must only use the transaction."""

    async def write(self, work: Callable[[Transaction], ResultT]) -> ResultT:
        """Runs `work` in a transaction and returns after the commit. An exception rolls it back.

        Many writes may share one commit; each has its own savepoint.
        """

    async def read(self, work: Callable[[Transaction], ResultT]) -> ResultT:
        """Runs `work` on a snapshot; writing in it is an error."""

    def subscribe(
        self,
        *,
        in_transaction: Callable[[Transaction, Event], None] | None = None,
        after_commit: Callable[[Sequence[Event]], None] | None = None,
    ) -> None:
        """`in_transaction` may add rows to the transaction; `after_commit` runs on the event
        loop.
        """


class Ownership(Protocol):
    """Which node owns a live call or conference; one node owns everything until there are more."""

    @property
    def node_id(self) -> NodeId: ...


class Workflows(Protocol):
    """Carries `Step`s out, one after the other, and goes on where it was after any end of the
    process. What it carries out, and what became of it, is in the rows (`Work`).
    """

    async def start(self, workflow_id: str, recording_id: RecordingId) -> None:
        """Starting one of the same id twice is starting it once. Raises Unavailable."""

    async def has_ended(self, workflow_id: str) -> bool:
        """False too for one that was never started. Raises Unavailable."""

    async def forget_ended(self) -> None:
        """Drops what it keeps of those that have ended."""
