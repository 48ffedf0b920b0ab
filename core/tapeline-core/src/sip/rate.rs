//! How fast one source, and all together, may send what costs us something.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Sources remembered; when all of them are active, further ones share one allowance.
const MAX_SOURCES: usize = 8_192;
/// A source that was quiet may spend this much of its rate at once.
const BURST: Duration = Duration::from_secs(1);

/// A token bucket as one instant (GCRA, ITU-T I.371): when the next request would be due if all
/// had come evenly.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    due: Instant,
}

impl Bucket {
    fn take(&mut self, rate: u32, now: Instant) -> bool {
        let due = self.due.max(now) + Duration::from_secs(1) / rate;
        let is_within = due.saturating_duration_since(now) <= BURST;
        if is_within {
            self.due = due;
        }
        is_within
    }
}

/// One bucket per source, one for the crowd, one for all.
#[derive(Debug)]
pub(super) struct RateLimiter {
    sources: HashMap<IpAddr, Bucket>,
    crowd: Bucket,
    all: Bucket,
}

impl RateLimiter {
    pub fn new(now: Instant) -> Self {
        let bucket = Bucket { due: now };
        Self { sources: HashMap::new(), crowd: bucket, all: bucket }
    }

    /// Charges one request; rates are per second, 0 means unlimited.
    pub fn allow(&mut self, source: IpAddr, per_source: u32, in_all: u32, now: Instant) -> bool {
        if per_source > 0 && !self.bucket(source, now).take(per_source, now) {
            return false;
        }
        in_all == 0 || self.all.take(in_all, now)
    }

    fn bucket(&mut self, source: IpAddr, now: Instant) -> &mut Bucket {
        let source = owner(source);
        if self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(&source) {
            self.sources.retain(|_, bucket| bucket.due > now);
            if self.sources.len() >= MAX_SOURCES {
                return &mut self.crowd;
            }
        }
        self.sources.entry(source).or_insert(Bucket { due: now })
    }
}

/// One subscriber has a whole /64 of IPv6 addresses.
pub(super) fn owner(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)))
        }
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn a_source_spends_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut limiter = RateLimiter::new(start);
        let mut spent = |from: u32, at: Duration, count: usize| {
            (0..count).filter(|_| limiter.allow(address(from), 10, 0, start + at)).count()
        };

        assert_eq!(spent(1, Duration::ZERO, 50), 10);
        assert_eq!(spent(2, Duration::ZERO, 5), 5);
        assert_eq!(spent(1, Duration::from_millis(500), 50), 5);
        assert_eq!(spent(1, Duration::from_secs(60), 50), 10);
    }

    #[test]
    fn all_sources_share_the_total() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(now);
        let taken = (0..100).filter(|&from| limiter.allow(address(from), 10, 20, now)).count();
        assert_eq!(taken, 20);
    }

    #[test]
    fn the_table_is_bounded_and_the_crowd_shares_one_allowance() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(now);
        let sources = MAX_SOURCES as u32 + 1_000;

        let taken = (0..sources).filter(|&from| limiter.allow(address(from), 10, 0, now)).count();

        assert_eq!(taken, MAX_SOURCES + 10);
        assert_eq!(limiter.sources.len(), MAX_SOURCES);
        let later = now + Duration::from_secs(2);
        assert!(limiter.allow(address(sources), 10, 0, later));
        assert_eq!(limiter.sources.len(), 1);
    }

    #[test]
    fn zero_is_unlimited_and_an_ipv6_network_is_one_source() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(now);
        assert!((0..1_000).all(|_| limiter.allow(address(1), 0, 0, now)));
        let six = |last: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last));
        assert!(limiter.allow(six(1), 1, 0, now));
        assert!(!limiter.allow(six(2), 1, 0, now));
    }
}
