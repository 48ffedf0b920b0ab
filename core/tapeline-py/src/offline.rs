//! What is done to files when nothing records into them. Everything here releases the GIL.

use std::io;
use std::path::PathBuf;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tapeline_core::record::disk;
use tapeline_core::record::repair;
use tapeline_core::record::spec::Format;

use crate::error::guarded;
use crate::event::track_dicts;

#[pyfunction]
#[pyo3(name = "repair")]
pub fn repair_folder(py: Python<'_>, folder: PathBuf) -> PyResult<Bound<'_, PyDict>> {
    let report = guarded(|| Ok(py.detach(|| repair::repair(&folder))?))?;
    let fields = PyDict::new(py);
    fields.set_item("has_audio", report.has_audio)?;
    fields.set_item("was_finished", report.was_finished)?;
    fields.set_item("format", report.format.map_or("", format_name))?;
    fields.set_item("sample_count", report.sample_count)?;
    fields.set_item("rate_hz", report.rate_hz)?;
    fields.set_item("channels", report.channels)?;
    fields.set_item("byte_count", report.byte_count)?;
    fields.set_item("sha256", report.sha256)?;
    fields.set_item("started_unix_us", report.started_unix_us)?;
    fields.set_item("missing_ms", report.missing_ms)?;
    fields.set_item("tracks", track_dicts(py, report.tracks)?)?;
    fields.set_item("notes", report.notes)?;
    Ok(fields)
}

#[pyfunction]
pub fn probe(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyDict>> {
    let probe = guarded(|| py.detach(|| repair::probe::probe(&path)).map_err(not_ours))?;
    let fields = PyDict::new(py);
    fields.set_item("sample_count", probe.sample_count)?;
    fields.set_item("rate_hz", probe.rate_hz)?;
    fields.set_item("channels", probe.channels)?;
    Ok(fields)
}

#[pyfunction]
pub fn free_bytes(py: Python<'_>, path: PathBuf) -> PyResult<u64> {
    guarded(|| Ok(py.detach(|| disk::free_bytes(&path))?))
}

fn not_ours(error: io::Error) -> PyErr {
    match error.kind() {
        io::ErrorKind::InvalidData => PyValueError::new_err(error.to_string()),
        _ => error.into(),
    }
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Wav => "wav",
        Format::Mp3 => "mp3",
    }
}
