//! The running core: builds the threads, routes commands to them, and takes them down in order.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::boundary::command::{Access, CommandId, RoomCommand, SipCommand, StartRecording};
use crate::boundary::counters::{Counters, LegStats, RoomRates};
use crate::boundary::dial::Dial;
use crate::boundary::digits::DigitString;
use crate::boundary::event::Event;
use crate::boundary::handle::{
    LegHandle, PlaybackHandle, RecorderHandle, RoomHandle, SlotAllocator,
};
use crate::boundary::ledger::{Gone, Ledger, Pending};
use crate::boundary::sink::{EventQueue, EventSink, event_path};
use crate::boundary::transport::Transport;
use crate::boundary::warnings;
use crate::media::codec::Rate;
use crate::media::command::{MediaCommand, MediaHandle};
use crate::media::ports::PortPool;
use crate::media::{self, MediaConfig, MediaThread};
use crate::play::{self, PlayRequest, PlaySpec, PlayThread};
use crate::record::spec::{RecordingSpec, Target};
use crate::record::{self, RecordConfig, RecordThreads};
use crate::sdp::Preference;
use crate::sip::{self, Limits, SipConfig, SipHandle, SrtpPolicy, SrtpRule, TlsFiles};

/// From here on ids are of the core's own commands; their answers do not leave.
const OWN_COMMANDS: CommandId = 1 << 63;
/// All of [`Core::stop`] together, calls and files included.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// Of it, what peers get to answer our BYEs.
const BYE_GRACE: Duration = Duration::from_millis(1_500);

/// What a core is started with.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// Where to listen for SIP over UDP; at least one, port 0 lets the kernel choose.
    pub sip_udp: Vec<SocketAddr>,
    /// Where to listen for SIP over streams.
    pub sip_streams: Vec<(Transport, SocketAddr)>,
    /// Certificates of TLS and WSS.
    pub tls: TlsFiles,
    /// Name servers; empty: the system's.
    pub dns: Vec<SocketAddr>,
    /// Our address in Contact and SDP; `None`: the one that faces each peer.
    pub advertised: Option<IpAddr>,
    pub rtp_ports: RangeInclusive<u16>,
    /// The codecs to agree on.
    pub codecs: Preference,
    pub access: Access,
    pub srtp: SrtpRule,
    pub user_agent: String,
    /// Of our digest challenges.
    pub realm: String,
    /// Recordings lie beneath this folder.
    pub spool: PathBuf,
    /// No recording starts with less free space than this.
    pub reserve_bytes: u64,
    /// Whether the media thread asks for SCHED_FIFO.
    pub realtime: bool,
    pub max_legs: u32,
    pub max_rooms: u32,
    pub max_recorders: u32,
    /// Files that play or wait to, at once.
    pub max_plays: u32,
    /// A call that nobody answered ends after it.
    pub ring_max: Duration,
    /// Seconds after which a call is over whose far end does not show that it lives (RFC 4028);
    /// 90 at least.
    pub session_expires: u32,
}

/// A command that was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The named thread does not empty its queue.
    Busy(&'static str),
    /// As many as configured live already.
    Full(&'static str),
    /// What the command is about does not live.
    Gone(&'static str),
    Stopped,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(thread) => write!(f, "the {thread} thread takes no commands"),
            Self::Full(what) => write!(f, "all {what} that were configured are in use"),
            Self::Gone(what) => write!(f, "there is no such {what} any more"),
            Self::Stopped => f.write_str("the core has stopped"),
        }
    }
}

impl std::error::Error for Refused {}

/// SIP, media and writer threads. Safe from any thread; dropping it stops it.
pub struct Core {
    sip: SipHandle,
    media: MediaHandle,
    media_thread: Mutex<Option<MediaThread>>,
    recorder: Mutex<Option<RecordThreads>>,
    player: Mutex<Option<PlayThread>>,
    events: EventSink,
    queue: EventQueue,
    counters: Arc<Counters>,
    room_rates: Arc<RoomRates>,
    legs: Arc<SlotAllocator>,
    rooms: SlotAllocator,
    recorders: SlotAllocator,
    playbacks: SlotAllocator,
    ledger: Mutex<Ledger>,
    next_command: AtomicU64,
    is_stopped: AtomicBool,
}

