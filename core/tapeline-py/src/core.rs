//! The class `Core`: arguments checked and handed over, events handed back.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tapeline_core::boundary::command::{Access, Network, RoomCommand, SipCommand};
use tapeline_core::boundary::core::{Core as Running, CoreConfig};
use tapeline_core::boundary::dial::{CallSrtp, Dial};
use tapeline_core::boundary::digits::DigitString;
use tapeline_core::boundary::handle::{LegHandle, PlaybackHandle, RecorderHandle, RoomHandle};
use tapeline_core::boundary::identity::{BadIdentity, ContactRow, Credentials, Locations, Sources};
use tapeline_core::boundary::reason::Reason;
use tapeline_core::boundary::transport::Transport;
use tapeline_core::boundary::trunk::{Registration, Watch};
use tapeline_core::media::codec::Rate;
use tapeline_core::media::room::participant::{Changes, Settings};
use tapeline_core::play::PlaySpec;
use tapeline_core::record::silence::SilenceRule;
use tapeline_core::record::spec::{
    BeepRule, ChannelLayout, Format, PauseRule, RecordingSpec, Target,
};
use tapeline_core::sdp::Preference;
use tapeline_core::sip::{SrtpPolicy, SrtpRule, TlsFiles, Traced};

use crate::error::{guarded, guarded_by, refused};
use crate::event::{PyEvent, to_python};
use crate::room::{HeardBy, PyTone, parse_gain, parse_level, parse_source};

