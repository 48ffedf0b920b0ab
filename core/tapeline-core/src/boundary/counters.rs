//! Counters that `stats` reads: plain atomics, written from any thread without a lock.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

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
    /// RMS of the last 100 ms into the room, hundredths of dBov (0 is full scale, about -9000 silence).
    pub level_rx_cdb: AtomicI64,
    /// RMS of the last 100 ms out of the room.
    pub level_tx_cdb: AtomicI64,
}
