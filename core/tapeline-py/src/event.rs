//! Events as Python takes them: a name of design.md §9 and a dict of fields.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use tapeline_core::boundary::counters::CallQuality;
use tapeline_core::boundary::event::{CallArrived, Event, RecordingFinished, TrackFile};

pub type PyEvent<'py> = (Bound<'py, PyString>, Bound<'py, PyDict>);

/// `event!(py, "name", field = value, …)`; names and keys are interned once.
macro_rules! event {
    ($py:expr, $name:literal $(, $field:ident = $value:expr)* $(,)?) => {{
        let fields = PyDict::new($py);
        $(fields.set_item(intern!($py, stringify!($field)), $value)?;)*
        (intern!($py, $name).clone(), fields)
    }};
}

pub fn to_python(py: Python<'_>, event: Event) -> PyResult<PyEvent<'_>> {
    Ok(match event {
        Event::CommandDone { command } => event!(py, "command_done", command = command),
        Event::CommandFailed { command, reason } => {
            event!(py, "command_failed", command = command, reason = &*reason)
        }
        Event::CallArrived(call) => return call_arrived(py, *call),
        Event::EndpointRegistered { owner, contacts } => {
            let contacts: Vec<_> = contacts
                .into_iter()
                .map(|it| (it.contact, it.route.to_string(), it.expires_unix_ms))
                .collect();
            event!(py, "endpoint_registered", owner = owner, contacts = contacts)
        }
        Event::TrunkRegistered { trunk, expires_s } => {
            event!(py, "trunk_registered", trunk = trunk, expires_s = expires_s)
        }
        Event::TrunkUnregistered { trunk, sip_status, detail } => event!(
            py,
            "trunk_unregistered",
            trunk = trunk,
            sip_status = sip_status,
            detail = detail
        ),
        Event::TrunkTarget { trunk, uri, is_up, sip_status } => event!(
            py,
            "trunk_target",
            trunk = trunk,
            uri = uri,
            is_up = is_up,
            sip_status = sip_status
        ),
        Event::CallRinging { leg, sip_status } => {
            event!(py, "call_ringing", leg = leg.to_u64(), sip_status = sip_status)
        }
        Event::CallAnswered { leg } => event!(py, "call_answered", leg = leg.to_u64()),
        Event::CallEnded { leg, by, sip_status, reason, quality } => event!(
            py,
            "call_ended",
            leg = leg.to_u64(),
            by = by.as_str(),
            sip_status = sip_status,
            quality = quality.map(|quality| quality_dict(py, &quality)).transpose()?,
            reason = reason
        ),
        Event::CallUpdated { leg, is_held } => {
            event!(py, "call_updated", leg = leg.to_u64(), is_held = is_held)
        }
        Event::TransferAsked(asked) => event!(
            py,
            "transfer_asked",
            leg = asked.leg.to_u64(),
            target = asked.target,
            replaces = asked.replaces.map(|leg| leg.to_u64()),
            replaces_header = asked.replaces_header
        ),
        Event::ParticipantJoined { leg, room, unix_us } => event!(
            py,
            "participant_joined",
            leg = leg.to_u64(),
            room = room.to_u64(),
            unix_us = unix_us
        ),
        Event::ParticipantLeft { leg, room, unix_us } => event!(
            py,
            "participant_left",
            leg = leg.to_u64(),
            room = room.to_u64(),
            unix_us = unix_us
        ),
        Event::RoomEmpty { room } => event!(py, "room_empty", room = room.to_u64()),
        Event::Digit { leg, digit, duration_ms } => event!(
            py,
            "digit",
            leg = leg.to_u64(),
            digit = char::from(digit),
            duration_ms = duration_ms
        ),
        Event::Talking { leg, is_talking } => {
            event!(py, "talking", leg = leg.to_u64(), is_talking = is_talking)
        }
        Event::MediaTrouble { leg, kind } => {
            event!(py, "media_trouble", leg = leg.to_u64(), kind = kind.as_str())
        }
        Event::PlayFinished { playback, reason, detail } => event!(
            py,
            "play_finished",
            playback = playback.to_u64(),
            reason = reason.as_str(),
            detail = detail
        ),
        Event::RecordingArmed { recorder, unix_us } => {
            event!(py, "recording_armed", recorder = recorder.to_u64(), unix_us = unix_us)
        }
        Event::RecordingResumed { recorder } => {
            event!(py, "recording_resumed", recorder = recorder.to_u64())
        }
        Event::RecordingProgress { recorder, sample_count, byte_count } => event!(
            py,
            "recording_progress",
            recorder = recorder.to_u64(),
            sample_count = sample_count,
            byte_count = byte_count
        ),
        Event::RecordingFinished(finished) => return recording_finished(py, *finished),
        Event::RecorderTrouble { recorder, detail } => {
            event!(py, "recorder_trouble", recorder = recorder.to_u64(), detail = detail)
        }
        Event::CoreTrouble { detail } => event!(py, "core_trouble", detail = detail),
    })
}

fn call_arrived(py: Python<'_>, call: CallArrived) -> PyResult<PyEvent<'_>> {
    Ok(event!(
        py,
        "call_arrived",
        leg = call.leg.to_u64(),
        called = call.called,
        caller = call.caller,
        caller_name = call.caller_name,
        request_uri = call.request_uri,
        source = call.source,
        sip_call_id = call.sip_call_id,
        owner = call.owner,
        transport = call.transport.name(),
        replaces = call.replaces.map(|leg| leg.to_u64()),
        extra_headers = call.extra_headers,
    ))
}

fn recording_finished(py: Python<'_>, finished: RecordingFinished) -> PyResult<PyEvent<'_>> {
    Ok(event!(
        py,
        "recording_finished",
        recorder = finished.recorder.to_u64(),
        reason = finished.reason.as_str(),
        sample_count = finished.sample_count,
        rate_hz = finished.rate_hz,
        channels = finished.channels,
        byte_count = finished.byte_count,
        sha256 = finished.sha256,
        started_unix_us = finished.started_unix_us,
        missing_ms = finished.missing_ms,
        notes = finished.notes,
        tracks = track_dicts(py, finished.tracks)?,
    ))
}

/// A dict of `domain.call.CallQuality`'s fields.
fn quality_dict<'py>(py: Python<'py>, quality: &CallQuality) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("mos", quality.mos_x100.map(|mos| f64::from(mos) / 100.0))?;
    fields.set_item("packets_received", quality.packets_received)?;
    fields.set_item("packets_lost", quality.packets_lost)?;
    fields.set_item("packets_late", quality.packets_late)?;
    fields.set_item("jitter_max_ms", quality.jitter_max_ms)?;
    fields.set_item("packets_sent", quality.packets_sent)?;
    fields.set_item("remote_lost", quality.remote_lost)?;
    Ok(fields)
}

/// Dicts of `domain.signal.TrackFile`'s fields.
pub fn track_dicts(py: Python<'_>, tracks: Vec<TrackFile>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let to_dict = |track: TrackFile| {
        let fields = PyDict::new(py);
        fields.set_item("number", track.number)?;
        fields.set_item("leg", track.leg)?;
        fields.set_item("offset_ms", track.offset_ms)?;
        fields.set_item("sample_count", track.sample_count)?;
        fields.set_item("byte_count", track.byte_count)?;
        fields.set_item("sha256", track.sha256)?;
        fields.set_item("missing_ms", track.missing_ms)?;
        Ok(fields)
    };
    tracks.into_iter().map(to_dict).collect()
}