/// When (microseconds), whether sent, by what, from or to whom, its text.
type PyTraced = (i64, bool, &'static str, String, String);

/// dBov of a level that says nothing.
const SILENCE_DB: f64 = -90.0;
/// Bytes.
const MAX_REALM: usize = 128;

#[pyclass(frozen, module = "tapeline._core")]
pub struct Core {
    running: Running,
}

impl Core {
    fn guarded<T>(&self, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
        guarded_by(|| self.running.count_panic(), work)
    }

    fn sip(&self, command: SipCommand) -> PyResult<u64> {
        self.guarded(|| self.running.sip(command).map_err(refused))
    }

    fn room(&self, command: RoomCommand) -> PyResult<u64> {
        self.guarded(|| self.running.room(command).map_err(refused))
    }
}

#[pymethods]
impl Core {
    #[new]
    #[pyo3(signature = (
        *, sip_udp, rtp_address, rtp_ports, spool, networks = Vec::new(), rate_per_source = 0,
        rate_exempt = vec!["127.0.0.0/8".into(), "::1/128".into()], max_unacknowledged = 2_000,
        realtime = true, max_legs = 4_096, max_rooms = 2_048, max_recorders = 2_048,
        max_plays = 512,
        codecs = all_codecs(), room_rate_limit_hz = 16_000,
        reserve_bytes = 0, ring_limit_ms = 180_000, session_expires_s = 1_800, srtp = "accept", sdes_over_plain_sip = false,
        realm = "tapeline", sip_tcp = Vec::new(), sip_tls = Vec::new(), sip_ws = Vec::new(),
        sip_wss = Vec::new(), tls_certificate = PathBuf::new(), tls_key = PathBuf::new(),
        tls_client_ca = PathBuf::new(), tls_trust = PathBuf::new(), dns = Vec::new(),
    ))]
    #[allow(clippy::too_many_arguments)] // Keywords of one Python call.
    fn new(
        py: Python<'_>,
        sip_udp: Vec<String>,
        rtp_address: &str,
        rtp_ports: (u16, u16),
        spool: PathBuf,
        networks: Vec<String>,
        rate_per_source: u32,
        rate_exempt: Vec<String>,
        max_unacknowledged: u32,
        realtime: bool,
        max_legs: u32,
        max_rooms: u32,
        max_recorders: u32,
        max_plays: u32,
        codecs: Vec<String>,
        room_rate_limit_hz: u32,
        reserve_bytes: u64,
        ring_limit_ms: u64,
        session_expires_s: u32,
        srtp: &str,
        sdes_over_plain_sip: bool,
        realm: &str,
        sip_tcp: Vec<String>,
        sip_tls: Vec<String>,
        sip_ws: Vec<String>,
        sip_wss: Vec<String>,
        tls_certificate: PathBuf,
        tls_key: PathBuf,
        tls_client_ca: PathBuf,
        tls_trust: PathBuf,
        dns: Vec<String>,
    ) -> PyResult<Self> {
        let mut sip_streams = Vec::new();
        for (transport, texts) in [
            (Transport::Tcp, &sip_tcp),
            (Transport::Tls, &sip_tls),
            (Transport::Ws, &sip_ws),
            (Transport::Wss, &sip_wss),
        ] {
            let addresses: Vec<SocketAddr> = parse_all(texts, "an address with a port")?;
            sip_streams.extend(addresses.into_iter().map(|address| (transport, address)));
        }
        let config = CoreConfig {
            sip_udp: parse_all(&sip_udp, "an address with a port")?,
            sip_streams,
            tls: TlsFiles {
                certificate: tls_certificate,
                key: tls_key,
                client_ca: tls_client_ca,
                trust: tls_trust,
            },
            dns: parse_name_servers(&dns)?,
            advertised: parse_advertised(rtp_address)?,
            rtp_ports: rtp_ports.0..=rtp_ports.1,
            codecs: parse_codecs(&codecs, room_rate_limit_hz)?,
            access: parse_access(networks, rate_per_source, rate_exempt, max_unacknowledged)?,
            srtp: SrtpRule { policy: parse_srtp(srtp)?, sdes_over_plain_sip },
            user_agent: concat!("tapeline/", env!("CARGO_PKG_VERSION")).into(),
            realm: parse_realm(realm)?,
            spool,
            reserve_bytes,
            realtime,
            max_legs,
            max_rooms,
            max_recorders,
            max_plays,
            ring_max: Duration::from_millis(ring_limit_ms),
            session_expires: session_expires_s,
        };
        let running = guarded(|| py.detach(|| Running::start(config)).map_err(not_started))?;
        Ok(Self { running })
    }

    fn sip_addresses(&self) -> Vec<String> {
        self.running.sip_addresses().iter().map(SocketAddr::to_string).collect()
    }

    fn sip_stream_addresses(&self) -> Vec<(&'static str, String)> {
        let doors = self.running.sip_stream_addresses().iter();
        doors.map(|(transport, address)| (transport.name(), address.to_string())).collect()
    }

    fn reload_tls(&self, py: Python<'_>) -> PyResult<()> {
        self.guarded(|| py.detach(|| self.running.reload_tls()).map_err(not_started))
    }

    fn fileno(&self) -> i32 {
        self.running.fd()
    }

    #[pyo3(signature = (limit = 4096))]
    fn drain<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Vec<PyEvent<'py>>> {
        self.guarded(|| self.running.drain(limit).into_iter().map(|e| to_python(py, e)).collect())
    }

    fn ring(&self, leg: u64) -> PyResult<u64> {
        self.sip(SipCommand::Ring { leg: LegHandle::from_u64(leg) })
    }

    fn answer(&self, leg: u64) -> PyResult<u64> {
        self.sip(SipCommand::Answer { leg: LegHandle::from_u64(leg) })
    }

    fn reject(&self, leg: u64, status: u16, reason: String) -> PyResult<u64> {
        self.sip(SipCommand::Reject { leg: LegHandle::from_u64(leg), status, reason })
    }

    fn progress(&self, leg: u64) -> PyResult<u64> {
        self.sip(SipCommand::Progress { leg: LegHandle::from_u64(leg) })
    }

    #[pyo3(signature = (leg, *, cause = 0, reason = ""))]
    fn hang_up(&self, leg: u64, cause: u16, reason: &str) -> PyResult<u64> {
        let leg = LegHandle::from_u64(leg);
        if cause == 0 {
            return self.sip(SipCommand::HangUp { leg });
        }
        let wrong = || PyValueError::new_err(format!("cause: {cause} is no final SIP status"));
        let reason = Reason::new(cause, reason).ok_or_else(wrong)?;
        self.sip(SipCommand::HangUpFor { leg, reason })
    }

    fn accept_transfer(&self, leg: u64) -> PyResult<u64> {
        self.sip(SipCommand::AcceptTransfer { leg: LegHandle::from_u64(leg) })
    }

    fn refuse_transfer(&self, leg: u64, status: u16) -> PyResult<u64> {
        self.sip(SipCommand::RefuseTransfer { leg: LegHandle::from_u64(leg), status })
    }

    fn report_transfer(&self, leg: u64, status: u16) -> PyResult<u64> {
        self.sip(SipCommand::ReportTransfer { leg: LegHandle::from_u64(leg), status })
    }

    #[pyo3(signature = (
        *, uri, caller, caller_name, headers, ring_limit_ms, route = "", username = "",
        password = "", asserted = "", is_private = false, codecs = Vec::new(), srtp = "",
    ))]
    #[allow(clippy::too_many_arguments)] // Keywords of one Python call.
    fn dial(
        &self,
        uri: &str,
        caller: &str,
        caller_name: &str,
        headers: Vec<(String, String)>,
        ring_limit_ms: u64,
        route: &str,
        username: &str,
        password: &str,
        asserted: &str,
        is_private: bool,
        codecs: Vec<String>,
        srtp: &str,
    ) -> PyResult<(u64, u64)> {
        let ring_limit = Duration::from_millis(ring_limit_ms);
        let srtp = parse_call_srtp(srtp)?;
        let call = Dial::new(uri, caller, caller_name, headers, ring_limit)
            .and_then(|call| call.by_route(route))
            .and_then(|call| call.with_account(username, password))
            .and_then(|call| call.with_identity(asserted, is_private))
            .and_then(|call| call.with_audio(&codecs, srtp))
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        self.guarded(|| {
            let (command, leg) = self.running.dial(call).map_err(refused)?;
            Ok((command, leg.to_u64()))
        })
    }

    #[pyo3(signature = (leg, digits, *, tone_ms, gap_ms))]
    fn send_digits(&self, leg: u64, digits: &str, tone_ms: u16, gap_ms: u16) -> PyResult<u64> {
        // Without the digits: they may be a PIN.
        let wrong = "digits: 1 to 64 of 0-9, *, #, A-D, w and W are wanted";
        let digits = DigitString::parse(digits).ok_or_else(|| PyValueError::new_err(wrong))?;
        let leg = LegHandle::from_u64(leg);
        self.guarded(|| self.running.send_digits(leg, digits, (tone_ms, gap_ms)).map_err(refused))
    }

    fn create_room(&self, rate_hz: u32) -> PyResult<(u64, u64)> {
        self.guarded(|| {
            let (command, room) = self.running.create_room(rate_hz).map_err(refused)?;
            Ok((command, room.to_u64()))
        })
    }

    fn close_room(&self, room: u64) -> PyResult<u64> {
        self.room(RoomCommand::CloseRoom { room: RoomHandle::from_u64(room) })
    }

    #[pyo3(signature = (leg, room, *, muted, deaf, on_hold, gain_db, heard_by, answers))]
    #[allow(clippy::too_many_arguments)] // Keywords of one Python call.
    fn join(
        &self,
        leg: u64,
        room: u64,
        muted: bool,
        deaf: bool,
        on_hold: bool,
        gain_db: f64,
        heard_by: HeardBy,
        answers: bool,
    ) -> PyResult<u64> {
        let settings = Settings {
            is_muted: muted,
            is_deaf: deaf,
            is_on_hold: on_hold,
            gain_cdb: parse_gain(gain_db)?,
            voice: heard_by.voice()?,
        };
        let (leg, room) = (LegHandle::from_u64(leg), RoomHandle::from_u64(room));
        if answers {
            return self.sip(SipCommand::AnswerInto { leg, room, settings });
        }
        self.room(RoomCommand::Join { leg, room, settings })
    }

    fn leave(&self, leg: u64) -> PyResult<u64> {
        self.room(RoomCommand::Leave { leg: LegHandle::from_u64(leg) })
    }

    #[pyo3(signature = (leg, *, muted, deaf, on_hold, gain_db, heard_by))]
    fn set_participant(
        &self,
        leg: u64,
        muted: Option<bool>,
        deaf: Option<bool>,
        on_hold: Option<bool>,
        gain_db: Option<f64>,
        heard_by: Option<HeardBy>,
    ) -> PyResult<u64> {
        let changes = Changes {
            is_muted: muted,
            is_deaf: deaf,
            is_on_hold: on_hold,
            gain_cdb: gain_db.map(parse_gain).transpose()?,
            voice: heard_by.map(|it| it.voice()).transpose()?,
        };
        self.room(RoomCommand::SetParticipant { leg: LegHandle::from_u64(leg), changes })
    }

    #[pyo3(signature = (
        *, folder, format, room, leg, layout, left_leg, rate_hz, limit_ms, silence_limit_ms,
        silence_waits_for_speech, pause_as, pause_limit_ms, beep, beep_every_ms, beep_level_db,
        beep_in_file, trim_silence, tracks, label,
    ))]
    #[allow(clippy::too_many_arguments)] // Keywords of one Python call.
    fn start_recording(
        &self,
        folder: PathBuf,
        format: &str,
        room: Option<u64>,
        leg: Option<u64>,
        layout: &str,
        left_leg: Option<u64>,
        rate_hz: u32,
        limit_ms: u64,
        silence_limit_ms: u64,
        silence_waits_for_speech: bool,
        pause_as: &str,
        pause_limit_ms: u64,
        beep: bool,
        beep_every_ms: u64,
        beep_level_db: f64,
        beep_in_file: bool,
        trim_silence: bool,
        tracks: bool,
        label: String,
    ) -> PyResult<(u64, u64)> {
        let spec = RecordingSpec {
            folder,
            format: parse_format(format)?,
            target: parse_target(room, leg)?,
            layout: parse_layout(layout)?,
            left_leg: left_leg.map(LegHandle::from_u64),
            rate_hz,
            limit_ms,
            silence: SilenceRule {
                limit_ms: silence_limit_ms,
                waits_for_speech: silence_waits_for_speech,
            },
            pause: PauseRule { as_silence: parse_pause(pause_as)?, limit_ms: pause_limit_ms },
            beep: BeepRule {
                at_start: beep,
                every_ms: beep_every_ms,
                level_cdb: parse_beep_level(beep_level_db)?,
                in_file: beep_in_file,
            },
            trim_silence,
            tracks,
            label,
        };
        self.guarded(|| {
            let (command, recorder) = self.running.start_recording(spec).map_err(refused)?;
            Ok((command, recorder.to_u64()))
        })
    }

    fn stop_recording(&self, recorder: u64) -> PyResult<u64> {
        self.room(RoomCommand::StopRecording { recorder: RecorderHandle::from_u64(recorder) })
    }

    fn pause_recording(&self, recorder: u64) -> PyResult<u64> {
        self.room(RoomCommand::PauseRecording { recorder: RecorderHandle::from_u64(recorder) })
    }

    fn resume_recording(&self, recorder: u64) -> PyResult<u64> {
        self.room(RoomCommand::ResumeRecording { recorder: RecorderHandle::from_u64(recorder) })
    }

    #[pyo3(signature = (*, path, tones, leg, room, loops, instead, level_db))]
    #[allow(clippy::too_many_arguments)] // Keywords of one Python call.
    fn play(
        &self,
        path: Option<PathBuf>,
        tones: Vec<PyTone>,
        leg: Option<u64>,
        room: Option<u64>,
        loops: u32,
        instead: bool,
        level_db: f64,
    ) -> PyResult<(u64, u64)> {
        let spec = PlaySpec {
            source: parse_source(path, tones)?,
            target: parse_target(room, leg)?,
            loops,
            is_instead: instead,
            level_cdb: parse_level(level_db)?,
        };
        self.guarded(|| {
            let (command, playback) = self.running.play(spec).map_err(refused)?;
            Ok((command, playback.to_u64()))
        })
    }

    fn stop_play(&self, playback: u64) -> PyResult<u64> {
        self.room(RoomCommand::StopPlay { playback: PlaybackHandle::from_u64(playback) })
    }

    #[pyo3(signature = (*, leg, room))]
    fn stop_plays(&self, leg: Option<u64>, room: Option<u64>) -> PyResult<u64> {
        self.room(RoomCommand::StopPlays { target: parse_target(room, leg)? })
    }

    #[pyo3(signature = (*, networks, rate_per_source, rate_exempt, max_unacknowledged))]
    fn set_access(
        &self,
        networks: Vec<String>,
        rate_per_source: u32,
        rate_exempt: Vec<String>,
        max_unacknowledged: u32,
    ) -> PyResult<u64> {
        let access = parse_access(networks, rate_per_source, rate_exempt, max_unacknowledged)?;
        self.sip(SipCommand::SetAccess { access })
    }

    fn set_credentials(&self, rows: Vec<(String, String, String, String)>) -> PyResult<u64> {
        let credentials = Credentials::new(rows).map_err(bad_identity)?;
        self.sip(SipCommand::SetCredentials { credentials })
    }

    fn set_sources(&self, rows: Vec<(String, Vec<String>)>) -> PyResult<u64> {
        let sources = Sources::new(rows).map_err(bad_identity)?;
        self.sip(SipCommand::SetSources { sources })
    }

    fn set_locations(&self, rows: Vec<(String, Vec<ContactRow>)>) -> PyResult<u64> {
        let locations = Locations::new(rows).map_err(bad_identity)?;
        self.sip(SipCommand::SetLocations { locations })
    }

    #[pyo3(signature = (trunk, *, registrar, aor, username, password, expires_s))]
    fn register(
        &self,
        trunk: &str,
        registrar: &str,
        aor: &str,
        username: &str,
        password: &str,
        expires_s: u32,
    ) -> PyResult<u64> {
        let (uris, login) = ((registrar, aor), (username, password));
        let registration =
            Registration::new(trunk, uris, login, expires_s).map_err(bad_identity)?;
        self.sip(SipCommand::Register { registration: Box::new(registration) })
    }

    fn unregister(&self, trunk: String) -> PyResult<u64> {
        self.sip(SipCommand::Unregister { trunk })
    }

    #[pyo3(signature = (trunk, uris, *, every_s))]
    fn watch(&self, trunk: &str, uris: Vec<String>, every_s: u32) -> PyResult<u64> {
        let watch = Watch::new(trunk, &uris, every_s).map_err(bad_identity)?;
        self.sip(SipCommand::Watch { watch })
    }

    fn set_draining(&self, draining: bool) -> PyResult<u64> {
        self.sip(SipCommand::SetDraining { draining })
    }

    fn sip_call_id(&self, leg: u64) -> Option<String> {
        self.running.sip_call_id(LegHandle::from_u64(leg))
    }

    fn sip_trace(&self, py: Python<'_>, sip_call_id: &str) -> Vec<PyTraced> {
        let traced = py.detach(|| self.running.sip_trace(sip_call_id));
        let to_python = |it: Traced| {
            (it.unix_us, it.is_sent, it.transport.name(), it.peer.to_string(), it.text)
        };
        traced.into_iter().map(to_python).collect()
    }

    fn levels<'py>(&self, py: Python<'py>, leg: u64) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(stats) = self.running.levels(LegHandle::from_u64(leg)) else { return Ok(None) };
        let levels = PyDict::new(py);
        let counts = [
            ("packets_received", &stats.packets_received),
            ("packets_sent", &stats.packets_sent),
            ("packets_lost", &stats.packets_lost),
            ("packets_late", &stats.packets_late),
            ("frames_concealed", &stats.frames_concealed),
        ];
        for (name, count) in counts {
            levels.set_item(name, count.load(Ordering::Relaxed))?;
        }
        levels.set_item("remote_lost", stats.remote_lost.load(Ordering::Relaxed))?;
        levels.set_item("jitter_ms", stats.jitter_ms.load(Ordering::Relaxed))?;
        let known = |figure: u32| (figure > 0).then_some(f64::from(figure));
        let round_trip_us = known(stats.round_trip_us.load(Ordering::Relaxed));
        levels.set_item("round_trip_ms", round_trip_us.map(|us| us / 1_000.0))?;
        let mos_x100 = known(stats.mos_x100.load(Ordering::Relaxed));
        levels.set_item("mos", mos_x100.map(|mos| mos / 100.0))?;
        levels.set_item("buffer_delay_ms", stats.buffer_delay_ms.load(Ordering::Relaxed))?;
        let decibels = |hundredths: i32| (f64::from(hundredths) / 100.0).max(SILENCE_DB);
        levels.set_item("level_rx_db", decibels(stats.level_rx_cdb.load(Ordering::Relaxed)))?;
        levels.set_item("level_tx_db", decibels(stats.level_tx_cdb.load(Ordering::Relaxed)))?;
        Ok(Some(levels))
    }

    fn stats(&self) -> HashMap<&'static str, u64> {
        self.running.stats().into_iter().collect()
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.guarded(|| {
            py.detach(|| self.running.stop());
            Ok(())
        })
    }
}

