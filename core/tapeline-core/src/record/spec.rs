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

#[derive(Clone, Debug)]
pub struct RecordingSpec {
    /// Folder of this recording in the spool; made when missing. Gets `audio.part` and `journal.jsonl`.
    pub folder: PathBuf,
    pub format: Format,
    pub target: Target,
    pub layout: ChannelLayout,
    /// The leg on the left of [`ChannelLayout::LegRest`]; other layouts have none.
    pub left_leg: Option<LegHandle>,
    pub rate_hz: u32,
    /// The recording ends by itself after so many milliseconds of file; 0: never.
    pub limit_ms: u64,
    /// It also ends by itself when it is silent for too long.
    pub silence: SilenceRule,
    /// A beep at its start: the target hears it, and it is in the file.
    pub beep: bool,
    /// Silence before the first sound is never written, silence behind the last is cut off at the end.
    pub trim_silence: bool,
    /// Free text for the journal's first line (ids and labels of the control plane), JSON.
    pub label: String,
}
