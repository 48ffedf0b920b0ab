//! One tick: commands, then every leg in, every room's sum, every leg out, each in its phase
//! ([`crate::media::phases`]). No clock, no thread.
//!
//! Nothing here takes a lock, allocates, frees or touches a file. A panic in one leg's or one room's
//! work silences it for a tick and is counted. [`crate::media::topology`] applies the commands.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::boundary::counters::{Counters, RoomRates};
use crate::boundary::event::Event;
use crate::boundary::sink::TickEventSink;
use crate::media::codec::PAYLOAD_MAX;
use crate::media::command::MediaCommand;
use crate::media::frame::FRAME_MAX;
use crate::media::leg::{Leg, TickContext, TickCounts, WINDOW_TICKS};
use crate::media::phases::{PHASE_NS, PHASES, Phase, Spread};
use crate::media::plays::{Exit, Plays};
use crate::media::room::hearing::Heard;
use crate::media::room::participant::Voice;
use crate::media::room::whispers::Whispers;
use crate::media::room::{Room, View};
use crate::media::sending::{Scratch, Sending};
use crate::media::supply::{Garbage, Supply};
use crate::media::taps::{Place, Taps};
use crate::record::tap::{MarkKind, TickTime};
use crate::sys::socket::BatchReader;

/// The journals are told of a delay that changed by so much.
const MARKED_DELAY_MS: u32 = 5;

/// How large the tables of the media thread are, and whether it asks for realtime priority.
#[derive(Clone, Copy, Debug)]
pub struct MediaConfig {
    pub legs: u32,
    pub rooms: u32,
    pub taps: u32,
    pub plays: u32,
    pub realtime: bool,
}

/// Everything that lives on the media thread.
pub struct Tick {
    pub(super) legs: Vec<Option<Box<Leg>>>,
    pub(super) rooms: Vec<Option<Box<Room>>>,
    /// Slots of those that live.
    pub(super) live_legs: Spread,
    pub(super) live_rooms: Spread,
    /// The one that is run now, or, between two, next.
    pub(super) phase: Phase,
    /// Time between two phases.
    spacing_ns: u64,
    pub(super) taps: Taps,
    pub(super) plays: Plays,
    pub(super) whispers: Whispers,
    pub(super) supply: Supply,
    pub(super) commands: rtrb::Consumer<MediaCommand>,
    /// Taken from the ring, but the supply was empty: goes first at the next tick.
    pub(super) waiting: Option<MediaCommand>,
    reader: BatchReader,
    pub(super) events: TickEventSink,
    pub(super) counters: Arc<Counters>,
    counts: TickCounts,
    number: u64,
    pub(super) is_stopping: bool,
    pub(super) room_rates: Arc<RoomRates>,
}

