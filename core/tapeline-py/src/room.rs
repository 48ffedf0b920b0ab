//! Arguments about who hears whom in a room, and what is played there.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tapeline_core::boundary::handle::LegHandle;
use tapeline_core::media::room::participant::{GAIN_CDB, LISTENERS, Listeners, Voice};
use tapeline_core::play::tones::{Tone, Tones};
use tapeline_core::play::{LEVEL_CDB, PlaySource};

/// `"everyone"`, or the legs that a whisper is for.
#[derive(FromPyObject)]
pub enum HeardBy {
    Word(String),
    Legs(Vec<u64>),
}

impl HeardBy {
    pub fn voice(self) -> PyResult<Voice> {
        match self {
            Self::Word(word) if word == "everyone" => Ok(Voice::Everyone),
            Self::Word(word) => Err(PyValueError::new_err(format!(
                "heard_by is \"everyone\" or legs, not {word:?}"
            ))),
            Self::Legs(legs) => {
                let legs: Vec<LegHandle> = legs.into_iter().map(LegHandle::from_u64).collect();
                Listeners::of(&legs).map(Voice::Only).ok_or_else(|| {
                    let count = legs.len();
                    PyValueError::new_err(format!("{count} legs, a whisper is for {LISTENERS}"))
                })
            }
        }
    }
}

pub fn parse_gain(decibels: f64) -> PyResult<i16> {
    hundredths("gain", decibels, GAIN_CDB)
}

pub fn parse_level(decibels: f64) -> PyResult<i16> {
    hundredths("level", decibels, LEVEL_CDB)
}

fn hundredths(what: &str, decibels: f64, range: RangeInclusive<i16>) -> PyResult<i16> {
    let hundredths = (decibels * 100.0).round();
    let (least, most) = (f64::from(*range.start()), f64::from(*range.end()));
    if (least..=most).contains(&hundredths) {
        return Ok(hundredths as i16);
    }
    let (least, most) = (least / 100.0, most / 100.0);
    Err(PyValueError::new_err(format!("{what} {decibels} dB is not between {least} and {most}")))
}

/// Two frequencies in Hz (0: none), milliseconds on and off, level in dBov.
pub type PyTone = (u16, u16, u32, u32, f64);

/// Exactly one of both.
pub fn parse_source(path: Option<PathBuf>, tones: Vec<PyTone>) -> PyResult<PlaySource> {
    match (path, tones.is_empty()) {
        (Some(path), true) => Ok(PlaySource::File(path)),
        (None, false) => parse_tones(tones).map(PlaySource::Tones),
        _ => Err(PyValueError::new_err("exactly one of path and tones must be given")),
    }
}

fn parse_tones(tones: Vec<PyTone>) -> PyResult<Tones> {
    let tones = tones.into_iter().map(|(first, second, on_ms, off_ms, level_db)| {
        // What is out of range is told by `Tones::new`.
        let level_cdb = (level_db * 100.0).round() as i16;
        Tone { hertz: [first, second], on_ms, off_ms, level_cdb }
    });
    Tones::new(tones.collect()).map_err(PyValueError::new_err)
}
