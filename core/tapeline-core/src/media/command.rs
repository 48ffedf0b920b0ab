//! The way onto the media thread: a ring of commands that the tick empties at its start.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use crate::boundary::command::{CommandId, RoomCommand};
use crate::boundary::counters::LegStats;
use crate::boundary::digits::DigitString;
use crate::boundary::handle::LegHandle;
pub use crate::media::codec::Codec;
use crate::media::leg::LegCodec;
use crate::media::srtp::{Srtp, SrtpKeys};
use crate::play::feed::Playback;
use crate::record::tap::Tap;

/// Who may send (RFC 3264 §5.1), seen from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

/// Where the peer's RTCP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RtcpPlace {
    /// The port above that of its RTP (RFC 3550 §11).
    #[default]
    NextPort,
    /// With its RTP (RFC 5761).
    Multiplexed,
    /// Where its `a=rtcp` says (RFC 3605).
    At(SocketAddr),
}

/// telephone-event (RFC 4733) in a leg's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEvents {
    pub payload_type: u8,
    /// Of durations; that of the stream's timestamps (§2.1), but for peers that offer 8000 only beside
    /// Opus.
    pub clock_hz: u32,
}

/// What offer and answer agreed on for one leg.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// Where the SDP says its audio comes from and goes to; symmetric RTP corrects it.
    pub remote: SocketAddr,
    pub codec: Codec,
    pub payload_type: u8,
    /// How keys are told, when agreed.
    pub telephone_event: Option<KeyEvents>,
    /// Packet time we send with, milliseconds.
    pub packet_ms: u8,
    pub direction: Direction,
    pub rtcp: RtcpPlace,
    /// `None`: plain RTP.
    pub srtp: Option<SrtpKeys>,
}

/// A leg about to be heard; made off the tick.
pub struct LegSetup {
    pub leg: LegHandle,
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    pub agreement: Agreement,
    /// Of the agreed codec; taken out when the leg begins.
    pub codec: Option<Box<LegCodec>>,
    /// Made of the agreement's keys; taken out when the leg begins.
    pub srtp: Option<Box<Srtp>>,
    pub stats: Arc<LegStats>,
}

/// What the media thread does; each is applied at the start of a tick, in order.
pub enum MediaCommand {
    AddLeg(Box<LegSetup>),
    /// A re-INVITE changed what was agreed.
    ChangeLeg {
        leg: LegHandle,
        agreement: Box<Agreement>,
        /// When the codec is another one.
        codec: Option<Box<LegCodec>>,
        /// Made of the agreement's keys.
        srtp: Option<Box<Srtp>>,
    },
    /// A key that the far end told by SIP INFO.
    Key {
        leg: LegHandle,
        digit: u8,
        duration_ms: u32,
    },
    /// Answered when the last key is released.
    SendDigits {
        command: CommandId,
        leg: LegHandle,
        digits: DigitString,
        tone_ms: u16,
        gap_ms: u16,
    },
    RemoveLeg {
        leg: LegHandle,
    },
    /// A start whose file is open. When its target has gone meanwhile the tap is let go, and the writer
    /// says that the recording has finished.
    AddTap {
        tap: Box<Tap>,
    },
    /// A file that is open; `command` is answered when it is queued at its target.
    AddPlay {
        command: CommandId,
        play: Box<Playback>,
    },
    Room {
        command: CommandId,
        action: RoomCommand,
    },
    Stop,
}

/// The media thread has not emptied its ring: it hangs, or commands come faster than ticks can take them.
#[derive(Debug, PartialEq, Eq)]
pub struct MediaBusy;

/// Producers share one ring under a lock that the media thread never takes.
#[derive(Clone)]
pub struct MediaHandle {
    ring: Arc<Mutex<rtrb::Producer<MediaCommand>>>,
}

const RING_CAPACITY: usize = 16_384;

impl MediaHandle {
    pub fn new() -> (Self, rtrb::Consumer<MediaCommand>) {
        let (producer, consumer) = rtrb::RingBuffer::new(RING_CAPACITY);
        (Self { ring: Arc::new(Mutex::new(producer)) }, consumer)
    }

    pub fn send(&self, command: MediaCommand) -> Result<(), MediaBusy> {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.push(command).map_err(|_| MediaBusy)
    }
}