/// What was given is wrong, or the system refused it.
fn not_started(error: io::Error) -> PyErr {
    match error.kind() {
        io::ErrorKind::InvalidInput => PyValueError::new_err(error.to_string()),
        _ => error.into(),
    }
}

fn parse_all(texts: &[String], expected: &str) -> PyResult<Vec<SocketAddr>> {
    let wrong = |text: &str| PyValueError::new_err(format!("{text:?} is not {expected}"));
    texts.iter().map(|text| text.parse().map_err(|_| wrong(text))).collect()
}

/// An address, with the port of DNS where it names none.
fn parse_name_servers(texts: &[String]) -> PyResult<Vec<SocketAddr>> {
    let wrong = |text: &str| PyValueError::new_err(format!("{text:?} is no name server's address"));
    texts
        .iter()
        .map(|text| {
            let bare = text.parse().map(|ip| SocketAddr::new(ip, 53));
            text.parse().or(bare).map_err(|_| wrong(text))
        })
        .collect()
}

fn parse_advertised(text: &str) -> PyResult<Option<IpAddr>> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| PyValueError::new_err(format!("{text:?} is not an IP address"));
    text.parse().map(Some).map_err(wrong)
}

fn parse_networks(texts: &[String]) -> PyResult<Vec<Network>> {
    let wrong =
        |text: &str| PyValueError::new_err(format!("{text:?} is not a network such as 10.0.0.0/8"));
    texts.iter().map(|text| Network::parse(text).ok_or_else(|| wrong(text))).collect()
}

