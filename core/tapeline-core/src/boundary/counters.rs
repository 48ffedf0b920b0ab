//! Counters that `stats` reads: plain atomics, written from any thread without a lock.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Totals since the start of the core.
        #[derive(Default, Debug)]
        pub struct Counters {
            $($(#[$doc])* pub $name: AtomicU64,)*
        }

        impl Counters {
            /// Name and present value of each.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.load(Ordering::Relaxed)),)*]
            }
        }
    };
}

counters! {
    /// A panic that was caught: a bug of ours. A test run that counted one fails.
    caught_panics,
    sip_received,
    sip_sent,
    /// Not SIP, or SIP beyond repair.
    sip_malformed,
    sip_rate_limited,
    sip_refused_source,
    /// Answered with 401.
    sip_challenged,
    /// A digest that was wrong.
    sip_wrong_digest,
    /// From a source that is not heard for a while.
    sip_silenced,
    sip_streams_opened,
    sip_streams_closed,
    /// Turned away: as many as may be were open, or no handshake was done in time.
    sip_streams_refused,
    calls_arrived,
    /// INVITEs of ours.
    calls_dialled,
    calls_answered,
    calls_ended,
    /// The supervisor rebuilt the SIP thread.
    sip_rebuilds,
    ticks,
    /// Run later than 5 ms after their deadline.
    ticks_late,
    /// Not run at all: more than five were due. Recordings hold silence for them.
    ticks_skipped,
    tick_busy_us,
    rtp_received,
    rtp_sent,
    /// Not RTP, wrong payload type, from a stranger.
    rtp_ignored,
    rtp_lost,
    /// SRTP of a wrong key, or forged.
    srtp_forged,
    /// SRTP that had been heard before, or too old to tell.
    srtp_replayed,
    rtp_late,
    frames_concealed,
    peer_unreachable,
    /// Ticks of silence in what is played, because its player was late.
    play_underruns,
    events_dropped,
    recordings_started,
    recordings_finished,
    /// Frames that found the recording's ring full.
    ring_overflow_frames,
    bytes_written,
    syncs,
    sync_busy_us,
}

impl Counters {
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

/// One leg's live figures, shared by the tick (writer) and anyone who asks.
#[derive(Debug, Default)]
pub struct LegStats {
    pub packets_received: AtomicU64,
    pub packets_sent: AtomicU64,
    pub packets_lost: AtomicU64,
    pub packets_late: AtomicU64,
    pub frames_concealed: AtomicU64,
    /// Present delay of the jitter buffer, milliseconds.
    pub buffer_delay_ms: AtomicU32,
    /// Rate of its codec; 0 before its audio began.
    pub rate_hz: AtomicU32,
    /// Interarrival jitter of the peer's stream (RFC 3550 §6.4.1), milliseconds.
    pub jitter_ms: AtomicU32,
    /// Microseconds there and back, from the peer's last report; 0: none has come.
    pub round_trip_us: AtomicU32,
    /// Packets of ours that the peer missed, by its last report.
    pub remote_lost: AtomicU64,
    /// Estimated MOS of what we hear, hundredths, over the last five seconds; 0: not yet.
    pub mos_x100: AtomicU32,
    /// The same over the whole call.
    pub call_mos_x100: AtomicU32,
    /// The most that the jitter was, milliseconds.
    pub jitter_max_ms: AtomicU32,
    /// RMS of the last 100 ms into the room, hundredths of dBov (0 is full scale, about -9000 silence).
    pub level_rx_cdb: AtomicI32,
    /// RMS of the last 100 ms out of the room.
    pub level_tx_cdb: AtomicI32,
}

/// How a call's audio was, told at its end; fields as in [`LegStats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallQuality {
    /// `None`: nothing came.
    pub mos_x100: Option<u32>,
    pub packets_received: u64,
    pub packets_lost: u64,
    pub packets_late: u64,
    pub jitter_max_ms: u32,
    pub packets_sent: u64,
    pub remote_lost: u64,
}

impl LegStats {
    pub fn quality(&self) -> CallQuality {
        let mos_x100 = self.call_mos_x100.load(Ordering::Relaxed);
        CallQuality {
            mos_x100: (mos_x100 > 0).then_some(mos_x100),
            packets_received: self.packets_received.load(Ordering::Relaxed),
            packets_lost: self.packets_lost.load(Ordering::Relaxed),
            packets_late: self.packets_late.load(Ordering::Relaxed),
            jitter_max_ms: self.jitter_max_ms.load(Ordering::Relaxed),
            packets_sent: self.packets_sent.load(Ordering::Relaxed),
            remote_lost: self.remote_lost.load(Ordering::Relaxed),
        }
    }
}

/// Present rate of each room in Hz, by its slot; 0: there is none. Written by the tick.
#[derive(Debug)]
pub struct RoomRates(Vec<AtomicU32>);

impl RoomRates {
    pub fn new(rooms: u32) -> Self {
        Self((0..rooms).map(|_| AtomicU32::new(0)).collect())
    }

    pub fn set(&self, slot: u32, rate_hz: u32) {
        if let Some(rate) = self.0.get(slot as usize) {
            rate.store(rate_hz, Ordering::Relaxed);
        }
    }

    pub fn get(&self, slot: u32) -> u32 {
        self.0.get(slot as usize).map_or(0, |rate| rate.load(Ordering::Relaxed))
    }
}
