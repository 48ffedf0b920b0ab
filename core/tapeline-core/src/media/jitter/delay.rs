//! How late packets come: a sliding minimum of their transit and a quantile above it. Pure.
//!
//! Transit is arrival minus sender's clock: only its changes mean something. The minimum of the last two
//! seconds is the network at rest (it follows drift and path changes); what a packet is later than that
//! is its relative delay. A forgetting histogram of it gives the delay that all but a few packets keep.

/// Eight buckets of 250 ms.
const BUCKETS: usize = 8;
const BUCKET_NS: u64 = 250_000_000;
/// Weight that a packet keeps when the next arrives: half is forgotten after about 230 packets.
const FORGET: f32 = 0.997;
/// Weights are brought down again beyond it, every minute and a half: f32 holds 24 bits.
const WEIGHT_MAX: f32 = 1e6;
/// Weight of the assumption, before any packet, that the network is clean: about one second of it.
const PRIOR: f32 = 50.0;
/// Three packets in two hundred may be later than the target.
const QUANTILE: f32 = 0.985;
/// Added to the quantile.
const GUARD_NS: i64 = 1_000_000;
/// No target above it.
pub const TARGET_MAX_NS: i64 = 200_000_000;

/// Histogram bins: fine where a clean network lives, coarse above.
const FINE: usize = 16;
const FINE_NS: i64 = 500_000;
const MIDDLE: usize = 16;
const MIDDLE_NS: i64 = 2_000_000;
const COARSE: usize = 33;
const COARSE_NS: i64 = 5_000_000;
const BINS: usize = FINE + MIDDLE + COARSE;

pub struct DelayEstimator {
    minima: [i64; BUCKETS],
    /// Number of the newest bucket since the epoch of arrivals; `None` before the first packet.
    bucket: Option<u64>,
    /// Weights of the relative delays. Those of old packets stay, those of new ones grow: the same as
    /// forgetting, in one addition.
    bins: [f32; BINS],
    total: f32,
    /// Of the next packet.
    weight: f32,
    target_ns: i64,
}

impl Default for DelayEstimator {
    fn default() -> Self {
        let mut bins = [0.0; BINS];
        if let Some(first) = bins.first_mut() {
            *first = PRIOR;
        }
        Self {
            minima: [i64::MAX; BUCKETS],
            bucket: None,
            bins,
            total: PRIOR,
            weight: 1.0,
            target_ns: FINE_NS + GUARD_NS,
        }
    }
}

impl DelayEstimator {
    /// The transit reference is void (a new stream, a jump of the sender's clock); what is known about
    /// the network's jitter stays.
    pub fn rebase(&mut self) {
        self.minima = [i64::MAX; BUCKETS];
        self.bucket = None;
    }

    /// Transit of the network at rest.
    pub fn minimum_ns(&self) -> Option<i64> {
        self.minima.iter().min().copied().filter(|minimum| *minimum != i64::MAX)
    }

    /// Delay above the minimum that playing should keep.
    pub fn target_ns(&self) -> i64 {
        self.target_ns
    }

    pub fn add(&mut self, transit_ns: i64, arrival_ns: u64) {
        self.open_bucket(arrival_ns / BUCKET_NS);
        let number = self.bucket.unwrap_or(0) as usize;
        if let Some(minimum) = self.minima.get_mut(number % BUCKETS) {
            *minimum = (*minimum).min(transit_ns);
        }
        let relative = transit_ns - self.minimum_ns().unwrap_or(transit_ns);
        self.weight /= FORGET;
        if self.weight > WEIGHT_MAX {
            self.rescale();
        }
        if let Some(bin) = self.bins.get_mut(bin_of(relative)) {
            *bin += self.weight;
            self.total += self.weight;
        }
        self.target_ns = (self.quantile_ns() + GUARD_NS).min(TARGET_MAX_NS);
    }

