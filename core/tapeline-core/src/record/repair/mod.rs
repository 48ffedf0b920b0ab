//! What is done to a recording's folder when no writer has it: after `kill -9`, after power loss.
//!
//! Repair believes the bytes first and the journal second. It cuts what is not whole, patches holes
//! inside an MP3 with silent frames (its time line stays true), writes the head that fits, makes the
//! block hashes anew and adds a `repaired` line to the journal. Doing it twice changes nothing.

pub mod audio;
mod history;
mod mp3;
pub mod probe;
mod rest;
mod tracks;
mod wav;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::boundary::event::TrackFile;
use crate::record::blocks::{BlockHasher, hex};
use crate::record::format::SecondBlocks;
use crate::record::journal;
use crate::record::part::{AUDIO_NAME, BLOCKS_NAME};
use crate::record::repair::audio::Mended;
use crate::record::repair::history::History;
use crate::record::repair::rest::{FoundRest, Outcome};
use crate::record::spec::Format;

/// What a spool folder holds; counts are samples of each channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    /// False: no file, or not one sample in it.
    pub has_audio: bool,
    /// The journal ends with the writer's own last line and the file is what that line says.
    pub was_finished: bool,
    /// This run changed the audio file.
    pub was_repaired: bool,
    /// Bytes that were cut from the end.
    pub cut_bytes: u64,
    /// Bytes inside the file that were overwritten with silence.
    pub patched_bytes: u64,
    /// `None` when neither the file nor the journal says.
    pub format: Option<Format>,
    pub sample_count: u64,
    pub rate_hz: u32,
    pub channels: u8,
    pub byte_count: u64,
    /// Of the whole file, lower-case hex; empty without audio.
    pub sha256: String,
    /// Wall clock of the first sample (when that was never written: of the opening); 0 when unknown.
    pub started_unix_us: i64,
    /// As in `RecordingFinished`: silence that stands for lost audio, inside what is left.
    pub missing_ms: Vec<(String, u64)>,
    /// The participants' own files, repaired alike.
    pub tracks: Vec<TrackFile>,
    /// As in `RecordingFinished`.
    pub notes: Vec<(String, u64)>,
}

/// Makes `audio.part` in `folder`, and those of its tracks, playable and says what they hold.
pub fn repair(folder: &Path) -> io::Result<RepairReport> {
    let report = repair_one(folder)?;
    Ok(RepairReport { tracks: tracks::repair_all(folder)?, ..report })
}

fn repair_one(folder: &Path) -> io::Result<RepairReport> {
    let journal_path = folder.join(journal::FILE_NAME);
    let mut history = History::read(&journal_path)?;
    let rests = rest::find(folder)?;
    let audio_path = folder.join(AUDIO_NAME);
    let mut open = OpenOptions::new();
    open.read(true).write(true).create(!rests.is_empty()).truncate(false).mode(0o600);
    let mut audio = match open.open(&audio_path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(absent(&history)),
        Err(error) => return Err(error),
    };
    if let Some(report) = as_finished(&mut audio, &history, folder)? {
        return Ok(report);
    }
    let mut known = history.format_and_shape();
    if let (None, Some((_, path))) = (known, rests.first()) {
        known = rest::shape_of(path)?.map(|shape| (Format::Mp3, shape));
    }
    let Some(mut mended) = audio::mend(&mut audio, known)? else {
        return Ok(absent(&history));
    };
    let rests = if mended.format == Format::Mp3 { rests } else { Vec::new() };
    for (at, path) in rests {
        if let Some(rest) = rest::open(path, at, mended.shape)? {
            mended = join(rest, folder, mended, &mut history)?;
            audio = open.open(&audio_path)?;
        }
    }
    let (sha256, block_lines) = hash_anew(&audio, &mended, folder)?;
    let is_known = history.repaired.as_ref().is_some_and(|it| it.sha256 == sha256);
    if mended.is_changed() || !is_known {
        audio.sync_data()?;
        block_lines.keep()?;
        note_repair(&journal_path, &history, &mended, &sha256)?;
        File::open(folder)?.sync_all()?;
    } else {
        block_lines.drop_file()?;
    }
    Ok(report(&history, &mended, sha256))
}

/// Puts raw samples behind the audio that they go on from, unless that was done before the crash.
fn join(
    rest: FoundRest,
    folder: &Path,
    mended: Mended,
    history: &mut History,
) -> io::Result<Mended> {
    let (at, samples, from) = (rest.at, rest.sample_count, mended.sample_count);
    if from > at {
        rest.forget()?;
        return Ok(mended);
    }
    let (outcome, joined) = rest.join(folder, &mended)?;
    match outcome {
        Outcome::Joined { gap } => history.add_join(from, gap),
        Outcome::Kept => history.add_unjoined(from, samples),
    }
    Ok(joined)
}

