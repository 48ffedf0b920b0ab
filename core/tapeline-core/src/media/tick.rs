//! One tick: commands, then every leg in, every room's sum, every leg out. No clock, no thread.
//!
//! Nothing here takes a lock, allocates, frees or touches a file. A panic in one leg's or one room's
//! work silences it for a tick and is counted. [`crate::media::topology`] applies the commands.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::boundary::counters::Counters;
use crate::boundary::event::Event;
use crate::boundary::handle::RoomHandle;
use crate::boundary::sink::TickEventSink;
use crate::media::command::MediaCommand;
use crate::media::frame::{FRAME_MAX, frame_length};
use crate::media::leg::{Leg, TickContext, TickCounts, WINDOW_TICKS};
use crate::media::plays::{Exit, Plays};
use crate::media::room::Room;
use crate::media::supply::Supply;
use crate::media::taps::{Place, Taps};
use crate::record::spec::Target;
use crate::record::tap::{MarkKind, TickTime};
use crate::sys::socket::BatchReader;

/// Rate of a leg's own frames and of its recordings (PCMU and PCMA).
pub(super) const LEG_RATE_HZ: u32 = 8_000;

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
    /// Slots of the legs that live, in no order.
    pub(super) live_legs: Vec<u32>,
    pub(super) live_rooms: Vec<u32>,
    pub(super) taps: Taps,
    pub(super) plays: Plays,
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
            live_legs: Vec::with_capacity(config.legs as usize),
            live_rooms: Vec::with_capacity(config.rooms as usize),
            taps: Taps::new(config.taps, config.rooms, config.legs),
            plays: Plays::new(config.plays, config.rooms, config.legs),
            supply,
            commands,
            waiting: None,
            reader: BatchReader::new(),
            events,
            counters,
            counts: TickCounts::default(),
            number: 0,
            is_stopping: false,
        }
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
        self.taps.skip(|target| {
            let rate_hz = match target {
                Target::Leg(_) => LEG_RATE_HZ,
                Target::Room(room) => rate_of(&self.rooms, room),
            };
            ticks * frame_length(rate_hz) as u64
        });
        for slot in &self.live_legs {
            if let Some(leg) = self.legs.get_mut(*slot as usize).and_then(Option::as_mut) {
                leg.skip(ticks);
            }
        }
        self.number += ticks;
        Counters::add(&self.counters.ticks_skipped, ticks);
    }

    /// The 20 ms that end at `now`; ticks are 20 ms apart, those left out go through [`Tick::skip`].
    pub fn run(&mut self, now: TickTime) {
        self.apply_commands(now);
        self.receive(now);
        self.sound_rooms();
        self.record_rooms();
        self.send(now);
        self.publish(now);
        self.taps.settle(&mut self.supply);
        self.tell_counters();
        self.events.flush();
        self.supply.flush();
        self.number += 1;
    }

    fn receive(&mut self, now: TickTime) {
        let Self { legs, rooms, live_legs, live_rooms, reader, events, counts, counters, .. } =
            self;
        for slot in live_rooms.iter() {
            if let Some(room) = rooms.get_mut(*slot as usize).and_then(Option::as_mut) {
                room.clear();
            }
        }
        let mut context = TickContext { now, number: self.number, events, counts };
        for slot in live_legs.iter() {
            let Some(leg) = legs.get_mut(*slot as usize).and_then(Option::as_mut) else {
                continue;
            };
            if catch_unwind(AssertUnwindSafe(|| leg.receive(reader, &mut context))).is_err() {
                leg.reset();
                Counters::add(&counters.caught_panics, 1);
            }
            let room = leg.room.and_then(|slot| rooms.get_mut(slot as usize));
            if let Some(room) = room.and_then(Option::as_mut) {
                room.add(leg.frame.samples());
            }
        }
    }

    /// What rooms sound by themselves is part of what everybody hears, and of the recordings.
    fn sound_rooms(&mut self) {
        let Self { rooms, live_rooms, plays, events, supply, counts, counters, .. } = self;
        let mut exit = Exit { events, supply };
        let mut frame = [0_i16; FRAME_MAX];
        for slot in live_rooms.iter() {
            let Some(room) = rooms.get_mut(*slot as usize).and_then(Option::as_mut) else {
                continue;
            };
            let sounded = catch_unwind(AssertUnwindSafe(|| {
                let place = Place::Room(*slot);
                let frame = frame.get_mut(..frame_length(room.rate_hz())).unwrap_or(&mut []);
                if plays.is_playing(place) {
                    counts.play_underruns += u64::from(plays.pull(place, frame, &mut exit));
                    room.add(frame);
                }
                room.sound();
            }));
            if sounded.is_err() {
                Counters::add(&counters.caught_panics, 1);
            }
        }
    }

    fn record_rooms(&mut self) {
        let Self { legs, rooms, live_rooms, taps, supply, counters, .. } = self;
        for slot in live_rooms.iter() {
            if !taps.is_tapped(Place::Room(*slot)) {
                continue;
            }
            let Some(room) = rooms.get_mut(*slot as usize).and_then(Option::as_mut) else {
                continue;
            };
            let recorded = catch_unwind(AssertUnwindSafe(|| {
                room.blend();
                taps.push_room(*slot, room, legs, supply);
            }));
            if recorded.is_err() {
                Counters::add(&counters.caught_panics, 1);
            }
        }
    }

    fn send(&mut self, now: TickTime) {
        let Self { legs, rooms, live_legs, taps, plays, supply, events, counts, counters, .. } =
            self;
        let mut context = TickContext { now, number: self.number, events, counts };
        let (mut sum, mut out) = ([0_i32; FRAME_MAX], [0_i16; FRAME_MAX]);
        for slot in live_legs.iter() {
            let Some(leg) = legs.get_mut(*slot as usize).and_then(Option::as_mut) else {
                continue;
            };
            let length = leg.frame.samples().len();
            let (Some(sum), Some(heard)) = (sum.get_mut(..length), out.get_mut(..length)) else {
                continue;
            };
            let room = leg.room.filter(|_| !leg.is_deaf);
            let room = room.and_then(|slot| rooms.get(slot as usize)).and_then(Option::as_ref);
            let sent = catch_unwind(AssertUnwindSafe(|| {
                sum.fill(0);
                heard.fill(0);
                if let Some(room) = room {
                    room.without(leg.frame.samples(), sum);
                }
                let place = Place::Leg(*slot);
                if plays.is_playing(place) {
                    let mut exit = Exit { events: &mut *context.events, supply: &mut *supply };
                    let is_underrun = plays.pull(place, heard, &mut exit);
                    context.counts.play_underruns += u64::from(is_underrun);
                    for (sum, sample) in sum.iter_mut().zip(heard.iter()) {
                        *sum += i32::from(*sample);
                    }
                }
                leg.beep.add_to(sum);
                leg.limiter.apply(sum, heard);
                leg.send(heard, &mut context);
            }));
            let recorded = catch_unwind(AssertUnwindSafe(|| {
                if taps.is_tapped(Place::Leg(*slot)) {
                    taps.push_leg(*slot, leg.frame.samples(), heard, supply);
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
        let Self { legs, live_legs, taps, events, counts, .. } = self;
        let mut context = TickContext { now, number: self.number, events, counts };
        for slot in live_legs.iter() {
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
            let room = leg.room.map(Place::Room);
            for place in [Some(Place::Leg(*slot)), room].into_iter().flatten() {
                if has_moved {
                    taps.mark(place, MarkKind::BufferDelay { leg: handle, delay_ms });
                }
                if samples > 0 {
                    taps.mark(place, MarkKind::Concealed { leg: handle, samples });
                }
            }
        }
    }

    pub(super) fn leg_in(&self, slot: u32) -> Option<&Leg> {
        self.legs.get(slot as usize)?.as_deref()
    }

    fn tell_counters(&mut self) {
        let counts = std::mem::take(&mut self.counts);
        let counters = &self.counters;
        for (counter, amount) in [
            (&counters.ticks, 1),
            (&counters.rtp_received, counts.received),
            (&counters.rtp_sent, counts.sent),
            (&counters.rtp_ignored, counts.ignored),
            (&counters.rtp_lost, counts.lost),
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

fn rate_of(rooms: &[Option<Box<Room>>], handle: RoomHandle) -> u32 {
    let room = rooms.get(handle.0.slot as usize).and_then(Option::as_ref);
    room.map_or(LEG_RATE_HZ, |room| room.rate_hz())
}