impl Core {
    /// Binds the sockets and starts the threads.
    pub fn start(config: CoreConfig) -> io::Result<Self> {
        let counters = Arc::new(Counters::default());
        let (events, tick_events, queue) = event_path(counters.clone())?;
        warnings::report_to(events.clone());
        let legs = Arc::new(SlotAllocator::new(config.max_legs));
        let (media, commands) = MediaHandle::new();
        let sip = sip::start(
            sip_config(&config)?,
            media.clone(),
            events.clone(),
            counters.clone(),
            legs.clone(),
        )?;
        let record_config = RecordConfig {
            reserve_bytes: config.reserve_bytes,
            ..RecordConfig::new(&config.spool)
        };
        let recorder =
            record::start(record_config, media.clone(), events.clone(), counters.clone())?;
        let player = play::start(media.clone(), events.clone(), counters.clone())?;
        let media_config = media_config(&config);
        let media_thread = media::start(media_config, commands, tick_events, counters.clone())?;
        Ok(Self {
            sip,
            media,
            room_rates: media_thread.rates.clone(),
            media_thread: Mutex::new(Some(media_thread)),
            recorder: Mutex::new(Some(recorder)),
            player: Mutex::new(Some(player)),
            events,
            queue,
            counters,
            legs,
            rooms: SlotAllocator::new(config.max_rooms),
            recorders: SlotAllocator::new(config.max_recorders),
            playbacks: SlotAllocator::new(config.max_plays),
            ledger: Mutex::default(),
            next_command: AtomicU64::new(1),
            is_stopped: AtomicBool::new(false),
        })
    }

    /// What the SIP sockets are bound to, in the order of the configuration.
    pub fn sip_addresses(&self) -> &[SocketAddr] {
        self.sip.local_addresses()
    }

    /// The same for streams.
    pub fn sip_stream_addresses(&self) -> &[(Transport, SocketAddr)] {
        self.sip.stream_addresses()
    }

    /// Reads the files of certificates again; calls keep their connections.
    pub fn reload_tls(&self) -> io::Result<()> {
        self.sip.reload_tls()
    }

    /// Readable when events wait.
    pub fn fd(&self) -> RawFd {
        self.queue.fd()
    }

    /// Events that wait, at most `limit`.
    pub fn drain(&self, limit: usize) -> Vec<Event> {
        let mut events = self.queue.drain(limit);
        let mut ledger = lock(&self.ledger);
        events.retain(|event| {
            match ledger.settle(event) {
                Some(Gone::Room(room)) => self.rooms.release(room.0),
                Some(Gone::Recorder(recorder)) => self.recorders.release(recorder.0),
                Some(Gone::Playback(playback)) => self.playbacks.release(playback.0),
                None => {}
            }
            !matches!(
                event,
                Event::CommandDone { command } | Event::CommandFailed { command, .. }
                    if *command >= OWN_COMMANDS
            )
        });
        events
    }

    /// Hands a command to the SIP thread.
    pub fn sip(&self, command: SipCommand) -> Result<CommandId, Refused> {
        let id = self.next_id()?;
        self.sip.send(id, command).map_err(|_| Refused::Busy("SIP"))?;
        Ok(id)
    }

    /// Calls somebody; the handle is good from the first event on.
    pub fn dial(&self, call: Dial) -> Result<(CommandId, LegHandle), Refused> {
        let id = self.next_id()?;
        let leg: LegHandle = self.legs.allocate().ok_or(Refused::Full("legs"))?;
        match self.sip.send(id, SipCommand::Dial { leg, call: Box::new(call) }) {
            Ok(()) => Ok((id, leg)),
            Err(_) => {
                self.legs.release(leg.0);
                Err(Refused::Busy("SIP"))
            }
        }
    }

    /// Hands a command about a room or a participant to the media thread.
    pub fn room(&self, action: RoomCommand) -> Result<CommandId, Refused> {
        let id = self.next_id()?;
        let pending = match action {
            RoomCommand::CloseRoom { room } => Some(Pending::CloseRoom(room)),
            _ => None,
        };
        if let Some(pending) = pending {
            lock(&self.ledger).expect(id, pending);
        }
        self.send_to_media(id, action)?;
        Ok(id)
    }

    /// A new room; its handle is good once the command is done.
    pub fn create_room(&self, rate_hz: u32) -> Result<(CommandId, RoomHandle), Refused> {
        let id = self.next_id()?;
        let room: RoomHandle = self.rooms.allocate().ok_or(Refused::Full("rooms"))?;
        lock(&self.ledger).expect(id, Pending::CreateRoom(room));
        match self.send_to_media(id, RoomCommand::CreateRoom { room, rate_hz }) {
            Ok(()) => Ok((id, room)),
            Err(refused) => {
                self.rooms.release(room.0);
                Err(refused)
            }
        }
    }

