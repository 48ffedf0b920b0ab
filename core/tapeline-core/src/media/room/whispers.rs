//! What is said to single legs in one tick: chains from each listener to those who whisper to it.
//! Allocates only when made; a tick costs as much as there are whispers.

use crate::media::room::participant::LISTENERS;

struct Whisper {
    from: u32,
    to: u32,
    /// The next one to the same listener.
    next: Option<u32>,
}

pub struct Whispers {
    /// By the listener's slot.
    heads: Vec<Option<u32>>,
    said: Vec<Whisper>,
}

impl Whispers {
    pub fn new(legs: u32) -> Self {
        let legs = legs as usize;
        Self { heads: vec![None; legs], said: Vec::with_capacity(legs * LISTENERS) }
    }

    /// Start of a tick.
    pub fn clear(&mut self) {
        for whisper in self.said.drain(..) {
            if let Some(head) = self.heads.get_mut(whisper.to as usize) {
                *head = None;
            }
        }
    }

    /// The leg in slot `from` speaks to the one in slot `to`; once a tick for each pair.
    pub fn add(&mut self, from: u32, to: u32) {
        if from == to || self.said.len() == self.said.capacity() {
            return;
        }
        let Some(head) = self.heads.get_mut(to as usize) else { return };
        let next = head.replace(self.said.len() as u32);
        self.said.push(Whisper { from, to, next });
    }

    /// Slots of those who whisper to the leg in slot `to`.
    pub fn to(&self, to: u32) -> impl Iterator<Item = u32> + '_ {
        let mut at = self.heads.get(to as usize).copied().flatten();
        std::iter::from_fn(move || {
            let whisper = self.said.get(at? as usize)?;
            at = whisper.next;
            Some(whisper.from)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_finds_those_who_whisper_to_it_until_the_tick_is_over() {
        let mut whispers = Whispers::new(4);
        for (from, to) in [(0, 1), (2, 1), (2, 3), (3, 3), (0, 9)] {
            whispers.add(from, to);
        }
        let found = |whispers: &Whispers, to| whispers.to(to).collect::<Vec<_>>();
        assert_eq!(found(&whispers, 1), [2, 0]);
        assert_eq!(found(&whispers, 3), [2]);
        assert!(found(&whispers, 0).is_empty() && found(&whispers, 9).is_empty());

        whispers.clear();
        assert!((0..4).all(|to| found(&whispers, to).is_empty()));
        whispers.add(1, 0);
        assert_eq!(found(&whispers, 0), [1]);
    }
}
