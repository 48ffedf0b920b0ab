//! What is played to rooms and legs: one file after the other in each place. Allocates only when made.

use crate::boundary::event::{Event, PlayEnd};
use crate::boundary::handle::PlaybackHandle;
use crate::boundary::sink::TickEventSink;
use crate::media::codec::Rate;
use crate::media::frame::{FRAME_MAX, TICKS_PER_SECOND};
use crate::media::resample::Resampler;
use crate::media::supply::{Garbage, Supply};
use crate::media::taps::Place;
use crate::play::feed::Playback;

struct Queued {
    playback: Box<Playback>,
    place: Place,
    /// To the rate of its place.
    resampler: Resampler,
    /// The one behind it.
    next: Option<u32>,
}

pub struct Plays {
    slots: Vec<Option<Queued>>,
    room_heads: Vec<Option<u32>>,
    leg_heads: Vec<Option<u32>>,
}

/// How a place sounds in one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sounding {
    /// The player was late.
    pub is_underrun: bool,
    /// Nothing else is heard there.
    pub is_instead: bool,
}

/// Where ended playbacks are told of and left.
pub struct Exit<'a> {
    pub events: &'a mut TickEventSink,
    pub supply: &'a mut Supply,
}

impl Exit<'_> {
    fn leave(&mut self, playback: Box<Playback>, reason: PlayEnd, detail: &'static str) {
        let handle = playback.playback;
        self.events.send(Event::PlayFinished { playback: handle, reason, detail });
        self.supply.discard(Garbage::Play(playback));
    }
}

impl Plays {
    pub fn new(plays: u32, rooms: u32, legs: u32) -> Self {
        Self {
            slots: (0..plays).map(|_| None).collect(),
            room_heads: vec![None; rooms as usize],
            leg_heads: vec![None; legs as usize],
        }
    }

    fn head(&mut self, place: Place) -> Option<&mut Option<u32>> {
        match place {
            Place::Room(slot) => self.room_heads.get_mut(slot as usize),
            Place::Leg(slot) => self.leg_heads.get_mut(slot as usize),
        }
    }

    fn first(&self, place: Place) -> Option<u32> {
        let heads = match place {
            Place::Room(slot) => self.room_heads.get(slot as usize),
            Place::Leg(slot) => self.leg_heads.get(slot as usize),
        };
        heads.copied().flatten()
    }

    pub fn is_playing(&self, place: Place) -> bool {
        self.first(place).is_some()
    }

    fn at(&mut self, slot: u32) -> Option<&mut Queued> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// Puts a playback behind those of its place; gives it back when there is no slot for it.
    pub fn add(&mut self, playback: Box<Playback>, place: Place) -> Result<(), Box<Playback>> {
        let slot = playback.playback.0.slot;
        if !self.slots.get(slot as usize).is_some_and(Option::is_none) {
            return Err(playback);
        }
        let mut last = None;
        let mut at = self.first(place);
        while let Some(index) = at {
            last = Some(index);
            at = self.at(index).and_then(|queued| queued.next);
        }
        match last.and_then(|last| self.at(last)) {
            Some(last) => last.next = Some(slot),
            None => match self.head(place) {
                Some(head) => *head = Some(slot),
                None => return Err(playback),
            },
        }
        if let Some(free) = self.slots.get_mut(slot as usize) {
            let rate = playback.rate();
            let resampler = Resampler::new(rate, rate);
            *free = Some(Queued { playback, place, resampler, next: None });
        }
        Ok(())
    }

    /// The next tick of what plays at a place that [`Plays::is_playing`], at the place's rate, and at
    /// the one it had before when that is not empty.
    pub fn pull(
        &mut self,
        place: Place,
        frame: &mut [i16],
        former: &mut [i16],
        exit: &mut Exit<'_>,
    ) -> Sounding {
        let Some(slot) = self.first(place) else { return Sounding::default() };
        let Some(queued) = self.at(slot) else { return Sounding::default() };
        let mut said = [0; FRAME_MAX];
        let length = queued.playback.rate().frame();
        let said = said.get_mut(..length).unwrap_or(&mut []);
        let pulled = queued.playback.pull(said);
        let is_instead = queued.playback.is_instead && pulled.has_begun;
        if let Some(rate) = rate_of(former) {
            let mut resampler = queued.resampler.clone();
            resampler.redirect(rate);
            resampler.process(said, former);
        }
        if let Some(rate) = rate_of(frame) {
            queued.resampler.redirect(rate);
            queued.resampler.process(said, frame);
        }
        if let Some(end) = pulled.end {
            let (reason, detail) = match end {
                Ok(()) => (PlayEnd::Completed, ""),
                Err(detail) => (PlayEnd::Failed, detail),
            };
            self.remove(slot, reason, detail, exit);
        }
        Sounding { is_underrun: pulled.is_underrun, is_instead }
    }

    /// False when there is none of that handle.
    pub fn stop(&mut self, playback: PlaybackHandle, exit: &mut Exit<'_>) -> bool {
        let slot = playback.0.slot;
        let is_there = self.at(slot).is_some_and(|it| it.playback.playback == playback);
        if is_there {
            self.remove(slot, PlayEnd::Stopped, "", exit);
        }
        is_there
    }

    /// Everything that plays or waits at a place.
    pub fn end_all(&mut self, place: Place, reason: PlayEnd, exit: &mut Exit<'_>) {
        while let Some(slot) = self.first(place) {
            self.remove(slot, reason, "", exit);
        }
    }

    /// The thread stops.
    pub fn end_everything(&mut self, exit: &mut Exit<'_>) {
        for slot in 0..self.slots.len() as u32 {
            self.remove(slot, PlayEnd::Stopped, "", exit);
        }
    }

    fn remove(&mut self, slot: u32, reason: PlayEnd, detail: &'static str, exit: &mut Exit<'_>) {
        let Some(queued) = self.slots.get_mut(slot as usize).and_then(Option::take) else {
            return;
        };
        if self.first(queued.place) == Some(slot) {
            if let Some(head) = self.head(queued.place) {
                *head = queued.next;
            }
        } else {
            let mut at = self.first(queued.place);
            while let Some(other) = at.and_then(|index| self.at(index)) {
                if other.next == Some(slot) {
                    other.next = queued.next;
                    break;
                }
                at = other.next;
            }
        }
        exit.leave(queued.playback, reason, detail);
    }
}

/// `None`: no frame of a rate of ours.
fn rate_of(frame: &[i16]) -> Option<Rate> {
    Rate::of(frame.len() as u32 * TICKS_PER_SECOND)
}