    /// Presses keys on a leg; done when the last is released. Milliseconds as
    /// [`Keying::push`](crate::media::leg::keying::Keying::push) takes them.
    pub fn send_digits(
        &self,
        leg: LegHandle,
        digits: DigitString,
        (tone_ms, gap_ms): (u16, u16),
    ) -> Result<CommandId, Refused> {
        let command = self.next_id()?;
        let keys = MediaCommand::SendDigits { command, leg, digits, tone_ms, gap_ms };
        self.media.send(keys).map_err(|_| Refused::Busy("media"))?;
        Ok(command)
    }

    /// Opens the files, then taps the target; done when armed: every packet that arrives afterwards is
    /// in the file.
    pub fn start_recording(
        &self,
        mut spec: RecordingSpec,
    ) -> Result<(CommandId, RecorderHandle), Refused> {
        if spec.rate_hz == 0 {
            spec.rate_hz = self.rate_of(spec.target);
        }
        match spec.target {
            Target::Room(room) if !lock(&self.ledger).has_room(room) => {
                return Err(Refused::Gone("room"));
            }
            Target::Leg(leg) if self.sip.leg_stats(leg).is_none() => {
                return Err(Refused::Gone("leg"));
            }
            Target::Room(_) | Target::Leg(_) => {}
        }
        let id = self.next_id()?;
        let recorder: RecorderHandle =
            self.recorders.allocate().ok_or(Refused::Full("recorders"))?;
        lock(&self.ledger).expect(id, Pending::StartRecording(recorder));
        let threads = lock(&self.recorder);
        let opened = match threads.as_ref() {
            None => Err(Refused::Stopped),
            Some(threads) => threads
                .open(id, StartRecording { recorder, spec })
                .map_err(|_| Refused::Busy("recorder")),
        };
        match opened {
            Ok(()) => Ok((id, recorder)),
            Err(refused) => {
                lock(&self.ledger).withdraw(id);
                self.recorders.release(recorder.0);
                Err(refused)
            }
        }
    }

    /// What its audio has at this moment.
    fn rate_of(&self, target: Target) -> u32 {
        let rate_hz = match target {
            Target::Room(room) => self.room_rates.get(room.0.slot),
            Target::Leg(leg) => {
                self.sip.leg_stats(leg).map_or(0, |stats| stats.rate_hz.load(Ordering::Relaxed))
            }
        };
        if rate_hz == 0 { Rate::Narrow.hz() } else { rate_hz }
    }

    /// Opens a file to be heard; done when it is queued at its target, one event when it is over.
    pub fn play(&self, spec: PlaySpec) -> Result<(CommandId, PlaybackHandle), Refused> {
        let id = self.next_id()?;
        let rate = Rate::of(self.rate_of(spec.target)).unwrap_or(Rate::Narrow);
        let playback: PlaybackHandle =
            self.playbacks.allocate().ok_or(Refused::Full("playbacks"))?;
        lock(&self.ledger).expect(id, Pending::Play(playback));
        let asked = match lock(&self.player).as_ref() {
            None => Err(Refused::Stopped),
            Some(player) => player
                .play(PlayRequest { command: id, playback, spec, rate })
                .map_err(|_| Refused::Busy("player")),
        };
        match asked {
            Ok(()) => Ok((id, playback)),
            Err(refused) => {
                lock(&self.ledger).withdraw(id);
                self.playbacks.release(playback.0);
                Err(refused)
            }
        }
    }

    /// A leg's live figures, while it has audio.
    pub fn levels(&self, leg: LegHandle) -> Option<Arc<LegStats>> {
        self.sip.leg_stats(leg)
    }

    /// The last messages of a call, by its Call-ID; empty when it is unknown or forgotten.
    pub fn sip_trace(&self, call_id: &str) -> Vec<sip::Traced> {
        self.sip.trace(call_id)
    }

    /// Call-ID of a leg, as long as its call's messages are kept.
    pub fn sip_call_id(&self, leg: LegHandle) -> Option<String> {
        self.sip.call_id(leg)
    }

    /// Every counter, and what lives now.
    pub fn stats(&self) -> Vec<(&'static str, u64)> {
        let mut stats = self.counters.snapshot();
        stats.push(("legs", self.legs.in_use() as u64));
        stats.push(("rooms", self.rooms.in_use() as u64));
        stats.push(("recorders", self.recorders.in_use() as u64));
        stats
    }

    /// A panic was caught above the core, in its bindings.
    pub fn count_panic(&self) {
        Counters::add(&self.counters.caught_panics, 1);
    }

