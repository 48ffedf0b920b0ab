//! A leg's side towards its room: what it says there, what it hears, and whether it hears what all do.

use crate::media::codec::Rate;
use crate::media::frame::{FRAME_MAX, TICK_MS};
use crate::media::leg::lane::Lane;
use crate::media::leg::{Leg, may_send};
use crate::media::room::hearing::{Added, Heard};
use crate::media::room::limiter::Limiter;
use crate::media::room::{Room, View};

/// Of what a leg hears: of its room, and of that with what only it hears.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limiters {
    room: Limiter,
    added: Limiter,
}

/// Below -50 dBov for 200 ms a leg is a listener.
const QUIET_MEAN_SQUARE: u64 = 10_737;
const QUIET_TICKS: u32 = 200 / TICK_MS;

impl Leg {
    /// The same at its room's rate.
    pub fn voice(&self, view: View) -> &[i16] {
        let lane = match view {
            View::Now => &self.lane,
            View::Former => &self.former_lane,
        };
        lane.as_ref().map_or_else(|| self.rx(), |lane| lane.said())
    }

    /// It says something, or what it said still rings in a filter.
    pub fn has_voice(&self) -> bool {
        self.energy > 0 || self.lane.is_some() || self.former_lane.is_some()
    }

    /// What its room says to all is what it hears: it says nothing itself, and nothing is for it alone.
    pub fn hears_the_whole_room(&self) -> bool {
        let settings = self.part.settings();
        settings.hears_the_room()
            && may_send(&self.agreement)
            && (self.quiet_ticks >= QUIET_TICKS || !settings.is_heard_by_all())
            && !self.beep.is_sounding()
            && self.keying.is_idle()
    }

    /// What was shared until now goes on in its own filters.
    pub fn go_on_alone(&mut self, room: &Room) {
        self.is_sharing = false;
        self.limiters.room = room.mixer(View::Now).limiter();
        for (lane, view) in [(&mut self.lane, View::Now), (&mut self.former_lane, View::Former)] {
            let filter = room.mixer(view).filter(self.agreement.codec.rate());
            if let (Some(lane), Some(filter)) = (lane, filter) {
                lane.hear_on_from(filter);
            }
        }
    }

    pub fn needs_lane_for(&mut self, rate: Rate) -> bool {
        let own = self.rate();
        match &mut self.next_lane {
            _ if own == rate => false,
            Some(lane) if lane.room_rate() == rate => false,
            Some(lane) => {
                lane.open(own, rate);
                false
            }
            None => true,
        }
    }

    pub fn prepare(&mut self, mut lane: Box<Lane>, rate: Rate) {
        lane.open(self.rate(), rate);
        self.next_lane = Some(lane);
    }

    /// It has joined a room whose lane was prepared.
    pub fn take_lane(&mut self) {
        self.lane = self.next_lane.take();
    }

    /// Its room changes to the rate that it was prepared for: in this tick it speaks and hears twice.
    pub fn change_room_rate(&mut self) {
        self.former_lane = self.lane.take();
        self.lane = self.next_lane.take();
        self.is_blending = true;
    }

    /// The tick of the change is over.
    pub fn end_blend(&mut self, room: u32) -> Option<Box<Lane>> {
        if self.room != Some(room) {
            return None;
        }
        self.is_blending = false;
        self.former_lane.take()
    }

    /// It is in no room any more.
    pub fn leave_lanes(&mut self) -> [Option<Box<Lane>>; 3] {
        self.is_blending = false;
        [self.lane.take(), self.former_lane.take(), self.next_lane.take()]
    }

    pub fn is_blending(&self) -> bool {
        self.is_blending
    }

    /// Of the sum at its room's rate what it hears.
    pub fn render(&mut self, view: View, sum: &mut [i32], added: &Added<'_>, heard: Heard<'_>) {
        let Self { limiters, lane, former_lane, .. } = self;
        let lane = match view {
            View::Now => lane,
            View::Former => former_lane,
        };
        let Some(lane) = lane else {
            add(sum, added.played);
            if !added.beep.is_empty() {
                { limiters.room }.apply(sum, heard.plain);
                add(sum, added.beep);
            }
            return limiters.room.apply(sum, heard.whole);
        };
        let mut mixed = [0; FRAME_MAX];
        let Some(mixed) = mixed.get_mut(..sum.len()) else { return };
        limiters.room.apply(sum, mixed);
        lane.hear(mixed, heard.whole);
        if added.played.is_empty() && added.beep.is_empty() {
            return;
        }
        let mut sum = [0; FRAME_MAX];
        let Some(sum) = sum.get_mut(..heard.whole.len()) else { return };
        sum.iter_mut().zip(heard.whole.iter()).for_each(|(sum, it)| *sum = i32::from(*it));
        add(sum, added.played);
        if !added.beep.is_empty() {
            { limiters.added }.apply(sum, heard.plain);
            add(sum, added.beep);
        }
        limiters.added.apply(sum, heard.whole);
    }
}

fn add(sum: &mut [i32], samples: &[i32]) {
    sum.iter_mut().zip(samples).for_each(|(sum, sample)| *sum += sample);
}

/// For how long a leg has said hardly anything, after a tick of that energy.
pub(super) fn quiet_ticks(before: u32, energy: u64, samples: usize) -> u32 {
    let is_quiet = energy < QUIET_MEAN_SQUARE * samples as u64;
    if is_quiet { before.saturating_add(1) } else { 0 }
}
