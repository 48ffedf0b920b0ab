//! One encoding for all who hear the same: legs that say nothing hear the whole mix of their room.
//!
//! One of them, the lead of its codec, encodes it; the others send what it made. A leg that begins to
//! speak copies the lead's encoder before this tick and goes on alone; when it is the lead, another
//! takes its place first.

use crate::media::leg::{Leg, TickContext};
use crate::media::room::Room;
use crate::media::taps::Place;
use crate::media::tick::Tick;

impl Tick {
    /// When all that is said in this tick is known: who hears the whole mix, and who no longer does.
    pub(super) fn share(&mut self) {
        for index in 0..self.live_legs.at(self.phase).len() {
            let Some(slot) = self.live_legs.at(self.phase).get(index).copied() else { return };
            let Some(leg) = self.leg_in(slot) else { continue };
            let may_share = leg.room.is_some()
                && leg.hears_the_whole_room()
                && leg.takes_ticks()
                && !self.plays.is_playing(Place::Leg(slot))
                && self.whispers.to(slot).next().is_none();
            if leg.is_sharing && !may_share {
                self.unshare(slot);
            } else if may_share && !leg.is_sharing {
                self.begin_to_share(slot);
            }
        }
    }

    fn begin_to_share(&mut self, slot: u32) {
        let Some(leg) = self.legs.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        let Some(codec) = leg.codec() else { return };
        let room = leg.room.and_then(|room| self.rooms.get_mut(room as usize));
        let Some(room) = room.and_then(Option::as_mut) else { return };
        leg.is_sharing = true;
        room.sharers += 1;
        if room.lead(codec).is_none() {
            room.set_lead(codec, Some(slot));
        }
    }

    /// Goes on alone where the shared stream is before this tick.
    pub(super) fn unshare(&mut self, slot: u32) {
        let Some(leg) = self.leg_in(slot).filter(|leg| leg.is_sharing) else { return };
        let (Some(room), Some(codec)) = (leg.room, leg.codec()) else { return };
        let Some(there) = self.room_in(room) else { return };
        let is_lead = there.lead(codec) == Some(slot);
        let other = if is_lead { self.next_lead(slot) } else { there.lead(codec) };
        if let Some(other) = other {
            let (to, from) = if is_lead { (other, slot) } else { (slot, other) };
            continue_from(&mut self.legs, to, from);
        }
        let Some(there) = self.rooms.get_mut(room as usize).and_then(Option::as_mut) else {
            return;
        };
        there.sharers = there.sharers.saturating_sub(1);
        if is_lead {
            there.set_lead(codec, other);
        }
        if let Some(leg) = self.legs.get_mut(slot as usize).and_then(Option::as_mut) {
            leg.go_on_alone(there);
        }
    }

    /// Another that shares the stream of this one.
    fn next_lead(&self, slot: u32) -> Option<u32> {
        let leg = self.leg_in(slot)?;
        let is_next = |other: &u32| {
            *other != slot
                && self.leg_in(*other).is_some_and(|it| {
                    it.is_sharing && it.room == leg.room && it.codec() == leg.codec()
                })
        };
        self.live_legs.at(leg.phase).iter().copied().find(is_next)
    }
}

/// Sends a sharing leg what all of them hear.
pub(super) fn send_shared(
    slot: u32,
    legs: &mut [Option<Box<Leg>>],
    room: &Room,
    context: &mut TickContext<'_>,
) {
    let Some(codec) = leg_at(legs, slot).and_then(|leg| leg.codec()) else { return };
    let lead = room.lead(codec).unwrap_or(slot);
    if lead != slot {
        let expected_loss = leg_at(legs, slot).and_then(|leg| leg.expected_loss());
        if let Some(lead) = leg_at(legs, lead).filter(|_| expected_loss.is_some()) {
            lead.note_listener(expected_loss);
        }
    }
    let payload = std::mem::take(&mut context.payload);
    let length = leg_at(legs, lead)
        .map_or(0, |leg| leg.encode_once(room.mix_at(codec.rate()), context.number, payload));
    if let Some(leg) = leg_at(legs, slot) {
        let made = payload.get(..length).unwrap_or(&[]);
        leg.send_encoded(made, room.energy_at(codec.rate()), context);
    }
    context.payload = payload;
}

fn continue_from(legs: &mut [Option<Box<Leg>>], slot: u32, other: u32) {
    let Some(mut codec) = leg_at(legs, slot).and_then(|leg| leg.lend_codec()) else { return };
    if let Some(other) = leg_at(legs, other) {
        other.tell_encoder(&mut codec);
    }
    if let Some(leg) = leg_at(legs, slot) {
        leg.return_codec(codec);
    }
}

fn leg_at(legs: &mut [Option<Box<Leg>>], slot: u32) -> Option<&mut Leg> {
    legs.get_mut(slot as usize)?.as_deref_mut()
}