fn bad_identity(error: BadIdentity) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// As it can stand between quotes in a header.
fn parse_realm(text: &str) -> PyResult<String> {
    let is_plain = |c: char| !c.is_control() && c != '"' && c != '\\';
    if text.is_empty() || text.len() > MAX_REALM || !text.chars().all(is_plain) {
        let rule = "is empty, exceeds 128 bytes or holds quotes";
        return Err(PyValueError::new_err(format!("the realm {text:?} {rule}")));
    }
    Ok(text.to_owned())
}

fn all_codecs() -> Vec<String> {
    ["opus", "G722", "PCMU", "PCMA", "L16"].map(str::to_owned).to_vec()
}

fn parse_codecs(names: &[String], limit_hz: u32) -> PyResult<Preference> {
    let limit = Rate::of(limit_hz).filter(|rate| *rate != Rate::Narrow);
    let limit = limit.ok_or_else(|| {
        PyValueError::new_err(format!("{limit_hz} Hz is no limit for rooms: 16000 or 48000"))
    })?;
    Preference::new(names, limit).map_err(PyValueError::new_err)
}

fn parse_access(
    networks: Vec<String>,
    rate_per_source: u32,
    rate_exempt: Vec<String>,
    max_unacknowledged: u32,
) -> PyResult<Access> {
    Ok(Access {
        networks: parse_networks(&networks)?,
        rate_per_source,
        rate_exempt: parse_networks(&rate_exempt)?,
        max_unacknowledged,
    })
}

