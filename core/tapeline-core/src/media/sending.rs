//! What one leg gets in a tick: alone, or what all hear who say nothing.

use crate::media::frame::FRAME_MAX;
use crate::media::leg::{Leg, TickContext};
use crate::media::plays::{Exit, Plays};
use crate::media::room::Room;
use crate::media::room::hearing::{Added, Heard, hear};
use crate::media::room::whispers::Whispers;
use crate::media::sharing::send_shared;
use crate::media::supply::Supply;
use crate::media::taps::Place;

/// All that a leg's sending looks at.
pub struct Sending<'a> {
    pub legs: &'a mut [Option<Box<Leg>>],
    pub rooms: &'a [Option<Box<Room>>],
    pub whispers: &'a Whispers,
    pub plays: &'a mut Plays,
    pub supply: &'a mut Supply,
    pub scratch: &'a mut Scratch,
}

/// Room for one tick of one leg; whoever uses a part of it clears that part.
pub struct Scratch {
    played: [i32; FRAME_MAX],
    beep: [i32; FRAME_MAX],
    sum: [i32; FRAME_MAX],
}

impl Default for Scratch {
    fn default() -> Self {
        Self { played: [0; FRAME_MAX], beep: [0; FRAME_MAX], sum: [0; FRAME_MAX] }
    }
}

impl Sending<'_> {
    fn leg(&mut self, slot: u32) -> Option<&mut Leg> {
        self.legs.get_mut(slot as usize)?.as_deref_mut()
    }

    /// Samples of a tick at the leg's rate.
    pub fn frame_length(&mut self, slot: u32) -> usize {
        self.leg(slot).map_or(0, |leg| leg.rx().len())
    }

    /// Sends it and leaves in `heard` what it was.
    pub fn send(&mut self, slot: u32, heard: Heard<'_>, context: &mut TickContext<'_>) {
        let Some(leg) = self.leg(slot) else { return };
        let (is_sharing, room, rate) = (leg.is_sharing, leg.room, leg.rate());
        let room = room.and_then(|room| self.rooms.get(room as usize)).and_then(Option::as_ref);
        match room.filter(|_| is_sharing) {
            Some(room) => {
                let mix = room.mix_at(rate);
                heard.whole.iter_mut().zip(mix).for_each(|(heard, sample)| *heard = *sample);
                send_shared(slot, self.legs, room, context);
            }
            None => self.send_alone(slot, heard, context),
        }
    }

    fn send_alone(&mut self, slot: u32, heard: Heard<'_>, context: &mut TickContext<'_>) {
        let place = Place::Leg(slot);
        let length = heard.whole.len();
        let (mut played_length, mut beep_length, mut is_instead) = (0, 0, false);
        if self.plays.is_playing(place) {
            let mut exit = Exit { events: &mut *context.events, supply: &mut *self.supply };
            let sounding = self.plays.pull(place, heard.whole, &mut [], &mut exit);
            context.counts.play_underruns += u64::from(sounding.is_underrun);
            is_instead = sounding.is_instead;
            let samples = heard.whole.iter().map(|sample| i32::from(*sample));
            let played = self.scratch.played.iter_mut();
            played.zip(samples).for_each(|(played, sample)| *played = sample);
            played_length = length;
        }
        let Self { legs, rooms, whispers, scratch, .. } = self;
        let Scratch { played, beep, sum } = &mut **scratch;
        let Some(leg) = legs.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        let beep = beep.get_mut(..length).unwrap_or(&mut []);
        if leg.beep.is_sounding() {
            beep_length = length;
            beep.fill(0);
        }
        // It counts its ticks whether it sounds or not.
        leg.beep.add_to(beep);
        let added = Added {
            played: played.get(..played_length).unwrap_or(&[]),
            is_instead,
            beep: beep.get(..beep_length).unwrap_or(&[]),
        };
        let Heard { whole, plain } = heard;
        hear(slot, legs, rooms, whispers, &added, sum, Heard { whole: &mut *whole, plain });
        if let Some(leg) = self.leg(slot) {
            leg.send(whole, context);
        }
    }
}
