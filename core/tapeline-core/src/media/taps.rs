//! The taps of all running recordings, chained per room and per leg. Allocates only when made.

use crate::boundary::event::FinishReason;
use crate::boundary::handle::{LegHandle, RecorderHandle};
use crate::media::beep::Beep;
use crate::media::codec::Rate;
use crate::media::frame::FRAME_MAX;
use crate::media::leg::Leg;
use crate::media::resample::Fitting;
use crate::media::room::limiter::Limiter;
use crate::media::room::mixer::blend_in;
use crate::media::room::{Room, View};
use crate::media::supply::{Garbage, Supply};
use crate::record::spec::{BeepRule, ChannelLayout};
use crate::record::tap::tracks::Voice;
use crate::record::tap::{MarkKind, Tap, TapState};

/// Whose audio a chain of taps takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A room's slot.
    Room(u32),
    /// A leg's slot.
    Leg(u32),
}

struct Running {
    tap: Box<Tap>,
    place: Place,
    next: Option<u32>,
    /// It ends with the present position; the writer is told as soon as its ring has room.
    ending: Option<FinishReason>,
    limiter: Limiter,
    /// For what is recorded without what its target hears: that has the beep itself.
    beep: Beep,
    /// To its own rate: what it takes of its place, but for a room's whole mix.
    sides: [Fitting; 2],
}

impl Running {
    /// One tick of both, and of the beep if it sounds, as one mono signal.
    fn push_sum(&mut self, one: &[i16], other: &[i16]) -> TapState {
        let (mut sum, mut mono) = ([0_i32; FRAME_MAX], [0_i16; FRAME_MAX]);
        let (Some(sum), Some(mono)) = (sum.get_mut(..one.len()), mono.get_mut(..one.len())) else {
            return TapState::Running;
        };
        for side in [one, other] {
            for (sum, sample) in sum.iter_mut().zip(side) {
                *sum += i32::from(*sample);
            }
        }
        self.beep.add_to(sum);
        self.limiter.apply(sum, mono);
        self.tap.push_mono(mono)
    }

    /// Rate of the recording.
    fn rate(&self) -> Rate {
        Rate::of(self.tap.spec().rate_hz).unwrap_or(Rate::Narrow)
    }

    /// One tick of a room as one mono signal, less the beep that everybody hears.
    fn push_without_tone(&mut self, room: &Room) -> TapState {
        let mut mono = [0_i16; FRAME_MAX];
        let rate = self.rate();
        let Some(mono) = mono.get_mut(..rate.frame()) else { return TapState::Running };
        room.plain_mix_at(rate, &mut self.limiter, mono);
        self.tap.push_mono(mono)
    }

    /// One tick of a pause, of which nothing comes into a filter.
    fn push_paused(&mut self) -> TapState {
        self.sides = [Fitting::new(), Fitting::new()];
        let state = self.tap.push_nothing();
        self.tap.follow_with_tracks(|_| &[]);
        state
    }

    fn push_room<'a>(
        &mut self,
        room: &Room,
        talker: impl Fn(LegHandle) -> Option<&'a Leg>,
    ) -> TapState {
        let has_tone = room.beep.has_sounded() && !self.tap.spec().beep.in_file;
        match self.tap.spec().left_leg {
            Some(leg) => self.push_apart(room, talker(leg), has_tone),
            None if has_tone => self.push_without_tone(room),
            None => self.tap.push_mono(room.mix_at(self.rate())),
        }
    }

    /// One tick of a room: `left` alone, and everybody else.
    fn push_apart(&mut self, room: &Room, left: Option<&Leg>, has_tone: bool) -> TapState {
        let rate = self.rate();
        let [left_side, right_side] = &mut self.sides;
        let (mut limiter, mut side) = (self.limiter, right_side.clone());
        let (mut one, mut rest) = ([0_i16; FRAME_MAX], [0_i16; FRAME_MAX]);
        let (Some(one), Some(rest)) = (one.get_mut(..rate.frame()), rest.get_mut(..rate.frame()))
        else {
            return TapState::Running;
        };
        if let Some(leg) = left {
            left_side.fit(leg.rx(), one);
        }
        rest_of(room, View::Now, left, has_tone, &mut self.limiter).fit(right_side, rest);
        if room.is_changing() {
            let mut former = [0_i16; FRAME_MAX];
            let Some(former) = former.get_mut(..rate.frame()) else { return TapState::Running };
            rest_of(room, View::Former, left, has_tone, &mut limiter).fit(&mut side, former);
            blend_in(former, rest);
        }
        self.tap.push_stereo(one, rest)
    }
}

