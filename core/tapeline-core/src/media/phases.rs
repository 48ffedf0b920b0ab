//! Legs and rooms are spread over the 20 ms of a tick, so that their packets do not leave in one burst and
//! the last of a thousand does not wait for all the others: each is run in one of four phases, 5 ms apart.
//!
//! Whoever is in a room has the room's phase. Everything is run once in each tick: moving a leg between
//! phases waits until both have been run in the present tick or neither has ([`may_move`]), at the
//! longest until the next tick begins.

use crate::media::frame::TICK_NS;

pub const PHASES: usize = 4;
/// From one phase to the next.
pub const PHASE_NS: u64 = TICK_NS / PHASES as u64;

/// One of [`PHASES`]; they are run in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Phase(u8);

impl Phase {
    pub const FIRST: Self = Self(0);

    /// The next one; after the last comes the first of the next tick.
    pub fn next(self) -> Self {
        Self((self.0 + 1) % PHASES as u8)
    }

    pub fn is_last(self) -> bool {
        usize::from(self.0) + 1 == PHASES
    }

    /// Phases from this one, which is about to be run, until `other` is.
    pub fn until(self, other: Self) -> u64 {
        u64::from((other.0 + PHASES as u8 - self.0) % PHASES as u8)
    }
}

/// Whether what has phase `from` can have phase `to` instead, before phase `now` is run: it is run once in
/// this tick all the same.
pub fn may_move(from: Phase, to: Phase, now: Phase) -> bool {
    (from < now) == (to < now)
}

/// Slots of all that live, by phase. Allocates only when made.
pub struct Spread {
    slots: [Vec<u32>; PHASES],
}

impl Spread {
    pub fn new(capacity: u32) -> Self {
        Self { slots: std::array::from_fn(|_| Vec::with_capacity(capacity as usize)) }
    }

    fn list(&mut self, phase: Phase) -> Option<&mut Vec<u32>> {
        self.slots.get_mut(usize::from(phase.0))
    }

    /// In no order.
    pub fn at(&self, phase: Phase) -> &[u32] {
        self.slots.get(usize::from(phase.0)).map_or(&[], Vec::as_slice)
    }

    pub fn all(&self) -> impl Iterator<Item = u32> + '_ {
        self.slots.iter().flatten().copied()
    }

    pub fn add(&mut self, slot: u32, phase: Phase) {
        if let Some(list) = self.list(phase) {
            list.push(slot);
        }
    }

    pub fn remove(&mut self, slot: u32, phase: Phase) {
        if let Some(list) = self.list(phase)
            && let Some(at) = list.iter().position(|it| *it == slot)
        {
            list.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_moves_is_run_once_in_every_tick() {
        let phases = [0, 1, 2, 3].map(Phase);
        for from in phases {
            for to in phases {
                for now in phases {
                    if !may_move(from, to, now) {
                        continue;
                    }
                    let before = phases.iter().filter(|it| **it < now && **it == from).count();
                    let after = phases.iter().filter(|it| **it >= now && **it == to).count();
                    assert_eq!(before + after, 1, "{from:?} {to:?} {now:?}");
                }
                assert!(may_move(from, to, Phase::FIRST));
            }
        }
    }

    #[test]
    fn phases_follow_each_other_and_say_how_far_others_are() {
        let mut phase = Phase::FIRST;
        for ahead in 0..PHASES as u64 {
            assert_eq!(Phase::FIRST.until(phase), ahead);
            assert_eq!(phase.until(phase), 0);
            assert_eq!(phase.is_last(), ahead == 3);
            phase = phase.next();
        }
        assert_eq!(phase, Phase::FIRST);
        assert_eq!(Phase(3).until(Phase(1)), 2);
    }

    #[test]
    fn a_spread_holds_each_slot_in_its_phase() {
        let mut spread = Spread::new(8);
        for slot in 0..6 {
            spread.add(slot, Phase((slot % 2) as u8));
        }
        spread.remove(2, Phase(0));
        spread.remove(3, Phase(0));

        assert_eq!(spread.at(Phase(0)), [0, 4]);
        assert_eq!(spread.at(Phase(1)), [1, 3, 5]);
        assert_eq!(spread.all().count(), 5);
    }
}
