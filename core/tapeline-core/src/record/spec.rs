//! What a recording shall be.

use std::path::PathBuf;

use crate::boundary::handle::{LegHandle, RoomHandle};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PCM16 little-endian; becomes RF64 past 4 GiB.
    Wav,
    /// CBR, encoded live by LAME.
    Mp3,
}

/// What is heard in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The room's whole mix, mono.
    Room(RoomHandle),
    /// One leg's two directions, mixed to mono or left (what it says) and right (what it hears).
    Leg(LegHandle),
}

#[derive(Clone, Debug)]
pub struct RecordingSpec {
    /// Folder of this recording in the spool; made when missing. Gets `audio.part` and `journal.jsonl`.
    pub folder: PathBuf,
    pub format: Format,
    pub target: Target,
    pub rate_hz: u32,
    /// 1 or 2.
    pub channels: u8,
    /// The recording ends by itself after so many milliseconds of file; 0: never.
    pub limit_ms: u64,
    /// Free text for the journal's first line (ids and labels of the control plane), JSON.
    pub label: String,
}
