//! The taps of all running recordings, chained per room and per leg. Allocates only when made.

use crate::boundary::event::FinishReason;
use crate::boundary::handle::RecorderHandle;
use crate::media::beep::Beep;
use crate::media::frame::FRAME_MAX;
use crate::media::leg::Leg;
use crate::media::room::Room;
use crate::media::room::limiter::Limiter;
use crate::media::supply::{Garbage, Supply};
use crate::record::spec::{ChannelLayout, Target};
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
}

pub struct Taps {
    slots: Vec<Option<Running>>,
    room_heads: Vec<Option<u32>>,
    leg_heads: Vec<Option<u32>>,
    /// Slots that end but could not say so yet.
    ending: Vec<u32>,
}

impl Taps {
    pub fn new(taps: u32, rooms: u32, legs: u32) -> Self {
        Self {
            slots: (0..taps).map(|_| None).collect(),
            room_heads: vec![None; rooms as usize],
            leg_heads: vec![None; legs as usize],
            ending: Vec::with_capacity(taps as usize),
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
        let mut beep = Beep::default();
        if tap.spec().beep && tap.spec().layout == ChannelLayout::Rx {
            beep.start(tap.spec().rate_hz);
        }
        let limiter = Limiter::default();
        let running = Running { tap, place, next, ending: None, limiter, beep };
        if let Some(slot) = self.slots.get_mut(index as usize) {
            *slot = Some(running);
        }
        Ok(())
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

    /// A running recording and where it is; `None` when there is none of that handle.
    pub fn find(&mut self, recorder: RecorderHandle) -> Option<(&mut Tap, Place)> {
        let slot = self.slots.get_mut(recorder.0.slot as usize).and_then(Option::as_mut);
        slot.filter(|it| it.tap.recorder() == recorder && it.ending.is_none())
            .map(|running| (running.tap.as_mut(), running.place))
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
        let mix = room.mix();
        self.push(Place::Room(slot), supply, |running| {
            let left = match running.tap.spec().left_leg {
                None => return running.tap.push_mono(mix),
                Some(leg) => legs
                    .get(leg.0.slot as usize)
                    .and_then(Option::as_ref)
                    .filter(|it| it.handle == leg && it.room == Some(slot)),
            };
            let (mut sum, mut rest) = ([0_i32; FRAME_MAX], [0_i16; FRAME_MAX]);
            let Some(left) = left.map(|leg| leg.frame.samples()) else {
                return running.tap.push_stereo(rest.get(..mix.len()).unwrap_or(&[]), mix);
            };
            let (Some(sum), Some(rest)) = (sum.get_mut(..mix.len()), rest.get_mut(..mix.len()))
            else {
                return TapState::Running;
            };
            room.without(left, sum);
            running.limiter.apply(sum, rest);
            running.tap.push_stereo(left, rest)
        });
    }

    /// One tick of a leg: `rx` is what it says, `tx` what it hears.
    pub fn push_leg(&mut self, slot: u32, rx: &[i16], tx: &[i16], supply: &mut Supply) {
        self.push(Place::Leg(slot), supply, |running| match running.tap.spec().layout {
            ChannelLayout::RxTx => running.tap.push_stereo(rx, tx),
            ChannelLayout::TxRx => running.tap.push_stereo(tx, rx),
            ChannelLayout::Tx => running.tap.push_mono(tx),
            ChannelLayout::Rx if !running.beep.is_sounding() => running.tap.push_mono(rx),
            ChannelLayout::Rx => running.push_sum(rx, &[]),
            ChannelLayout::Mix | ChannelLayout::LegRest => running.push_sum(rx, tx),
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
                match push(running) {
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

    /// Ticks that were not run are silence in every recording.
    pub fn skip(&mut self, mut samples_of: impl FnMut(Target) -> u64) {
        for running in self.slots.iter_mut().flatten() {
            if running.ending.is_none() {
                running.tap.skip(samples_of(running.tap.spec().target));
            }
        }
    }
}
