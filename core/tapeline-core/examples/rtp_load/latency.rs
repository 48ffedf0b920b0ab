//! From a loud packet's departure to its arrival at a neighbour, room by room.

/// A pulse that has not been heard after so long is missed.
const GIVE_UP_NS: u64 = 400_000_000;

pub struct Latencies {
    /// When the pulse that is on its way left, by room.
    open: Vec<Option<u64>>,
    heard_us: Vec<u64>,
    missed: u64,
}

impl Latencies {
    pub fn new(rooms: u64) -> Self {
        Self { open: vec![None; rooms as usize], heard_us: Vec::new(), missed: 0 }
    }

    pub fn leaves(&mut self, room: u64, unix_ns: u64) {
        if let Some(open) = self.open.get_mut(room as usize) {
            self.missed += u64::from(open.replace(unix_ns).is_some());
        }
    }

    pub fn arrives(&mut self, room: u64, unix_ns: u64) {
        let Some(open) = self.open.get_mut(room as usize) else { return };
        if let Some(left) = open.take_if(|left| unix_ns.saturating_sub(*left) < GIVE_UP_NS) {
            self.heard_us.push(unix_ns.saturating_sub(left) / 1_000);
        }
    }

    pub fn count(&self) -> usize {
        self.heard_us.len()
    }

    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// 0 when there was none.
    pub fn quantile_us(&self, share: f64) -> u64 {
        let mut sorted = self.heard_us.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * share).ceil() as usize).copied().unwrap_or(0)
    }
}
