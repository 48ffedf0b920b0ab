//! Rooms take the rate that their members need, in one tick and without a break.

use crate::boundary::handle::LegHandle;
use crate::media::codec::Rate;
use crate::media::room::View;
use crate::media::supply::Garbage;
use crate::media::tick::Tick;

impl Tick {
    /// After the commands, for the rooms of this phase: those that need another rate get it as soon as there is a lane for
    /// each member that needs one.
    pub(super) fn settle_rates(&mut self) {
        for index in 0..self.live_rooms.at(self.phase).len() {
            let Some(slot) = self.live_rooms.at(self.phase).get(index).copied() else { return };
            if self.room_in(slot).is_some_and(|room| room.is_changing()) {
                self.end_change(slot);
            }
            let due = self.rooms.get_mut(slot as usize).and_then(Option::as_mut);
            let Some(rate) = due.and_then(|room| room.due_rate()) else { continue };
            if self.prepare_members(slot, rate) {
                self.change_rate(slot, rate);
            }
        }
    }

    /// False: some have no lane yet.
    fn prepare_members(&mut self, room: u32, rate: Rate) -> bool {
        let mut are_ready = true;
        for index in 0..self.live_legs.at(self.phase).len() {
            let slot = self.live_legs.at(self.phase).get(index).copied().unwrap_or(u32::MAX);
            let leg = self.legs.get_mut(slot as usize).and_then(Option::as_mut);
            let Some(leg) = leg.filter(|leg| leg.room == Some(room)) else { continue };
            if leg.needs_lane_for(rate) {
                match self.supply.lane() {
                    Some(lane) => leg.prepare(lane, rate),
                    None => are_ready = false,
                }
            }
        }
        are_ready
    }

    fn change_rate(&mut self, room: u32, rate: Rate) {
        for index in 0..self.live_legs.at(self.phase).len() {
            let slot = self.live_legs.at(self.phase).get(index).copied().unwrap_or(u32::MAX);
            let leg = self.legs.get_mut(slot as usize).and_then(Option::as_mut);
            if let Some(leg) = leg.filter(|leg| leg.room == Some(room)) {
                leg.change_room_rate();
            }
        }
        if let Some(room) = self.rooms.get_mut(room as usize).and_then(Option::as_mut) {
            room.change_rate(rate);
        }
        self.tell_rate(room);
    }

    fn end_change(&mut self, room: u32) {
        for index in 0..self.live_legs.at(self.phase).len() {
            let slot = self.live_legs.at(self.phase).get(index).copied().unwrap_or(u32::MAX);
            let leg = self.legs.get_mut(slot as usize).and_then(Option::as_mut);
            if let Some(lane) = leg.and_then(|leg| leg.end_blend(room)) {
                self.supply.discard(Garbage::Lane(lane));
            }
        }
        if let Some(room) = self.rooms.get_mut(room as usize).and_then(Option::as_mut) {
            room.end_change();
        }
    }

    /// The leg is in `room` from now on; needs [`crate::media::supply::Supply::has_lane`].
    pub(super) fn enter(&mut self, handle: LegHandle, room: u32) {
        let leg = self.legs.get_mut(handle.0.slot as usize).and_then(Option::as_mut);
        let there = self.rooms.get_mut(room as usize).and_then(Option::as_mut);
        let (Some(leg), Some(there)) = (leg, there) else { return };
        leg.room = Some(room);
        there.enter(leg.rate());
        let rate = there.rate(View::Now);
        if leg.needs_lane_for(rate)
            && let Some(lane) = self.supply.lane()
        {
            leg.prepare(lane, rate);
        }
        leg.take_lane();
    }

    /// The leg is in no room from now on.
    pub(super) fn exit(&mut self, handle: LegHandle) {
        self.unshare(handle.0.slot);
        let Some(leg) = self.legs.get_mut(handle.0.slot as usize).and_then(Option::as_mut) else {
            return;
        };
        let rate = leg.rate();
        let room = leg.room.take();
        for lane in leg.leave_lanes().into_iter().flatten() {
            self.supply.discard(Garbage::Lane(lane));
        }
        let there = room.and_then(|slot| self.rooms.get_mut(slot as usize));
        if let Some(there) = there.and_then(Option::as_mut) {
            there.exit(rate);
        }
    }

    /// For whoever asks.
    pub(super) fn tell_rate(&self, room: u32) {
        self.room_rates.set(room, self.room_in(room).map_or(0, |room| room.rate_hz()));
    }
}
