//! Reads a journal back, however it ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::boundary::handle::LegHandle;
use crate::record::format::Shape;
use crate::record::journal::TrackSeat;
use crate::record::spec::Format;
use crate::record::tap::tracks::Voice;
use crate::record::writer::health::{REASONS, is_worth_a_note};
use crate::record::writer::recording::ENCODER_FAULT;

/// Longer lines are not ours: the longest is the first, with its label, every byte of it escaped.
const LINE_LIMIT: u64 = 512 << 10;

/// What the journal knows. A line that is no JSON object is skipped: a power loss can leave zeros in
/// place of a sector and what was written behind it.
#[derive(Debug, Default)]
pub struct History {
    format: Option<Format>,
    shape: Option<Shape>,
    opened_unix_us: Option<i64>,
    armed_unix_us: Option<i64>,
    /// Silence before it was left out.
    audio_unix_us: Option<i64>,
    gaps: Vec<GapLine>,
    encoder_fault_at: Option<u64>,
    oddities: BTreeMap<&'static str, u64>,
    /// Raw samples that are not in the file.
    unjoined: u64,
    /// Lines that the repair adds.
    news: Vec<Value>,
    /// It is no main recording.
    pub track: Option<TrackSeat>,
    pub finished: Option<LastLine>,
    pub repaired: Option<LastLine>,
    /// Length of the journal up to and with its last whole line.
    pub sound_bytes: u64,
    /// Not all before that is whole lines.
    pub has_holes: bool,
}

/// Silence for audio that the disk had not kept.
const LOST: &str = "lost";

#[derive(Debug)]
struct GapLine {
    why: String,
    at: u64,
    samples: u64,
}

/// A `finished` or `repaired` line.
#[derive(Debug)]
pub struct LastLine {
    pub sample_count: u64,
    pub byte_count: u64,
    pub sha256: String,
}

/// Gaps kept apart; a recording with more of them counts the rest as one (memory stays bounded).
const GAP_LIMIT: usize = 10_000;

impl History {
    /// Of a missing file: empty.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut history = Self::default();
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(history),
            Err(error) => return Err(error),
        };
        let (mut offset, mut sound) = (0, 0);
        each_line(file, |line| {
            offset += line.len() as u64;
            if let Some(fact) = fact(line) {
                history.add(&fact);
                sound += line.len() as u64;
                history.sound_bytes = offset;
            }
            Ok(())
        })?;
        history.has_holes = sound < history.sound_bytes;
        Ok(history)
    }

    pub fn format_and_shape(&self) -> Option<(Format, Shape)> {
        Some((self.format?, self.shape?))
    }

    pub fn started_unix_us(&self) -> i64 {
        let began = self.audio_unix_us.or(self.armed_unix_us);
        began.or(self.opened_unix_us).unwrap_or_default()
    }

    /// Gaps inside the first `sample_count` samples, by reason.
    pub fn missing_ms(&self, sample_count: u64, rate_hz: u32) -> Vec<(String, u64)> {
        let mut samples: BTreeMap<&str, u64> = BTreeMap::new();
        for gap in &self.gaps {
            let inside = gap.samples.min(sample_count.saturating_sub(gap.at));
            let total = samples.entry(&gap.why).or_default();
            *total = total.saturating_add(inside);
        }
        if self.unjoined > 0 {
            samples.insert(ENCODER_FAULT, self.unjoined);
        }
        let lost = samples.into_iter().filter(|(_, samples)| *samples > 0);
        lost.map(|(why, samples)| (why.to_owned(), in_ms(samples, rate_hz))).collect()
    }

    /// What is odd about the first `sample_count` samples.
    pub fn notes(&self, sample_count: u64, rate_hz: u32) -> Vec<(String, u64)> {
        let raw = self.encoder_fault_at.map(|at| sample_count.saturating_sub(at));
        let raw = raw.map(|samples| (ENCODER_FAULT, samples)).into_iter();
        let oddities = self.oddities.iter().map(|(reason, samples)| (*reason, *samples));
        let oddities =
            oddities.filter(|(reason, samples)| is_worth_a_note(reason, *samples, rate_hz));
        let note = |(reason, samples): (&str, u64)| (reason.to_owned(), in_ms(samples, rate_hz));
        raw.chain(oddities).map(note).collect()
    }

    /// What the repair learnt, to be written before its own line.
    pub fn news(&self) -> &[Value] {
        &self.news
    }

    /// Raw samples were encoded behind the sample `at`, and `gap` samples of silence before them.
    pub fn add_join(&mut self, at: u64, gap: u64) {
        self.note_encoder_fault(at);
        if gap > 0 {
            self.news.push(json!({"type": LOST, "at": at, "samples": gap}));
            self.add_gap(GapLine { why: LOST.to_owned(), at, samples: gap });
        }
    }

    /// Raw samples that go on at the sample `at` could not be encoded: they are not in the file.
    pub fn add_unjoined(&mut self, at: u64, samples: u64) {
        self.note_encoder_fault(at);
        self.unjoined = samples;
    }

    fn note_encoder_fault(&mut self, at: u64) {
        if self.encoder_fault_at.is_none() {
            self.encoder_fault_at = Some(at);
            let detail = "raw samples were found beside the audio";
            self.news.push(json!({"type": "encoder_fault", "at": at, "detail": detail}));
        }
    }

    fn add(&mut self, line: &Value) {
        let number = |key: &str| line.get(key).and_then(Value::as_u64);
        match line.get("type").and_then(Value::as_str).unwrap_or_default() {
            "start" => {
                self.format = match line.get("format").and_then(Value::as_str) {
                    Some("wav") => Some(Format::Wav),
                    Some("mp3") => Some(Format::Mp3),
                    _ => None,
                };
                self.shape = number("rate_hz").zip(number("channels")).and_then(shape);
                self.track = line.get("track").and_then(track);
                self.opened_unix_us = line.get("opened_unix_us").and_then(Value::as_i64);
            }
            "armed" => self.armed_unix_us = line.get("unix_us").and_then(Value::as_i64),
            "audio_began" => self.audio_unix_us = line.get("unix_us").and_then(Value::as_i64),
            "encoder_fault" => self.encoder_fault_at = number("at"),
            why @ ("overflow" | "skipped_ticks" | LOST) => {
                if let (Some(at), Some(samples)) = (number("at"), number("samples")) {
                    self.add_gap(GapLine { why: why.to_owned(), at, samples });
                }
            }
            "finished" => self.finished = last_line(line),
            "repaired" => self.repaired = last_line(line),
            kind => {
                if let Some(reason) = REASONS.into_iter().find(|reason| *reason == kind) {
                    let total = self.oddities.entry(reason).or_default();
                    *total = total.saturating_add(number("samples").unwrap_or(0));
                }
            }
        }
    }

    fn add_gap(&mut self, gap: GapLine) {
        let is_full = self.gaps.len() >= GAP_LIMIT;
        match self.gaps.last_mut().filter(|_| is_full) {
            Some(last) => last.samples = last.samples.saturating_add(gap.samples),
            None => self.gaps.push(gap),
        }
    }
}