/// The report on a file that the writer had finished and that is still as it left it.
fn as_finished(
    audio: &mut File,
    history: &History,
    folder: &Path,
) -> io::Result<Option<RepairReport>> {
    let Some(finished) = &history.finished else { return Ok(None) };
    let length = audio.metadata()?.len();
    let (Some((format, shape)), true) = (history.format_and_shape(), length >= finished.byte_count)
    else {
        return Ok(None);
    };
    let mut hash = Sha256::new();
    audio::read_through(audio, 0, finished.byte_count, |bytes| hash.update(bytes))?;
    if hex(&hash.finalize()) != finished.sha256 {
        return Ok(None);
    }
    if length > finished.byte_count {
        audio.set_len(finished.byte_count)?;
        audio.sync_data()?;
    }
    let mended = Mended {
        format,
        shape,
        sample_count: finished.sample_count,
        byte_count: finished.byte_count,
        cut_bytes: length - finished.byte_count,
        patched_bytes: 0,
        has_new_head: false,
    };
    let (_, blocks) = hash_anew(audio, &mended, folder)?;
    // The last line may have reached the disk before the last hashes.
    if blocks.differ()? {
        blocks.keep()?;
    } else {
        blocks.drop_file()?;
    }
    let report = report(history, &mended, finished.sha256.clone());
    Ok(Some(RepairReport { was_finished: true, ..report }))
}

fn report(history: &History, mended: &Mended, sha256: String) -> RepairReport {
    let has_audio = mended.sample_count > 0;
    RepairReport {
        has_audio,
        was_finished: false,
        was_repaired: mended.is_changed(),
        cut_bytes: mended.cut_bytes,
        patched_bytes: mended.patched_bytes,
        format: Some(mended.format),
        sample_count: mended.sample_count,
        rate_hz: mended.shape.rate_hz,
        channels: mended.shape.channels,
        byte_count: mended.byte_count,
        sha256,
        started_unix_us: history.started_unix_us(),
        missing_ms: history.missing_ms(mended.sample_count, mended.shape.rate_hz),
        tracks: Vec::new(),
        notes: history.notes(mended.sample_count, mended.shape.rate_hz),
    }
}

fn absent(history: &History) -> RepairReport {
    let known = history.format_and_shape();
    RepairReport {
        has_audio: false,
        was_finished: history.finished.is_some(),
        was_repaired: false,
        cut_bytes: 0,
        patched_bytes: 0,
        format: known.map(|(format, _)| format),
        sample_count: 0,
        rate_hz: known.map_or(0, |(_, shape)| shape.rate_hz),
        channels: known.map_or(0, |(_, shape)| shape.channels),
        byte_count: 0,
        sha256: String::new(),
        started_unix_us: history.started_unix_us(),
        missing_ms: Vec::new(),
        tracks: Vec::new(),
        notes: Vec::new(),
    }
}

/// Block hashes beside the old ones until it is known whether they are wanted.
struct NewBlocks<'a> {
    folder: &'a Path,
    file: File,
}

const NEW_BLOCKS_NAME: &str = "blocks.sha256.new";

impl NewBlocks<'_> {
    fn keep(self) -> io::Result<()> {
        self.file.sync_data()?;
        std::fs::rename(self.folder.join(NEW_BLOCKS_NAME), self.folder.join(BLOCKS_NAME))
    }

    /// Whether the old ones say something else, or are not there.
    fn differ(&self) -> io::Result<bool> {
        let new = std::fs::read(self.folder.join(NEW_BLOCKS_NAME))?;
        Ok(std::fs::read(self.folder.join(BLOCKS_NAME)).map_or(true, |old| old != new))
    }

    fn drop_file(self) -> io::Result<()> {
        std::fs::remove_file(self.folder.join(NEW_BLOCKS_NAME))
    }
}

/// One pass over the file: the hash of the whole, and of each second.
fn hash_anew<'a>(
    audio: &File,
    mended: &Mended,
    folder: &'a Path,
) -> io::Result<(String, NewBlocks<'a>)> {
    let path = folder.join(NEW_BLOCKS_NAME);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut out = BufWriter::new(file);
    let blocks = SecondBlocks::of(mended.format, mended.shape)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut head = vec![0; blocks.head_bytes() as usize];
    audio.read_exact_at(&mut head, 0)?;
    let mut whole = Sha256::new_with_prefix(&head);
    let mut hasher = BlockHasher::new(blocks);
    let mut lines = Vec::new();
    let mut written = Ok(());
    audio::read_through(audio, blocks.head_bytes(), mended.byte_count, |bytes| {
        whole.update(bytes);
        hasher.add(bytes, &mut lines);
        if written.is_ok() {
            written = out.write_all(&lines);
        }
        lines.clear();
    })?;
    written?;
    hasher.finish(&head, &mut lines);
    out.write_all(&lines)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok((hex(&whole.finalize()), NewBlocks { folder, file }))
}

/// Takes out of the journal what is no line of it and says there what was done.
fn note_repair(path: &Path, history: &History, mended: &Mended, sha256: &str) -> io::Result<()> {
    if history.has_holes {
        write_anew(path)?;
    }
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let sound_bytes = if history.has_holes { file.metadata()?.len() } else { history.sound_bytes };
    file.set_len(sound_bytes)?;
    let mut lines = history.news().to_vec();
    lines.push(json!({
        "type": "repaired",
        "sample_count": mended.sample_count,
        "byte_count": mended.byte_count,
        "sha256": sha256,
        "cut_bytes": mended.cut_bytes,
        "patched_bytes": mended.patched_bytes,
    }));
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    file.write_all_at(text.as_bytes(), sound_bytes)?;
    file.sync_data()
}

/// The journal's whole lines under its name; a crash on the way leaves it as it was.
fn write_anew(path: &Path) -> io::Result<()> {
    let new = path.with_extension("new");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    let mut out = BufWriter::new(file);
    history::copy_whole_lines(File::open(path)?, &mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
    fs::rename(&new, path)
}