    /// Ends calls, finishes recordings and joins the threads, within 5 s. Events go on being drained
    /// meanwhile and afterwards. The second call returns at once.
    pub fn stop(&self) {
        if self.is_stopped.swap(true, Ordering::AcqRel) {
            return;
        }
        let deadline = Instant::now() + STOP_LIMIT;
        if !self.sip.stop() {
            self.report_slow("SIP");
        }
        let rooms = lock(&self.ledger).rooms();
        for (id, room) in (OWN_COMMANDS..).zip(rooms) {
            lock(&self.ledger).expect(id, Pending::CloseRoom(room));
            // A media thread that takes no commands is found out below.
            let _ = self.send_to_media(id, RoomCommand::CloseRoom { room });
        }
        let player = lock(&self.player).take();
        if let Some(mut player) = player
            && !within(deadline, move || player.stop())
        {
            self.report_slow("player");
        }
        let media_thread = lock(&self.media_thread).take();
        let recorder = lock(&self.recorder).take();
        let asked = self.media.send(MediaCommand::Stop).is_ok();
        if let Some(thread) = media_thread
            && !(asked && within(deadline, move || thread.join()))
        {
            self.report_slow("media");
        }
        if let Some(mut recorder) = recorder
            && !within(deadline, move || recorder.stop())
        {
            self.report_slow("writer");
        }
    }

    fn next_id(&self) -> Result<CommandId, Refused> {
        if self.is_stopped.load(Ordering::Acquire) {
            return Err(Refused::Stopped);
        }
        Ok(self.next_command.fetch_add(1, Ordering::Relaxed))
    }

    fn send_to_media(&self, command: CommandId, action: RoomCommand) -> Result<(), Refused> {
        self.media.send(MediaCommand::Room { command, action }).map_err(|_| {
            lock(&self.ledger).withdraw(command);
            Refused::Busy("media")
        })
    }

    fn report_slow(&self, thread: &str) {
        let detail = format!("the {thread} thread did not end within the time given to a stop");
        self.events.send(Event::CoreTrouble { detail });
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` on a thread of its own; false when it was not done by the deadline (it goes on then).
fn within(deadline: Instant, work: impl FnOnce() + Send + 'static) -> bool {
    let (sender, done) = mpsc::channel::<()>();
    let spawned = thread::Builder::new().name("tl-stop".into()).spawn(move || {
        work();
        drop(sender);
    });
    let left = deadline.saturating_duration_since(Instant::now());
    spawned.is_ok() && !matches!(done.recv_timeout(left), Err(mpsc::RecvTimeoutError::Timeout))
}

fn sip_config(config: &CoreConfig) -> io::Result<SipConfig> {
    let is_secret = config.sip_streams.iter().any(|(transport, _)| transport.is_secret());
    let may_carry_keys = is_secret || config.srtp.sdes_over_plain_sip;
    if config.srtp.policy == SrtpPolicy::Require && !may_carry_keys {
        let text = "SRTP is required, but SIP over UDP, TCP and WS may carry no keys: no call would \
                    be taken; listen for TLS or WSS, allow SDES over plain SIP, or do not require SRTP";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(SipConfig {
        udp: config.sip_udp.clone(),
        streams: config.sip_streams.clone(),
        tls: config.tls.clone(),
        dns: config.dns.clone(),
        advertised: config.advertised,
        ports: PortPool::new(rtp_bind_address(config), config.rtp_ports.clone())?,
        codecs: config.codecs.clone(),
        user_agent: config.user_agent.clone(),
        realm: config.realm.clone(),
        limits: Limits {
            dialogs: config.max_legs as usize,
            ring_max: config.ring_max,
            session_expires: config.session_expires.max(Limits::default().session_min),
            stop_grace: BYE_GRACE,
            ..Limits::default()
        },
        access: config.access.clone(),
        srtp: config.srtp,
    })
}

/// Audio is bound where SIP is; to every address when SIP listens on several.
fn rtp_bind_address(config: &CoreConfig) -> IpAddr {
    let streams = config.sip_streams.iter().map(|(_, address)| address);
    let sip: Vec<_> = config.sip_udp.iter().chain(streams).collect();
    let mut addresses = sip.iter().map(|address| address.ip());
    let first = addresses.next().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    if addresses.all(|other| other == first) {
        return first;
    }
    if sip.iter().all(|address| address.is_ipv4()) {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    }
}

fn media_config(config: &CoreConfig) -> MediaConfig {
    MediaConfig {
        legs: config.max_legs,
        rooms: config.max_rooms,
        taps: config.max_recorders,
        plays: config.max_plays,
        realtime: config.realtime,
    }
}