/// Writes the whole lines of a journal, and nothing else of it.
pub fn copy_whole_lines(from: File, mut to: impl Write) -> io::Result<()> {
    each_line(from, |line| match fact(line) {
        Some(_) => to.write_all(line),
        None => Ok(()),
    })
}

/// In pieces of at most [`LINE_LIMIT`].
fn each_line(file: File, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        take(&line)?;
    }
}

/// What a whole line says. Without its newline the line is torn, even when it happens to be JSON.
fn fact(line: &[u8]) -> Option<Value> {
    let line = line.strip_suffix(b"\n")?;
    let fact: Value = serde_json::from_slice(line).ok()?;
    fact.get("type")?.as_str()?;
    Some(fact)
}

fn in_ms(samples: u64, rate_hz: u32) -> u64 {
    samples.saturating_mul(1000).div_ceil(u64::from(rate_hz.max(1)))
}

fn shape((rate_hz, channels): (u64, u64)) -> Option<Shape> {
    let shape =
        Shape { rate_hz: u32::try_from(rate_hz).ok()?, channels: u8::try_from(channels).ok()? };
    ((1..=2).contains(&shape.channels) && (8000..=48_000).contains(&shape.rate_hz)).then_some(shape)
}

fn track(line: &Value) -> Option<TrackSeat> {
    let leg = LegHandle::from_u64(line.get("leg")?.as_u64()?);
    let is_heard = line.get("is_heard").and_then(Value::as_bool).unwrap_or(false);
    Some(TrackSeat {
        number: u32::try_from(line.get("number")?.as_u64()?).ok()?,
        voice: if is_heard { Voice::Hears(leg) } else { Voice::Says(leg) },
        offset_samples: line.get("offset")?.as_u64()?,
    })
}

fn last_line(line: &Value) -> Option<LastLine> {
    Some(LastLine {
        sample_count: line.get("sample_count")?.as_u64()?,
        byte_count: line.get("byte_count")?.as_u64()?,
        sha256: line.get("sha256")?.as_str()?.to_owned(),
    })
}
