//! Which of the last 64 indices have been seen (RFC 3711 §3.3.2). Pure.

/// Of one stream; empty before the first packet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReplayWindow {
    highest: u64,
    /// Bit `n`: `highest - n` has been seen.
    seen: u64,
}

impl ReplayWindow {
    /// Neither seen nor too old to tell.
    pub fn is_new(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(behind @ 0..64) => self.seen & 1 << behind == 0,
            Some(_) => self.seen == 0,
        }
    }

    /// Call it for authentic packets only.
    pub fn note(&mut self, index: u64) {
        match self.highest.checked_sub(index) {
            Some(behind @ 0..64) if self.seen != 0 => self.seen |= 1 << behind,
            Some(_) if self.seen != 0 => {}
            _ => {
                let ahead = index.saturating_sub(self.highest);
                self.seen = if ahead < 64 { self.seen << ahead | 1 } else { 1 };
                self.highest = index;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_new_once() {
        let mut window = ReplayWindow::default();
        // (index, whether it is new)
        let script = [
            (1_000, true),
            (1_000, false),
            (999, true),
            (1_001, true),
            (999, false),
            (937, false), // 64 behind the highest: too old to tell
            (938, true),
            (938, false),
            (1_200, true),
            (1_137, true),
            (1_136, false),
            (1_001, false),
            (1 << 40, true),
            ((1 << 40) - 63, true),
        ];
        for (index, is_new) in script {
            assert_eq!(window.is_new(index), is_new, "{index}");
            if is_new {
                window.note(index);
            }
        }
    }

    #[test]
    fn the_first_index_may_be_any() {
        for first in [0, 1, 63, 64, 65_535, u64::MAX] {
            let mut window = ReplayWindow::default();
            assert!(window.is_new(first));
            window.note(first);
            assert!(!window.is_new(first), "{first}");
        }
    }
}