/// What is heard in a room but for one leg.
struct Rest {
    samples: [i16; FRAME_MAX],
    length: usize,
}

impl Rest {
    fn fit(&self, side: &mut Fitting, out: &mut [i16]) {
        side.fit(self.samples.get(..self.length).unwrap_or(&[]), out);
    }
}

fn rest_of(
    room: &Room,
    view: View,
    left: Option<&Leg>,
    has_tone: bool,
    limiter: &mut Limiter,
) -> Rest {
    let (mut sum, mut rest) = ([0_i32; FRAME_MAX], Rest { samples: [0; FRAME_MAX], length: 0 });
    rest.length = room.rate(view).frame();
    let (Some(sum), Some(samples)) =
        (sum.get_mut(..rest.length), rest.samples.get_mut(..rest.length))
    else {
        return rest;
    };
    room.others(view, left.map(|leg| leg.voice(view)), sum);
    if has_tone {
        room.beep.take_from(sum);
    }
    limiter.apply(sum, samples);
    rest
}

/// What a leg says, in the rate of `length` samples a tick if that is its room's.
fn voice(leg: &Leg, length: usize) -> &[i16] {
    let in_room = leg.voice(View::Now);
    if in_room.len() == length { in_room } else { leg.rx() }
}

/// A leg that is in the room of `slot` and heard by everybody there.
fn talker(legs: &[Option<Box<Leg>>], leg: LegHandle, slot: u32) -> Option<&Leg> {
    let there = legs.get(leg.0.slot as usize).and_then(Option::as_deref);
    there.filter(|it| {
        it.handle == leg && it.room == Some(slot) && it.part.settings().is_heard_by_all()
    })
}

pub struct Taps {
    slots: Vec<Option<Running>>,
    room_heads: Vec<Option<u32>>,
    leg_heads: Vec<Option<u32>>,
    /// Slots that end but could not say so yet.
    ending: Vec<u32>,
    /// Slots whose pause ends by itself.
    pausing: Vec<u32>,
    /// Slots of recordings with beeps.
    beeping: Vec<u32>,
}

impl Taps {
    pub fn new(taps: u32, rooms: u32, legs: u32) -> Self {
        Self {
            slots: (0..taps).map(|_| None).collect(),
            room_heads: vec![None; rooms as usize],
            leg_heads: vec![None; legs as usize],
            ending: Vec::with_capacity(taps as usize),
            pausing: Vec::with_capacity(taps as usize),
            beeping: Vec::with_capacity(taps as usize),
        }
    }

    fn head(&mut self, place: Place) -> Option<&mut Option<u32>> {
        match place {
            Place::Room(slot) => self.room_heads.get_mut(slot as usize),
            Place::Leg(slot) => self.leg_heads.get_mut(slot as usize),
        }
    }

    pub fn is_tapped(&self, place: Place) -> bool {
        match place {
            Place::Room(slot) => self.room_heads.get(slot as usize).copied().flatten().is_some(),
            Place::Leg(slot) => self.leg_heads.get(slot as usize).copied().flatten().is_some(),
        }
    }

    /// Puts a tap at its place; gives it back when there is no slot for it.
    pub fn add(&mut self, tap: Box<Tap>, place: Place) -> Result<(), Box<Tap>> {
        let index = tap.recorder().0.slot;
        let is_free = self.slots.get(index as usize).is_some_and(Option::is_none);
        if !is_free {
            return Err(tap);
        }
        let Some(head) = self.head(place) else { return Err(tap) };
        let next = head.replace(index);
        if tap.spec().beep != BeepRule::NONE {
            self.beeping.push(index);
        }
        let (limiter, beep) = (Limiter::default(), Beep::default());
        let sides = [Fitting::new(), Fitting::new()];
        let running = Running { tap, place, next, ending: None, limiter, beep, sides };
        if let Some(slot) = self.slots.get_mut(index as usize) {
            *slot = Some(running);
        }
        Ok(())
    }

    /// It runs, is not paused, and has not seen a tick yet.
    pub fn awaits_its_first_tick(&self, recorder: RecorderHandle) -> bool {
        let slot = self.slots.get(recorder.0.slot as usize).and_then(Option::as_ref);
        slot.is_some_and(|it| {
            it.tap.recorder() == recorder && it.ending.is_none() && it.tap.awaits_its_first_tick()
        })
    }