    fn open_bucket(&mut self, number: u64) {
        let newest = match self.bucket {
            Some(newest) if number <= newest => return,
            Some(newest) => newest,
            None => number.saturating_sub(BUCKETS as u64),
        };
        for fresh in newest.max(number.saturating_sub(BUCKETS as u64)) + 1..=number {
            if let Some(minimum) = self.minima.get_mut(fresh as usize % BUCKETS) {
                *minimum = i64::MAX;
            }
        }
        self.bucket = Some(number);
    }

    fn rescale(&mut self) {
        for bin in &mut self.bins {
            *bin /= self.weight;
        }
        self.total = self.bins.iter().sum();
        self.weight = 1.0;
    }

    fn quantile_ns(&self) -> i64 {
        let (mut below, enough) = (0.0, self.total * QUANTILE);
        let reached = self.bins.iter().position(|weight| {
            below += weight;
            below >= enough
        });
        upper_edge_ns(reached.unwrap_or(BINS - 1))
    }
}

fn bin_of(relative_ns: i64) -> usize {
    let middle_start = FINE as i64 * FINE_NS;
    let coarse_start = middle_start + MIDDLE as i64 * MIDDLE_NS;
    let relative = relative_ns.max(0);
    let index = if relative < middle_start {
        relative / FINE_NS
    } else if relative < coarse_start {
        FINE as i64 + (relative - middle_start) / MIDDLE_NS
    } else {
        (FINE + MIDDLE) as i64 + (relative - coarse_start) / COARSE_NS
    };
    (index as usize).min(BINS - 1)
}

fn upper_edge_ns(index: usize) -> i64 {
    let fine = (index + 1).min(FINE) as i64;
    let middle = (index + 1).saturating_sub(FINE).min(MIDDLE) as i64;
    let coarse = (index + 1).saturating_sub(FINE + MIDDLE) as i64;
    fine * FINE_NS + middle * MIDDLE_NS + coarse * COARSE_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// Packets of 20 ms with the given transits; the target afterwards, milliseconds.
    fn target_after(transits_ms: impl Iterator<Item = i64>) -> f64 {
        let mut estimator = DelayEstimator::default();
        for (index, transit) in transits_ms.enumerate() {
            let arrival = (index as i64 * 20 + 1_000 + transit) * MS;
            estimator.add(transit * MS, arrival as u64);
        }
        estimator.target_ns() as f64 / 1e6
    }

    #[test]
    fn the_target_follows_the_network() {
        let cases: [(&str, Vec<i64>, f64, f64); 5] = [
            ("clean", vec![70; 500], 1.5, 1.5),
            (
                "one late packet in a hundred is left out",
                (0..800).map(|n| if n % 100 == 99 { 60 } else { 0 }).collect(),
                1.5,
                1.5,
            ),
            (
                "one in ten is kept",
                (0..800).map(|n| if n % 10 == 9 { 60 } else { 0 }).collect(),
                60.0,
                66.0,
            ),
            (
                "a path that became slower is a new minimum",
                (0..3_000).map(|n| if n < 100 { 0 } else { 90 }).collect(),
                1.5,
                1.5,
            ),
            (
                "never beyond its limit",
                (0..800).map(|n| if n % 2 == 0 { 0 } else { 900 }).collect(),
                200.0,
                200.0,
            ),
        ];
        for (name, transits, low, high) in cases {
            let target = target_after(transits.into_iter());
            assert!((low..=high).contains(&target), "{name}: {target}");
        }
    }

    #[test]
    fn the_estimate_comes_down_after_a_burst() {
        let burst = (0..50).map(|n| n % 10 * 15);
        let high = target_after((0..500).map(|_| 0).chain(burst.clone()));
        let low = target_after((0..500).map(|_| 0).chain(burst).chain((0..1_000).map(|_| 0)));
        assert!(high > 50.0, "{high}");
        assert!(low < 3.0, "{low}");
    }

    #[test]
    fn bins_and_their_edges_agree() {
        for index in 0..BINS - 1 {
            let edge = upper_edge_ns(index);
            assert_eq!((bin_of(edge - 1), bin_of(edge)), (index, index + 1));
        }
        assert_eq!(bin_of(i64::MAX), BINS - 1);
        assert_eq!(bin_of(-5), 0);
    }
}
