//! What the core reports. Variants that the media thread sends hold no heap memory.

use std::borrow::Cow;

use crate::boundary::command::CommandId;
use crate::boundary::counters::CallQuality;
use crate::boundary::handle::{LegHandle, PlaybackHandle, RecorderHandle, RoomHandle};
use crate::boundary::identity::Location;
use crate::boundary::transport::Transport;

/// Why a leg ended, as SIP and RTP saw it; the control plane names its own cause when it asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The far end sent BYE.
    RemoteBye,
    /// The far end sent CANCEL before the answer.
    RemoteCancel,
    /// We sent BYE or a final response because a command said so.
    Command,
    /// Our 2xx was never acknowledged (RFC 3261 §13.3.1.4: 64*T1).
    NoAck,
    /// The far end did not answer our request, cannot be found, or its transport is gone.
    Unreachable,
    /// It rang for as long as a call may; we sent 480, or CANCEL when we dialled.
    Unanswered,
    /// The far end answered our INVITE with a final response that is no 2xx.
    Rejected,
    /// Its session timer ran out (RFC 4028 §10): nobody has shown for so long that the call lives.
    Expired,
    /// A fault inside the core; counted as a caught panic too.
    Fault,
}

impl EndedBy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RemoteBye => "remote_bye",
            Self::RemoteCancel => "remote_cancel",
            Self::Command => "command",
            Self::NoAck => "no_ack",
            Self::Unreachable => "unreachable",
            Self::Unanswered => "unanswered",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Fault => "fault",
        }
    }
}

/// Why a recorder stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    Command,
    RoomClosed,
    /// The leg that was recorded has ended.
    LegGone,
    TimeLimit,
    SilenceLimit,
    /// The writer could not go on (disk full, file gone); what was written stays.
    WriterFailed,
}

impl FinishReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::RoomClosed => "room_closed",
            Self::LegGone => "leg_gone",
            Self::TimeLimit => "time_limit",
            Self::SilenceLimit => "silence_limit",
            Self::WriterFailed => "writer_failed",
        }
    }
}

/// Why a playback is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayEnd {
    Completed,
    /// By command, or because the node stops.
    Stopped,
    TargetGone,
    /// Something is wrong with the file.
    Failed,
}

impl PlayEnd {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::TargetGone => "target_gone",
            Self::Failed => "failed",
        }
    }
}

/// An INVITE that passed admission and has a codec in common with us.
#[derive(Clone, Debug)]
pub struct CallArrived {
    pub leg: LegHandle,
    /// User part of the request URI, percent-decoded.
    pub called: String,
    /// User part of From, percent-decoded; empty when there is none.
    pub caller: String,
    pub caller_name: String,
    pub request_uri: String,
    /// Address and port the request came from.
    pub source: String,
    pub sip_call_id: String,
    /// Whose call it is: empty for an allowed network, else whom the address or the digest shows.
    pub owner: String,
    pub transport: Transport,
    /// The call that this one shall take the place of (RFC 3891).
    pub replaces: Option<LegHandle>,
    /// `X-…` headers, name as sent, at most 32.
    pub extra_headers: Vec<(String, String)>,
}

/// A far end wants its call to go on with somebody else (REFER).
#[derive(Clone, Debug)]
pub struct TransferAsked {
    pub leg: LegHandle,
    /// URI of `Refer-To`, without headers.
    pub target: String,
    /// Attended: the target is the far end of this leg of ours.
    pub replaces: Option<LegHandle>,
    /// What `Replaces` says, for a target elsewhere; else empty.
    pub replaces_header: String,
}

/// What a finished recording holds; sample counts are frames per channel.
#[derive(Clone, Debug)]
pub struct RecordingFinished {
    pub recorder: RecorderHandle,
    pub reason: FinishReason,
    pub sample_count: u64,
    pub rate_hz: u32,
    pub channels: u8,
    pub byte_count: u64,
    /// SHA-256 of the finished file, lower-case hex. Empty, and both counts 0, when not even what was
    /// written could be closed properly: then `repair` tells what is there.
    pub sha256: String,
    /// Wall clock of the first sample, microseconds since the epoch.
    pub started_unix_us: i64,
    /// Milliseconds of audio that are missing and stand as silence, by reason (`overflow`, `skipped ticks`, …).
    pub missing_ms: Vec<(String, u64)>,
    /// What is odd about audio that is there, and for how many milliseconds: `one_way_audio`,
    /// `silent_channel`, `clipping`, `encoder_fault` (encoded after the end, from raw samples).
    pub notes: Vec<(String, u64)>,
    /// The participants' own files, in the order in which they began.
    pub tracks: Vec<TrackFile>,
}

