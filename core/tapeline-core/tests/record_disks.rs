//! Disks that stall while a call goes on (R28), and disks that are really full (R45).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod record_support;

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use record_support::faulty_disk::FaultyDisk;
use record_support::{Studio, TempFolder, decode, noise, sine};
use tapeline_core::boundary::command::{RoomCommand, StartRecording};
use tapeline_core::boundary::counters::{Counters, LegStats};
use tapeline_core::boundary::event::{Event, FinishReason};
use tapeline_core::boundary::handle::{Handle, LegHandle, RecorderHandle, RoomHandle};
use tapeline_core::boundary::sink::event_path;
use tapeline_core::media::command::{
    Agreement, Codec, Direction, LegSetup, MediaCommand, MediaHandle, RtcpPlace,
};
use tapeline_core::media::leg::LegCodec;
use tapeline_core::media::room::participant::Settings;
use tapeline_core::media::thread;
use tapeline_core::media::tick::MediaConfig;
use tapeline_core::record::disk::{DiskSpool, free_bytes};
use tapeline_core::record::format::lame;
use tapeline_core::record::repair::repair;
use tapeline_core::record::silence::SilenceRule;
use tapeline_core::record::spec::{
    BeepRule, ChannelLayout, Format, PauseRule, RecordingSpec, Target,
};
use tapeline_core::record::{RecordConfig, start_on};
use tapeline_core::sys::thread::{become_realtime, monotonic_ns, sleep_until};

const TICK_NS: u64 = 20_000_000;
/// µ-law codes of moderate level: the k-th packet holds nothing but the (k mod CODES)-th of them, so a
/// listener can tell which packet it hears.
const CODES: u64 = 48;
const FIRST_CODE: u8 = 0x98;

/// What a listener got: when, and the first byte of its payload.
type Heard = Vec<(u64, u8)>;

/// Two phones in a room of a real media thread: one talks, the other listens.
struct Call {
    talker: JoinHandle<Vec<u64>>,
    listener: JoinHandle<Heard>,
    is_over: Arc<AtomicBool>,
}

fn agreement(remote: SocketAddr) -> Agreement {
    Agreement {
        remote,
        codec: Codec::Pcmu,
        payload_type: 0,
        telephone_event: None,
        packet_ms: 20,
        direction: Direction::SendRecv,
        rtcp: RtcpPlace::default(),
        srtp: None,
    }
}

fn loopback() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

fn add_leg(media: &MediaHandle, slot: u32, room: RoomHandle) -> (UdpSocket, SocketAddr) {
    let (phone, rtp, rtcp) = (loopback(), loopback(), loopback());
    let leg = LegHandle(Handle { slot, generation: 1 });
    let address = rtp.local_addr().unwrap();
    let setup = LegSetup {
        leg,
        rtp,
        rtcp,
        agreement: agreement(phone.local_addr().unwrap()),
        codec: Some(LegCodec::new(Codec::Pcmu).unwrap()),
        srtp: None,
        stats: Arc::new(LegStats::default()),
    };
    assert!(media.send(MediaCommand::AddLeg(Box::new(setup))).is_ok());
    let join = RoomCommand::Join { leg, room, settings: Settings::default() };
    assert!(media.send(MediaCommand::Room { command: 10 + u64::from(slot), action: join }).is_ok());
    (phone, address)
}

