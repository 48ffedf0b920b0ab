//! The taps of all running recordings, chained per room and per leg. Allocates only when made.

use crate::boundary::event::FinishReason;
use crate::boundary::handle::RecorderHandle;
use crate::media::frame::FRAME_MAX;
use crate::media::room::limiter::Limiter;
use crate::media::supply::{Garbage, Supply};
use crate::record::spec::Target;
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
        let index = tap.recorder.0.slot;
        let is_free = self.slots.get(index as usize).is_some_and(Option::is_none);
        if !is_free {
            return Err(tap);
        }
        let Some(head) = self.head(place) else { return Err(tap) };
        let next = head.replace(index);
        let running = Running { tap, place, next, ending: None, limiter: Limiter::default() };
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
        let Some(running) = slot.filter(|running| running.tap.recorder == recorder) else {
            return false;
        };
        if running.ending.is_none() {
            running.ending = Some(reason);
            self.ending.push(recorder.0.slot);
            self.settle(supply);
        }
        true
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

    /// One tick of a room's mix.
    pub fn push_mix(&mut self, place: Place, mix: &[i16], supply: &mut Supply) {
        self.push(place, supply, |running| match running.tap.channels() {
            1 => running.tap.push_mono(mix),
            _ => running.tap.push_stereo(mix, mix),
        });
    }

    /// One tick of a leg: `rx` is what it says, `tx` what it hears.
    pub fn push_leg(&mut self, place: Place, rx: &[i16], tx: &[i16], supply: &mut Supply) {
        self.push(place, supply, |running| {
            if running.tap.channels() == 2 {
                return running.tap.push_stereo(rx, tx);
            }
            let length = rx.len().min(tx.len()).min(FRAME_MAX);
            let (mut sum, mut mono) = ([0_i32; FRAME_MAX], [0_i16; FRAME_MAX]);
            for ((sum, rx), tx) in sum.iter_mut().zip(rx).zip(tx) {
                *sum = i32::from(*rx) + i32::from(*tx);
            }
            let (Some(sum), Some(mono)) = (sum.get(..length), mono.get_mut(..length)) else {
                return TapState::Running;
            };
            running.limiter.apply(sum, mono);
            running.tap.push_mono(mono)
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
            } else if push(running) == TapState::LimitReached {
                FinishReason::TimeLimit
            } else {
                return;
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
                running.tap.skip(samples_of(running.tap.target));
            }
        }
    }
}
