//! Handles: a slot and its generation, so that a late command for a dead thing is ignored, never
//! misdirected.

use std::sync::{Mutex, PoisonError};

/// A slot and the generation of its tenant. Crosses the boundary as one `u64`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Handle {
    pub slot: u32,
    pub generation: u32,
}

impl Handle {
    pub fn to_u64(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.slot)
    }

    pub fn from_u64(value: u64) -> Self {
        Self { slot: value as u32, generation: (value >> 32) as u32 }
    }
}

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        pub struct $name(pub Handle);

        impl $name {
            pub fn to_u64(self) -> u64 {
                self.0.to_u64()
            }

            pub fn from_u64(value: u64) -> Self {
                Self(Handle::from_u64(value))
            }
        }

        impl From<Handle> for $name {
            fn from(handle: Handle) -> Self {
                Self(handle)
            }
        }
    };
}

handle!(
    /// One call leg: its SIP dialog and its audio share the handle.
    LegHandle
);
handle!(
    /// One live mixer.
    RoomHandle
);
handle!(
    /// One live recorder: a tap in a room and a file being written.
    RecorderHandle
);

handle!(
    /// One file that is played or waits to be.
    PlaybackHandle
);

struct Slots {
    generations: Vec<u32>,
    free: Vec<u32>,
}

/// Hands out slots below a fixed capacity. Never called on the tick.
pub struct SlotAllocator {
    slots: Mutex<Slots>,
}

impl SlotAllocator {
    pub fn new(capacity: u32) -> Self {
        let free = (0..capacity).rev().collect();
        Self { slots: Mutex::new(Slots { generations: vec![0; capacity as usize], free }) }
    }

    /// A free slot under a generation it never had before, or `None` when all are taken.
    pub fn allocate<H: From<Handle>>(&self) -> Option<H> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.free.pop()?;
        let generation = slots.generations.get_mut(slot as usize)?;
        *generation = generation.wrapping_add(1);
        Some(H::from(Handle { slot, generation: *generation }))
    }

    /// Gives a slot back; a handle that is not the present tenant is ignored.
    pub fn release(&self, handle: Handle) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let is_tenant = slots.generations.get(handle.slot as usize) == Some(&handle.generation);
        if is_tenant && !slots.free.contains(&handle.slot) {
            slots.free.push(handle.slot);
        }
    }

    pub fn in_use(&self) -> usize {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.generations.len() - slots.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_slot_has_a_new_generation() {
        let slots = SlotAllocator::new(1);
        let first: LegHandle = slots.allocate().unwrap();
        assert!(slots.allocate::<LegHandle>().is_none());

        slots.release(first.0);
        let second: LegHandle = slots.allocate().unwrap();

        assert_eq!(first.0.slot, second.0.slot);
        assert_ne!(first, second);
        slots.release(first.0); // a late release of the dead handle
        assert_eq!(slots.in_use(), 1);
    }

    #[test]
    fn a_handle_survives_the_boundary() {
        let handle = Handle { slot: 7, generation: u32::MAX };
        assert_eq!(Handle::from_u64(handle.to_u64()), handle);
    }
}