fn rtp(ssrc: u32, number: u64, code: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend((number as u16).to_be_bytes());
    packet.extend((number as u32 * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([code; 160]);
    packet
}

impl Call {
    fn begin(media: &MediaHandle) -> Self {
        let room = RoomHandle(Handle { slot: 0, generation: 1 });
        let create = RoomCommand::CreateRoom { room, rate_hz: 8_000 };
        assert!(media.send(MediaCommand::Room { command: 1, action: create }).is_ok());
        let (talking, to) = add_leg(media, 0, room);
        let (listening, keep_alive) = add_leg(media, 1, room);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let talker = std::thread::spawn(move || {
            let _ = become_realtime(5);
            let mut sent = Vec::new();
            let begun = monotonic_ns();
            while !over.load(Ordering::Relaxed) {
                let number = sent.len() as u64;
                sleep_until(begun + number * TICK_NS);
                let code = FIRST_CODE + (number % CODES) as u8;
                sent.push(monotonic_ns());
                talking.send_to(&rtp(7, number, code), to).unwrap();
            }
            sent
        });
        listening.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let over = is_over.clone();
        let listener = std::thread::spawn(move || {
            let _ = become_realtime(5);
            let (mut heard, mut packet) = (Vec::new(), [0; 500]);
            while !over.load(Ordering::Relaxed) {
                match listening.recv(&mut packet) {
                    Ok(172) => heard.push((monotonic_ns(), packet[12])),
                    Ok(_) => {}
                    Err(error) => assert!(
                        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                        "{error}"
                    ),
                }
                // Its own packets are silence: they say where it is.
                let silence = rtp(8, heard.len() as u64, 0xff);
                let _ = listening.send_to(&silence, keep_alive);
            }
            heard
        });
        Self { talker, listener, is_over }
    }

    /// When each packet was sent, and how long it took to be heard; nanoseconds.
    fn end(self) -> Vec<(u64, u64)> {
        self.is_over.store(true, Ordering::Relaxed);
        let (sent, heard) = (self.talker.join().unwrap(), self.listener.join().unwrap());
        let mut delays = Vec::new();
        for (number, at) in sent.iter().enumerate() {
            let code = FIRST_CODE + (number as u64 % CODES) as u8;
            // The codes repeat every 0.96 s.
            let within = *at..*at + 400_000_000;
            let first = heard.iter().find(|(when, it)| within.contains(when) && *it == code);
            delays.extend(first.map(|(when, _)| (*at, when - at)));
        }
        assert!(delays.len() * 100 >= sent.len() * 97, "{} of {}", delays.len(), sent.len());
        delays
    }
}

fn percentile_ms(delays: &[(u64, u64)], within: std::ops::Range<u64>) -> (f64, usize) {
    let mut values: Vec<u64> =
        delays.iter().filter(|(at, _)| within.contains(at)).map(|(_, delay)| *delay).collect();
    values.sort_unstable();
    assert!(values.len() >= 100, "{} packets", values.len());
    (values[values.len() * 99 / 100] as f64 / 1e6, values.len())
}

fn spec(folder: PathBuf, format: Format) -> RecordingSpec {
    RecordingSpec {
        folder,
        format,
        target: Target::Room(RoomHandle(Handle { slot: 0, generation: 1 })),
        layout: ChannelLayout::Mix,
        left_leg: None,
        rate_hz: 8_000,
        limit_ms: 0,
        silence: SilenceRule::default(),
        pause: PauseRule::default(),
        beep: BeepRule::NONE,
        trim_silence: false,
        tracks: false,
        label: String::new(),
    }
}

/// The media thread, its sockets, its writers; the disk's writes and syncs stand still for 5 s.
#[test]
fn r28_a_disk_that_stalls_loses_nothing_and_does_not_move_the_calls_audio() {
    let folder = TempFolder::new();
    let (disk, faults) = FaultyDisk::over(&folder.path);
    let counters = Arc::new(Counters::default());
    let (events, tick_events, queue) = event_path(counters.clone()).unwrap();
    let (media, commands) = MediaHandle::new();
    let config = RecordConfig { reserve_bytes: 1, ..RecordConfig::new(&folder.path) };
    let mut threads =
        start_on(disk, lame::maker(), config, media.clone(), events, counters.clone()).unwrap();
    let media_config = MediaConfig { legs: 4, rooms: 2, taps: 4, plays: 1, realtime: true };
    let ticking = thread::start(media_config, commands, tick_events, counters.clone()).unwrap();
    let call = Call::begin(&media);
    std::thread::sleep(Duration::from_millis(1_000));
    let recorders = [Format::Wav, Format::Mp3].map(|format| {
        let slot = u32::from(format == Format::Mp3);
        let recorder = RecorderHandle(Handle { slot, generation: 1 });
        let spec = spec(folder.path.join(format!("rec_{slot}")), format);
        threads.open(20 + u64::from(slot), StartRecording { recorder, spec }).unwrap();
        recorder
    });
    std::thread::sleep(Duration::from_millis(500));

    let before = monotonic_ns();
    std::thread::sleep(Duration::from_secs(5));
    faults.set_gate(true);
    *faults.flush.lock().unwrap() = Duration::from_secs(5);
    let stalled = monotonic_ns();
    std::thread::sleep(Duration::from_secs(5));
    let over = monotonic_ns();
    faults.set_gate(false);
    *faults.flush.lock().unwrap() = Duration::ZERO;
    std::thread::sleep(Duration::from_millis(1_500));
    for (recorder, command) in recorders.into_iter().zip(30..) {
        let stop = RoomCommand::StopRecording { recorder };
        assert!(media.send(MediaCommand::Room { command, action: stop }).is_ok());
    }
    let deadline = Instant::now() + Duration::from_secs(15);
    let mut finished = Vec::new();
    while finished.len() < 2 {
        assert!(Instant::now() < deadline, "{} finished", finished.len());
        for event in queue.drain(1_000) {
            if let Event::RecordingFinished(it) = event {
                finished.push(it);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let delays = call.end();
    assert!(media.send(MediaCommand::Stop).is_ok());
    ticking.join();
    threads.stop();

    for it in &finished {
        assert_eq!((it.reason, it.missing_ms.len()), (FinishReason::Command, 0), "{it:?}");
        // From the first frame after its start to the last before its stop: a tick less than between them.
        assert!(it.sample_count >= 12 * 8_000 - 160, "{it:?}");
    }
    let wav = decode(&folder.path.join("rec_0/audio.part"), Format::Wav);
    let quiet = wav.iter().skip(800).filter(|sample| sample.unsigned_abs() < 50).count();
    assert!(quiet < wav.len() / 100, "{quiet} silent samples of {}", wav.len());
    let (usual, packets) = percentile_ms(&delays, before..stalled);
    let (stalling, packets_then) = percentile_ms(&delays, stalled..over);
    println!(
        "p99 from packet to packet: {usual:.2} ms over {packets} packets, \
         {stalling:.2} ms over {packets_then} while the disk stood still"
    );
    assert!((stalling - usual).abs() <= 2.0, "{usual} ms before, {stalling} ms in the stall");
}

/// Runs the named test again with a small disk of its own mounted at `TAPELINE_SMALL_DISK`. `None`: it
/// runs there already, and this is where.
fn on_small_disk(test: &str, megabytes: u32) -> Option<PathBuf> {
    if let Ok(folder) = std::env::var("TAPELINE_SMALL_DISK") {
        return Some(folder.into());
    }
    let folder = TempFolder::new();
    let script = format!(
        "mount -t tmpfs -o size={megabytes}m tapeline \"$0\" || exit 77; \
         \"$1\" --exact {test} --nocapture"
    );
    let run = Command::new("unshare")
        .args(["-rm", "sh", "-c", &script])
        .arg(&folder.path)
        .arg(std::env::current_exe().unwrap())
        .env("TAPELINE_SMALL_DISK", &folder.path)
        .status();
    match run.map(|status| status.code()) {
        Ok(Some(0)) => {}
        Ok(Some(77 | 1)) if !may_mount() => {
            println!("{test}: skipped, no mounts in a namespace here")
        }
        Err(error) => println!("{test}: skipped, no unshare: {error}"),
        Ok(code) => panic!("{test} failed on the small disk: {code:?}"),
    }
    None
}

fn may_mount() -> bool {
    let probe = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "x", "/mnt"]).status();
    probe.is_ok_and(|status| status.success())
}

/// Leaves so many bytes free.
fn fill(folder: &Path, left: u64) -> PathBuf {
    let filler = folder.join("filler");
    let free = free_bytes(folder).unwrap();
    fs::write(&filler, vec![1; (free - left) as usize]).unwrap();
    filler
}

fn studio_in(folder: &Path) -> Studio {
    let inside = folder.join("spool");
    let disk = DiskSpool::open(&inside).unwrap();
    Studio::on(TempFolder { path: inside }, disk)
}

fn refusal(studio: &mut Studio) -> String {
    let spec = studio.spec(Format::Wav, 8000, 1);
    let folder = spec.folder.clone();
    studio.open(spec);
    let reason = studio.wait_failed();
    assert!(!folder.exists());
    reason
}

/// The disk fills up faster than anybody looks: the writes themselves fail.
#[test]
fn r45_a_full_disk_ends_recordings_with_whole_files() {
    let Some(folder) = on_small_disk("r45_a_full_disk_ends_recordings_with_whole_files", 6) else {
        return;
    };
    let mut studio = studio_in(&folder);
    for (format, channels) in
        [(Format::Wav, 1), (Format::Wav, 2), (Format::Mp3, 1), (Format::Mp3, 2)]
    {
        let mut stage = studio.start(format, 8000, channels);
        let wave = |at: u64, channel: usize| match format {
            Format::Wav => noise(at, channel),
            Format::Mp3 => sine(8000, 440.0, 0, at),
        };
        stage.play_ms(1_000, wave);
        let filler = fill(&folder, 40 << 10);
        stage.play_ms(40_000, wave);
        let finished = studio.wait_finished(stage.recorder);

        let what = format!("{format:?}, {channels} channels: {finished:?}");
        assert_eq!(finished.reason, FinishReason::WriterFailed, "{what}");
        assert!(
            studio.troubles().iter().any(|it| it.contains("no space left on the disk")),
            "{what}"
        );
        let decoded = decode(&stage.audio_path(), format);
        assert_eq!(decoded.len() as u64, finished.sample_count * u64::from(channels), "{what}");
        assert!(finished.sample_count >= 8_000, "{what}");
        assert!(refusal(&mut studio).starts_with("disk space: 0 MB left, 1 MB"), "{what}");
        fs::remove_file(filler).unwrap();
        let report = repair(&stage.folder).unwrap();
        assert_eq!(report.sample_count, finished.sample_count, "{what}");
        fs::remove_dir_all(&stage.folder).unwrap();

        let mut after = studio.start(Format::Wav, 8000, 1);
        after.play_ms(400, noise);
        after.finish(FinishReason::Command);
        assert_eq!(studio.wait_finished(after.recorder).sample_count, 3_200, "{what}");
        fs::remove_dir_all(&after.folder).unwrap();
    }
    assert_eq!(studio.count(&studio.counters.caught_panics), 0);
}

/// The reserve is used up slowly: recordings end while there is room for all that belongs to an end.
#[test]
fn r45_recordings_end_before_the_last_byte_is_used() {
    let Some(folder) = on_small_disk("r45_recordings_end_before_the_last_byte_is_used", 6) else {
        return;
    };
    let mut studio = studio_in(&folder);
    let kinds = [(Format::Wav, 1), (Format::Mp3, 2)];
    let mut stages = kinds.map(|(format, channels)| studio.start(format, 8000, channels));
    fill(&folder, 120 << 10); // the reserve of 1 MiB has a floor of 128 KiB
    let begun = Instant::now();
    let mut ticks = 0;
    while stages.iter().any(|it| !it.tap.is_abandoned()) {
        assert!(ticks < 250, "nothing ended in 5 s");
        for stage in stages.iter_mut().filter(|it| !it.tap.is_abandoned()) {
            stage.tick(|at, _| sine(8000, 440.0, 0, at));
        }
        ticks += 1;
        std::thread::sleep((Duration::from_millis(20) * ticks).saturating_sub(begun.elapsed()));
    }
    for (stage, (format, channels)) in stages.iter().zip(kinds) {
        let finished = studio.wait_finished(stage.recorder);
        assert_eq!(finished.reason, FinishReason::WriterFailed);
        let decoded = decode(&stage.audio_path(), format);
        assert_eq!(decoded.len() as u64, finished.sample_count * u64::from(channels));
        let report = repair(&stage.folder).unwrap();
        assert!(report.was_finished && report.sha256 == finished.sha256, "{report:?}");
        let lost = stage.tap.position() - finished.sample_count;
        assert!(lost <= 2_400, "{lost} samples that came before the end are not in the file");
    }
    assert_eq!(refusal(&mut studio), "disk space: 0 MB left, 1 MB are kept free");
}