impl Tick {
    /// Allocates all that the ticks will use.
    pub fn new(
        config: MediaConfig,
        commands: rtrb::Consumer<MediaCommand>,
        supply: Supply,
        events: TickEventSink,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            legs: (0..config.legs).map(|_| None).collect(),
            rooms: (0..config.rooms).map(|_| None).collect(),
            live_legs: Spread::new(config.legs),
            live_rooms: Spread::new(config.rooms),
            phase: Phase::FIRST,
            spacing_ns: PHASE_NS,
            taps: Taps::new(config.taps, config.rooms, config.legs),
            plays: Plays::new(config.plays, config.rooms, config.legs),
            whispers: Whispers::new(config.legs),
            supply,
            commands,
            waiting: None,
            reader: BatchReader::new(),
            events,
            counters,
            counts: TickCounts::default(),
            number: 0,
            is_stopping: false,
            room_rates: Arc::new(RoomRates::new(config.rooms)),
        }
    }

    /// Where the rates of its rooms are told.
    pub fn tell_rates_to(&mut self, room_rates: Arc<RoomRates>) {
        self.room_rates = room_rates;
    }

    /// True when a stop was asked for and every recording has been handed to its writer.
    pub fn is_done(&self) -> bool {
        self.is_stopping && self.taps.is_settled()
    }

    pub fn is_stopping(&self) -> bool {
        self.is_stopping
    }

    pub fn trouble(&mut self, detail: String) {
        self.events.send(Event::CoreTrouble { detail });
    }

    /// Ticks that were not run: sample positions and RTP clocks go on.
    pub fn skip(&mut self, ticks: u64) {
        self.taps.skip(ticks);
        for slot in self.live_legs.all() {
            if let Some(leg) = self.legs.get_mut(slot as usize).and_then(Option::as_mut) {
                leg.skip(ticks);
            }
        }
        self.number += ticks;
        Counters::add(&self.counters.ticks_skipped, ticks);
    }

    /// The 20 ms that end at `now`, all phases at once: time for those who do not measure it.
    pub fn run(&mut self, now: TickTime) {
        self.spacing_ns = 0;
        for _ in 0..PHASES {
            self.step(now);
        }
    }

    /// The next phase; `now` is [`PHASE_NS`] after the last one's. Ticks left out go through
    /// [`Tick::skip`].
    pub fn step(&mut self, now: TickTime) {
        self.apply_commands(now);
        self.settle_rates();
        if self.phase == Phase::FIRST {
            self.mind_recordings(now);
        }
        self.receive(now);
        self.sound_rooms();
        self.share();
        self.record_rooms();
        self.send(now);
        self.publish(now);
        self.taps.settle(&mut self.supply);
        self.tell_counters();
        self.events.flush();
        self.supply.flush();
        self.number += u64::from(self.phase.is_last());
        self.phase = self.phase.next();
    }

    /// When what has that phase is run next.
    pub(super) fn next_run(&self, phase: Phase, now: TickTime) -> TickTime {
        let ahead_ns = self.phase.until(phase) * self.spacing_ns;
        TickTime {
            unix_us: now.unix_us + (ahead_ns / 1_000) as i64,
            monotonic_ns: now.monotonic_ns + ahead_ns,
        }
    }

    fn receive(&mut self, now: TickTime) {
        let Self { legs, rooms, live_legs, live_rooms, phase, whispers, reader, .. } = self;
        let Self { events, supply, counts, counters, .. } = self;
        whispers.clear();
        for slot in live_rooms.at(*phase) {
            if let Some(room) = rooms.get_mut(*slot as usize).and_then(Option::as_mut) {
                room.clear();
            }
        }
        let payload = &mut [];
        let mut context = TickContext { now, number: self.number, events, counts, payload };
        for slot in live_legs.at(*phase) {
            let Some(leg) = legs.get_mut(*slot as usize).and_then(Option::as_mut) else {
                continue;
            };
            if catch_unwind(AssertUnwindSafe(|| leg.receive(reader, &mut context))).is_err() {
                leg.reset();
                Counters::add(&counters.caught_panics, 1);
            }
            leg.has_run = true;
            if let Some(codec) = leg.take_former() {
                supply.discard(Garbage::Codec(codec));
            }
            let Some(in_room) = leg.room else { continue };
            match leg.part.settings().heard_by() {
                Voice::Everyone if leg.has_voice() => {
                    if let Some(room) = rooms.get_mut(in_room as usize).and_then(Option::as_mut) {
                        room.add(View::Now, leg.voice(View::Now));
                        if leg.is_blending() {
                            room.add(View::Former, leg.voice(View::Former));
                        }
                    }
                }
                Voice::Only(listeners) => {
                    for listener in listeners.iter() {
                        let there = legs.get(listener.0.slot as usize).and_then(Option::as_ref);
                        if there.is_some_and(|it| it.handle == listener && it.room == Some(in_room))
                        {
                            whispers.add(*slot, listener.0.slot);
                        }
                    }
                }
                Voice::Everyone | Voice::Nobody => {}
            }
        }
    }

    /// What rooms sound by themselves is part of what everybody hears, and of the recordings.
    fn sound_rooms(&mut self) {
        let Self { rooms, live_rooms, phase, plays, events, supply, counts, counters, .. } = self;
        let mut exit = Exit { events, supply };
        let (mut frame, mut former) = ([0_i16; FRAME_MAX], [0_i16; FRAME_MAX]);
        for slot in live_rooms.at(*phase) {
            let Some(room) = rooms.get_mut(*slot as usize).and_then(Option::as_mut) else {
                continue;
            };
            let sounded = catch_unwind(AssertUnwindSafe(|| {
                let place = Place::Room(*slot);
                if plays.is_playing(place) {
                    let length = room.rate(View::Now).frame();
                    let frame = frame.get_mut(..length).unwrap_or(&mut []);
                    let length = room.rate(View::Former).frame();
                    let length = if room.is_changing() { length } else { 0 };
                    let former = former.get_mut(..length).unwrap_or(&mut []);
                    let sounding = plays.pull(place, frame, former, &mut exit);
                    counts.play_underruns += u64::from(sounding.is_underrun);
                    if sounding.is_instead {
                        room.replace(frame, former);
                    } else {
                        room.add(View::Now, frame);
                        room.add(View::Former, former);
                    }
                }
                room.sound();
            }));
            if sounded.is_err() {
                Counters::add(&counters.caught_panics, 1);
            }
        }
    }

    fn record_rooms(&mut self) {
        let Self { legs, rooms, live_rooms, phase, taps, supply, counters, .. } = self;
        for slot in live_rooms.at(*phase) {
            let Some(room) = rooms.get_mut(*slot as usize).and_then(Option::as_mut) else {
                continue;
            };
            let is_tapped = taps.is_tapped(Place::Room(*slot));
            if !is_tapped && room.sharers == 0 {
                continue;
            }
            let recorded = catch_unwind(AssertUnwindSafe(|| {
                room.blend(taps.rates(Place::Room(*slot)));
                if is_tapped {
                    taps.push_room(*slot, room, legs, supply);
                }
            }));
            if recorded.is_err() {
                Counters::add(&counters.caught_panics, 1);
            }
        }
    }

    fn send(&mut self, now: TickTime) {
        let Self { legs, rooms, live_legs, phase, taps, plays, whispers, supply, .. } = self;
        let Self { events, counts, counters, .. } = self;
        let mut payload = [0; PAYLOAD_MAX];
        let payload = &mut payload[..];
        let mut context = TickContext { now, number: self.number, events, counts, payload };
        let (mut whole, mut plain) = ([0; FRAME_MAX], [0; FRAME_MAX]);
        let mut scratch = Scratch::default();
        for slot in live_legs.at(*phase) {
            let scratch = &mut scratch;
            let mut sending = Sending { legs, rooms, whispers, plays, supply, scratch };
            let length = sending.frame_length(*slot);
            let (Some(whole), Some(plain)) = (whole.get_mut(..length), plain.get_mut(..length))
            else {
                continue;
            };
            // Nothing of what another leg heard is left, whatever happens here.
            whole.fill(0);
            plain.fill(0);
            let sent = catch_unwind(AssertUnwindSafe(|| {
                sending.send(*slot, Heard { whole: &mut *whole, plain: &mut *plain }, &mut context);
            }));
            let recorded = catch_unwind(AssertUnwindSafe(|| {
                if taps.is_tapped(Place::Leg(*slot)) {
                    let Some(leg) = leg_in(legs, *slot) else { return };
                    let whole = &*whole;
                    let plain = if leg.beep.has_sounded() { &*plain } else { whole };
                    taps.push_leg(*slot, leg.rx(), whole, plain, supply);
                }
            }));
            for result in [sent, recorded] {
                if result.is_err() {
                    Counters::add(&counters.caught_panics, 1);
                }
            }
        }
    }

    /// Ten times a second for each leg, spread over the ticks: figures for whoever asks, delays and
    /// concealment for the journals.
    fn publish(&mut self, now: TickTime) {
        let Self { legs, live_legs, phase, taps, events, counts, .. } = self;
        let payload = &mut [];
        let mut context = TickContext { now, number: self.number, events, counts, payload };
        for slot in live_legs.at(*phase) {
            if !(self.number + u64::from(*slot)).is_multiple_of(WINDOW_TICKS) {
                continue;
            }
            let Some(leg) = legs.get_mut(*slot as usize).and_then(Option::as_mut) else {
                continue;
            };
            let delay_ms = leg.publish(&mut context);
            let samples = std::mem::take(&mut leg.unmarked_concealed);
            let has_moved = delay_ms.abs_diff(leg.marked_delay_ms) >= MARKED_DELAY_MS;
            if has_moved {
                leg.marked_delay_ms = delay_ms;
            }
            let handle = leg.handle;
            let sound = leg.sound();
            let has_changed = std::mem::replace(&mut leg.marked_sound, sound) != sound;
            let room = leg.room.map(Place::Room);
            for place in [Some(Place::Leg(*slot)), room].into_iter().flatten() {
                if has_moved {
                    taps.mark(place, MarkKind::BufferDelay { leg: handle, delay_ms });
                }
                if has_changed {
                    taps.mark(place, MarkKind::Sound { leg: handle, sound });
                }
                if samples > 0 {
                    taps.mark(place, MarkKind::Concealed { leg: handle, samples });
                }
            }
        }
    }

    pub(super) fn room_in(&self, slot: u32) -> Option<&Room> {
        self.rooms.get(slot as usize)?.as_deref()
    }

    pub(super) fn leg_in(&self, slot: u32) -> Option<&Leg> {
        leg_in(&self.legs, slot)
    }

    fn tell_counters(&mut self) {
        let counts = std::mem::take(&mut self.counts);
        let counters = &self.counters;
        for (counter, amount) in [
            (&counters.ticks, u64::from(self.phase.is_last())),
            (&counters.rtp_received, counts.received),
            (&counters.rtp_sent, counts.sent),
            (&counters.rtp_ignored, counts.ignored),
            (&counters.rtp_lost, counts.lost),
            (&counters.srtp_forged, counts.forged),
            (&counters.srtp_replayed, counts.replayed),
            (&counters.rtp_late, counts.late),
            (&counters.frames_concealed, counts.concealed_frames),
            (&counters.peer_unreachable, counts.unreachable),
            (&counters.play_underruns, counts.play_underruns),
        ] {
            if amount > 0 {
                Counters::add(counter, amount);
            }
        }
    }
}

fn leg_in(legs: &[Option<Box<Leg>>], slot: u32) -> Option<&Leg> {
    legs.get(slot as usize)?.as_deref()
}
