//! What a file of ours says about itself, wherever it lies now.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::record::repair::audio::sample_count;
use crate::record::spec::Format;

/// `sample_count` is samples of each channel, as a gapless decoder gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    pub format: Format,
    pub sample_count: u64,
    pub rate_hz: u32,
    pub channels: u8,
    pub byte_count: u64,
}

/// Of a WAV or MP3 that tapeline wrote; `InvalidData` for any other file.
pub fn probe(path: &Path) -> io::Result<Probe> {
    let file = File::open(path)?;
    let Some((format, shape, sample_count)) = sample_count(&file)? else {
        let what = format!("{} is no WAV or MP3 that tapeline wrote", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    };
    Ok(Probe {
        format,
        sample_count,
        rate_hz: shape.rate_hz,
        channels: shape.channels,
        byte_count: file.metadata()?.len(),
    })
}
