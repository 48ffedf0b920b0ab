//! What the tick tells the writer beside samples: facts, gaps, pauses and the end, each at its place.

use crate::boundary::event::FinishReason;
use crate::boundary::handle::LegHandle;
use crate::media::leg::level::Sound;
use crate::record::tap::tracks::Voice;

/// When a tick happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickTime {
    pub unix_us: i64,
    pub monotonic_ns: u64,
}

/// Something that belongs to a place on the recording's timeline. `position` counts samples of one
/// channel since the start, silence for lost spans included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub position: u64,
    pub kind: MarkKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    Armed {
        at: TickTime,
    },
    /// The ring was full: so many samples were dropped here; the writer puts silence in their place.
    Overflow {
        samples: u64,
    },
    /// Ticks that never ran: silence for the writer to put in.
    SkippedTicks {
        samples: u64,
    },
    /// The same inside a pause that is silence in the file: nothing is missing.
    PausedTicks {
        samples: u64,
    },
    /// A participant of the recorded room. `delay_ms` is its jitter buffer's delay at that moment.
    Joined {
        leg: LegHandle,
        delay_ms: u32,
    },
    Left {
        leg: LegHandle,
    },
    BufferDelay {
        leg: LegHandle,
        delay_ms: u32,
    },
    /// Concealed samples of one leg inside the mix.
    Concealed {
        leg: LegHandle,
        samples: u32,
    },
    /// From now on a leg is silent, or sends nothing, or is heard again.
    Sound {
        leg: LegHandle,
        sound: Sound,
    },
    /// What follows was not recorded, by command.
    PauseBegan {
        unix_us: i64,
    },
    /// So many samples were not recorded; where pauses are silence, they end here.
    PauseEnded {
        samples: u64,
    },
    /// Silence before the first sound was left out: the first sample of the file is of that instant.
    AudioBegan {
        unix_us: i64,
    },
    /// The first of a track: whose it is, and where its first sample stands in the main recording.
    TrackBegan {
        voice: Voice,
        number: u32,
        offset: u64,
    },
    /// Of what was recorded, silence behind `keep` is cut off.
    Finished {
        reason: FinishReason,
        keep: u64,
    },
}