/// "": as the node has it.
fn parse_call_srtp(name: &str) -> PyResult<Option<CallSrtp>> {
    if name.is_empty() {
        return Ok(None);
    }
    let wrong = || PyValueError::new_err(format!("srtp {name:?} is not never, offer or require"));
    CallSrtp::parse(name).map(Some).ok_or_else(wrong)
}

fn parse_srtp(name: &str) -> PyResult<SrtpPolicy> {
    let wrong = || PyValueError::new_err(format!("srtp {name:?} is not never, accept or require"));
    SrtpPolicy::parse(name).ok_or_else(wrong)
}

fn parse_format(text: &str) -> PyResult<Format> {
    match text {
        "wav" => Ok(Format::Wav),
        "mp3" => Ok(Format::Mp3),
        _ => Err(PyValueError::new_err(format!("format {text:?} is neither wav nor mp3"))),
    }
}

fn parse_pause(name: &str) -> PyResult<bool> {
    match name {
        "skip" => Ok(false),
        "silence" => Ok(true),
        _ => Err(PyValueError::new_err(format!("a pause is skip or silence, not {name:?}"))),
    }
}

/// Hundredths of dB.
fn parse_beep_level(level_db: f64) -> PyResult<i32> {
    if !(-60.0..=0.0).contains(&level_db) {
        let wrong = format!("a beep is at -60 to 0 dB of full scale, not {level_db}");
        return Err(PyValueError::new_err(wrong));
    }
    Ok((level_db * 100.0).round() as i32)
}

fn parse_layout(name: &str) -> PyResult<ChannelLayout> {
    let wrong = || PyValueError::new_err(format!("there is no channel layout {name:?}"));
    ChannelLayout::parse(name).ok_or_else(wrong)
}

fn parse_target(room: Option<u64>, leg: Option<u64>) -> PyResult<Target> {
    match (room, leg) {
        (Some(room), None) => Ok(Target::Room(RoomHandle::from_u64(room))),
        (None, Some(leg)) => Ok(Target::Leg(LegHandle::from_u64(leg))),
        _ => Err(PyValueError::new_err("exactly one of room and leg must be given")),
    }
}