    /// Ends one recording here and now. False when there is none of that handle.
    pub fn end(
        &mut self,
        recorder: RecorderHandle,
        reason: FinishReason,
        supply: &mut Supply,
    ) -> bool {
        let slot = self.slots.get_mut(recorder.0.slot as usize).and_then(Option::as_mut);
        let Some(running) = slot.filter(|running| running.tap.recorder() == recorder) else {
            return false;
        };
        if running.ending.is_none() {
            running.ending = Some(reason);
            self.ending.push(recorder.0.slot);
            self.settle(supply);
        }
        true
    }

    fn find(&mut self, recorder: RecorderHandle) -> Option<&mut Running> {
        let slot = self.slots.get_mut(recorder.0.slot as usize).and_then(Option::as_mut);
        slot.filter(|it| it.tap.recorder() == recorder && it.ending.is_none())
    }

    /// A fact for one recording.
    pub fn tell(&mut self, recorder: RecorderHandle, kind: MarkKind) {
        if let Some(running) = self.find(recorder) {
            running.tap.mark(kind);
        }
    }

    /// False when no recording of that handle runs.
    pub fn pause(&mut self, recorder: RecorderHandle) -> bool {
        let Some(running) = self.find(recorder) else { return false };
        if running.tap.pause() && running.tap.spec().pause.limit_ms > 0 {
            self.pausing.push(recorder.0.slot);
        }
        true
    }

    /// Whether it was paused, and where it is; `None` when no recording of that handle runs.
    pub fn resume(&mut self, recorder: RecorderHandle) -> Option<(bool, Place)> {
        let running = self.find(recorder)?;
        let (was_paused, place) = (running.tap.resume(), running.place);
        self.pausing.retain(|slot| *slot != recorder.0.slot);
        Some((was_paused, place))
    }

    /// A recording that has been paused for as long as it may be.
    pub fn overdue_pause(&mut self) -> Option<RecorderHandle> {
        self.pausing.iter().find_map(|slot| {
            let running = self.slots.get(*slot as usize)?.as_ref()?;
            let is_over = running.ending.is_none() && running.tap.is_pause_over();
            is_over.then(|| running.tap.recorder())
        })
    }

    /// Calls `start` with the place and the level of every beep that begins in this tick.
    pub fn each_due_beep(&mut self, mut start: impl FnMut(Place, i32)) {
        for slot in &self.beeping {
            let running = self.slots.get_mut(*slot as usize).and_then(Option::as_mut);
            let Some(running) = running.filter(|it| it.ending.is_none()) else { continue };
            if running.tap.is_beep_due() {
                let (beep, rate_hz) = (running.tap.spec().beep, running.tap.spec().rate_hz);
                start(running.place, beep.level_cdb);
                if beep.in_file && running.tap.spec().layout == ChannelLayout::Rx {
                    running.beep.start(rate_hz, beep.level_cdb);
                }
            }
        }
    }

    /// Ends all recordings of a place.
    pub fn end_all(&mut self, place: Place, reason: FinishReason, supply: &mut Supply) {
        self.each(place, |running, ending, index| {
            if running.ending.is_none() {
                running.ending = Some(reason);
                ending.push(index);
            }
        });
        self.settle(supply);
    }

