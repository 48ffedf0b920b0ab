//! What a recording shall be.

use std::path::PathBuf;

use crate::boundary::handle::{LegHandle, RoomHandle};
use crate::record::silence::SilenceRule;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PCM16 little-endian; becomes RF64 past 4 GiB.
    Wav,
    /// CBR, encoded live by LAME.
    Mp3,
}

/// Whose audio is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One room; the recording ends with it.
    Room(RoomHandle),
    /// One leg, wherever it is: the recording follows it from room to room and ends with it.
    Leg(LegHandle),
}

/// What stands in the channels of the file. `rx` is what a leg says, `tx` what it hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelLayout {
    /// Mono. A room: everybody; a leg: both directions.
    Mix,
    Rx,
    Tx,
    /// Stereo, the first on the left.
    RxTx,
    TxRx,
    /// Stereo of a room: one leg on the left, everybody else on the right. The left is silent while
    /// that leg is not in the room.
    LegRest,
}

impl ChannelLayout {
    pub const ALL: [Self; 6] =
        [Self::Mix, Self::Rx, Self::Tx, Self::RxTx, Self::TxRx, Self::LegRest];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mix => "mix",
            Self::Rx => "rx",
            Self::Tx => "tx",
            Self::RxTx => "rx_tx",
            Self::TxRx => "tx_rx",
            Self::LegRest => "leg_rest",
        }
    }

    /// `None`: there is no layout of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.as_str() == name)
    }

    pub fn channels(self) -> u8 {
        match self {
            Self::Mix | Self::Rx | Self::Tx => 1,
            Self::RxTx | Self::TxRx | Self::LegRest => 2,
        }
    }

    pub fn suits(self, target: Target) -> bool {
        match target {
            Target::Room(_) => matches!(self, Self::Mix | Self::LegRest),
            Target::Leg(_) => self != Self::LegRest,
        }
    }
}

/// What a pause does to the file. Nothing of the paused span is kept anywhere, either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PauseRule {
    /// The file goes on with silence of the exact span; otherwise it goes on where it was.
    pub as_silence: bool,
    /// The recording resumes by itself after so many milliseconds; 0: never.
    pub limit_ms: u64,
}

/// The tones that say "recording". The target hears them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeepRule {
    pub at_start: bool,
    /// Another one so many milliseconds after the last, while the recording runs; 0: never.
    pub every_ms: u64,
    /// Their peak, hundredths of dB below full scale.
    pub level_cdb: i32,
    /// Whether they are in the file too.
    pub in_file: bool,
}

impl BeepRule {
    /// Clear, and below what hurts in an ear.
    pub const LEVEL_CDB: i32 = -1_500;
    pub const NONE: Self =
        Self { at_start: false, every_ms: 0, level_cdb: Self::LEVEL_CDB, in_file: true };
    pub const AT_START: Self = Self { at_start: true, ..Self::NONE };

    /// Samples from the start to the first of them.
    pub fn first_at(&self, rate_hz: u32) -> Option<u64> {
        let every = self.every_ms.saturating_mul(u64::from(rate_hz)) / 1000;
        if self.at_start { Some(0) } else { (self.every_ms > 0).then_some(every) }
    }
}

impl Default for BeepRule {
    fn default() -> Self {
        Self::NONE
    }
}

#[derive(Clone, Debug)]
pub struct RecordingSpec {
    /// Folder of this recording in the spool; made when missing. Gets `audio.part` and `journal.jsonl`.
    pub folder: PathBuf,
    pub format: Format,
    pub target: Target,
    pub layout: ChannelLayout,
    /// The leg on the left of [`ChannelLayout::LegRest`]; other layouts have none.
    pub left_leg: Option<LegHandle>,
    /// 0: the rate that its target's audio has when it starts.
    pub rate_hz: u32,
    /// The recording ends by itself after so many milliseconds of file; 0: never.
    pub limit_ms: u64,
    /// It also ends by itself when it is silent for too long.
    pub silence: SilenceRule,
    pub pause: PauseRule,
    pub beep: BeepRule,
    /// Silence before the first sound is never written, silence behind the last is cut off at the end.
    pub trim_silence: bool,
    /// Beside the main file every participant of the room in a mono file of its own; of a leg, what it
    /// says in the first and what it hears in the second.
    pub tracks: bool,
    /// Free text for the journal's first line (ids and labels of the control plane), JSON.
    pub label: String,
}