/// One stay of a participant, in `tracks/NNN` of its recording's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackFile {
    /// The `NNN`, from 1.
    pub number: u32,
    pub leg: u64,
    /// Where its first sample stands in the main file.
    pub offset_ms: u64,
    pub sample_count: u64,
    pub byte_count: u64,
    /// As in [`RecordingFinished`].
    pub sha256: String,
    pub missing_ms: Vec<(String, u64)>,
}

#[derive(Clone, Debug)]
pub enum Event {
    CommandDone {
        command: CommandId,
    },
    CommandFailed {
        command: CommandId,
        /// Static when the media thread says it: nothing is allocated on the tick.
        reason: Cow<'static, str>,
    },
    CallArrived(Box<CallArrived>),
    /// A carrier took our registration, or grants another time.
    TrunkRegistered {
        trunk: String,
        expires_s: u32,
    },
    /// It did not, or it was given up; `sip_status` 0: there was no answer.
    TrunkUnregistered {
        trunk: String,
        sip_status: u16,
        detail: String,
    },
    /// A target that is watched lives, or does not any more.
    TrunkTarget {
        trunk: String,
        uri: String,
        is_up: bool,
        /// 0: no answer.
        sip_status: u16,
    },
    /// All that an owner's phones have bound now.
    EndpointRegistered {
        owner: String,
        contacts: Vec<Location>,
    },
    /// The far end of a call of ours sent 180 or 183; each is told once.
    CallRinging {
        leg: LegHandle,
        sip_status: u16,
    },
    CallAnswered {
        leg: LegHandle,
    },
    CallEnded {
        leg: LegHandle,
        by: EndedBy,
        sip_status: u16,
        /// `None`: it never had audio.
        quality: Option<Box<CallQuality>>,
        /// The far end's `Reason:` (RFC 3326) as it stands, else empty.
        reason: String,
    },
    TransferAsked(Box<TransferAsked>),
    /// A re-INVITE or UPDATE of the far end has changed the audio of an answered call.
    CallUpdated {
        leg: LegHandle,
        /// The far end does not want to hear us.
        is_held: bool,
    },
    ParticipantJoined {
        leg: LegHandle,
        room: RoomHandle,
        unix_us: i64,
    },
    ParticipantLeft {
        leg: LegHandle,
        room: RoomHandle,
        unix_us: i64,
    },
    RoomEmpty {
        room: RoomHandle,
    },
    Digit {
        leg: LegHandle,
        /// ASCII: `0`-`9`, `*`, `#`, `A`-`D`.
        digit: u8,
        duration_ms: u32,
    },
    Talking {
        leg: LegHandle,
        is_talking: bool,
    },
    MediaTrouble {
        leg: LegHandle,
        kind: MediaTrouble,
    },
    /// Once for each play that was queued.
    PlayFinished {
        playback: PlaybackHandle,
        reason: PlayEnd,
        /// What is wrong with the file, else empty.
        detail: &'static str,
    },
    /// The start has been applied; the tick of `unix_us` gave the first sample.
    RecordingArmed {
        recorder: RecorderHandle,
        unix_us: i64,
    },
    /// Its pause was as long as a pause may be.
    RecordingResumed {
        recorder: RecorderHandle,
    },
    /// Once a second while it runs; what has been made durable.
    RecordingProgress {
        recorder: RecorderHandle,
        sample_count: u64,
        byte_count: u64,
    },
    RecordingFinished(Box<RecordingFinished>),
    RecorderTrouble {
        recorder: RecorderHandle,
        detail: String,
    },
    /// Sent before the ticks begin or from other threads, never on the tick.
    CoreTrouble {
        detail: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaTrouble {
    /// No packet for 10 s; cleared by the next one.
    NoPackets,
    PacketsAgain,
    /// Packets for 10 s without a sound in them; cleared by the next sound.
    Silent,
    SoundAgain,
}

impl MediaTrouble {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoPackets => "no_packets",
            Self::PacketsAgain => "packets_again",
            Self::Silent => "silent",
            Self::SoundAgain => "sound_again",
        }
    }
}