    /// Ends everything: the thread stops.
    pub fn end_everything(&mut self, reason: FinishReason, supply: &mut Supply) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let Some(running) = slot
                && running.ending.is_none()
            {
                running.ending = Some(reason);
                self.ending.push(index as u32);
            }
        }
        self.settle(supply);
    }

    /// Tells the writers of ended recordings; those whose ring is full are told at a later tick.
    pub fn settle(&mut self, supply: &mut Supply) {
        let mut index = 0;
        while let Some(slot) = self.ending.get(index).copied() {
            let told = match self.slots.get_mut(slot as usize).and_then(Option::as_mut) {
                Some(running) => {
                    running.tap.finish(running.ending.unwrap_or(FinishReason::Command))
                        || running.tap.is_abandoned()
                }
                None => true,
            };
            if told {
                self.ending.swap_remove(index);
                self.remove(slot, supply);
            } else {
                index += 1;
            }
        }
    }

    pub fn is_settled(&self) -> bool {
        self.ending.is_empty()
    }

    fn remove(&mut self, slot: u32, supply: &mut Supply) {
        let Some(running) = self.slots.get_mut(slot as usize).and_then(Option::take) else {
            return;
        };
        for slots in [&mut self.pausing, &mut self.beeping] {
            slots.retain(|it| *it != slot);
        }
        let Some(head) = self.head(running.place) else { return };
        if *head == Some(slot) {
            *head = running.next;
        } else {
            let mut at = *head;
            while let Some(index) = at {
                let Some(other) = self.slots.get_mut(index as usize).and_then(Option::as_mut)
                else {
                    break;
                };
                if other.next == Some(slot) {
                    other.next = running.next;
                    break;
                }
                at = other.next;
            }
        }
        supply.discard(Garbage::Tap(running.tap));
    }

    fn each(&mut self, place: Place, mut visit: impl FnMut(&mut Running, &mut Vec<u32>, u32)) {
        let mut at = self.head(place).copied().flatten();
        while let Some(index) = at {
            let Some(running) = self.slots.get_mut(index as usize).and_then(Option::as_mut) else {
                break;
            };
            at = running.next;
            visit(running, &mut self.ending, index);
        }
    }

    /// A fact for every running recording of a place.
    pub fn mark(&mut self, place: Place, kind: MarkKind) {
        self.each(place, |running, _, _| {
            if running.ending.is_none() {
                running.tap.mark(kind);
            }
        });
    }

    /// One tick of a room whose mix is made.
    pub fn push_room(
        &mut self,
        slot: u32,
        room: &Room,
        legs: &[Option<Box<Leg>>],
        supply: &mut Supply,
    ) {
        self.push(Place::Room(slot), supply, |running| {
            let length = running.rate().frame();
            // While something is played instead of everybody, nobody is heard.
            let talker = |leg| talker(legs, leg, slot).filter(|_| !room.is_replaced());
            let state = running.push_room(room, talker);
            running.tap.follow_with_tracks(|of| match of {
                Voice::Says(leg) => talker(leg).map_or(&[], |leg| voice(leg, length)),
                Voice::Hears(_) => &[],
            });
            state
        });
    }

    /// One tick of a leg: `rx` is what it says, `tx` what it hears, `plain_tx` the same without beeps.
    pub fn push_leg(
        &mut self,
        slot: u32,
        rx: &[i16],
        tx: &[i16],
        plain_tx: &[i16],
        supply: &mut Supply,
    ) {
        self.push(Place::Leg(slot), supply, |running| {
            let tx = if running.tap.spec().beep.in_file { tx } else { plain_tx };
            let (mut said, mut heard) = ([0; FRAME_MAX], [0; FRAME_MAX]);
            let length = running.rate().frame();
            let (Some(said), Some(heard)) = (said.get_mut(..length), heard.get_mut(..length))
            else {
                return TapState::Running;
            };
            let [side, other] = &mut running.sides;
            side.fit(rx, said);
            other.fit(tx, heard);
            let (rx, tx) = (&*said, &*heard);
            let state = match running.tap.spec().layout {
                ChannelLayout::RxTx => running.tap.push_stereo(rx, tx),
                ChannelLayout::TxRx => running.tap.push_stereo(tx, rx),
                ChannelLayout::Tx => running.tap.push_mono(tx),
                ChannelLayout::Rx if !running.beep.is_sounding() => running.tap.push_mono(rx),
                ChannelLayout::Rx => running.push_sum(rx, &[]),
                ChannelLayout::Mix | ChannelLayout::LegRest => running.push_sum(rx, tx),
            };
            running.tap.follow_with_tracks(|of| match of {
                Voice::Says(_) => rx,
                Voice::Hears(_) => tx,
            });
            state
        });
    }

    fn push(
        &mut self,
        place: Place,
        supply: &mut Supply,
        mut push: impl FnMut(&mut Running) -> TapState,
    ) {
        self.each(place, |running, ending, index| {
            if running.ending.is_some() {
                return;
            }
            let reason = if running.tap.is_abandoned() {
                FinishReason::WriterFailed
            } else {
                let is_paused = running.tap.is_paused();
                match if is_paused { running.push_paused() } else { push(running) } {
                    TapState::Running => return,
                    TapState::LimitReached => FinishReason::TimeLimit,
                    TapState::SilentTooLong => FinishReason::SilenceLimit,
                }
            };
            running.ending = Some(reason);
            ending.push(index);
        });
        if !self.ending.is_empty() {
            self.settle(supply);
        }
    }

    /// Rates of the recordings of a place.
    pub fn rates(&mut self, place: Place) -> [bool; Rate::ALL.len()] {
        let mut rates = [false; Rate::ALL.len()];
        self.each(place, |running, _, _| {
            if let Some(rate) = rates.get_mut(running.rate() as usize) {
                *rate = true;
            }
        });
        rates
    }

    /// Ticks that were not run are silence in every recording.
    pub fn skip(&mut self, ticks: u64) {
        for running in self.slots.iter_mut().flatten() {
            if running.ending.is_none() {
                running.tap.skip(ticks * running.rate().frame() as u64);
            }
        }
    }
}
