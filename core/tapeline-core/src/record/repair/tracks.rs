//! The tracks of a recording: each is a folder like any other, and says itself whose it is.

use std::fs;
use std::io;
use std::path::Path;

use crate::boundary::event::TrackFile;
use crate::record::journal;
use crate::record::repair::history::History;
use crate::record::repair::repair_one;
use crate::record::writer::spare::TRACKS_FOLDER;

/// In the order of their numbers. A track of which nothing was written is not there.
pub fn repair_all(folder: &Path) -> io::Result<Vec<TrackFile>> {
    let entries = match fs::read_dir(folder.join(TRACKS_FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut tracks = Vec::new();
    for entry in entries {
        let folder = entry?.path();
        let history = History::read(&folder.join(journal::FILE_NAME))?;
        let Some((seat, (_, shape))) = history.track.zip(history.format_and_shape()) else {
            continue;
        };
        let report = repair_one(&folder)?;
        if !report.has_audio {
            continue;
        }
        tracks.push(TrackFile {
            sample_count: report.sample_count,
            byte_count: report.byte_count,
            sha256: report.sha256,
            missing_ms: report.missing_ms,
            ..seat.file(shape.rate_hz)
        });
    }
    tracks.sort_by_key(|track| track.number);
    Ok(tracks)
}
