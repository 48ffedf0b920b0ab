//! Who may send, how much, and whether a new call is taken.

use std::net::IpAddr;
use std::time::Instant;

use crate::boundary::command::{Access, Network};
use crate::boundary::identity::Sources;
use crate::sip::rate::RateLimiter;
use crate::sip::strikes::Strikes;

/// Admission: what the control plane pushed down, and what is open now.
#[derive(Debug)]
pub(super) struct Gate {
    access: Access,
    sources: Sources,
    limiter: RateLimiter,
    strikes: Strikes,
    rate_in_all: u32,
    is_draining: bool,
    unacknowledged: u32,
}

impl Gate {
    pub fn new(access: Access, rate_in_all: u32, now: Instant) -> Self {
        let limiter = RateLimiter::new(now);
        Self {
            access,
            sources: Sources::default(),
            limiter,
            strikes: Strikes::new(now),
            rate_in_all,
            is_draining: false,
            unacknowledged: 0,
        }
    }

    pub fn set_access(&mut self, access: Access) {
        self.access = access;
    }

    pub fn set_sources(&mut self, sources: Sources) {
        self.sources = sources;
    }

    pub fn set_draining(&mut self, is_draining: bool) {
        self.is_draining = is_draining;
    }

    pub fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// Charges a datagram that belongs to no live call.
    pub fn charge(&mut self, source: IpAddr, now: Instant) -> bool {
        let Self { access, limiter, rate_in_all, .. } = self;
        holds(&access.rate_exempt, source)
            || limiter.allow(source, access.rate_per_source, *rate_in_all, now)
    }

    /// Whose requests from there are, without a digest: empty for an allowed network.
    pub fn owner(&self, source: IpAddr) -> Option<&str> {
        if holds(&self.access.networks, source) {
            return Some("");
        }
        let mut rows = self.sources.0.iter();
        rows.find(|(_, networks)| holds(networks, source)).map(|(owner, _)| owner.as_str())
    }

    /// Nothing is heard from there but what belongs to live calls.
    pub fn is_silenced(&self, source: IpAddr, now: Instant) -> bool {
        self.strikes.is_silenced(source, now)
    }

    /// A request from there showed nobody behind it.
    pub fn strike(&mut self, source: IpAddr, points: u32, now: Instant) {
        if !holds(&self.access.rate_exempt, source) && self.owner(source).is_none() {
            self.strikes.add(source, points, now);
        }
    }

    pub fn forgive(&mut self, source: IpAddr, points: u32) {
        self.strikes.forgive(source, points);
    }

    /// Whether one more call fits; each answered INVITE without ACK costs us 11 responses to an
    /// address that may be forged.
    pub fn takes_calls(&self) -> bool {
        !self.is_draining && self.has_room_for_answers()
    }

    pub fn has_room_for_answers(&self) -> bool {
        self.unacknowledged < self.access.max_unacknowledged
    }

    pub fn answered(&mut self) {
        self.unacknowledged += 1;
    }

    pub fn acknowledged(&mut self) {
        self.unacknowledged = self.unacknowledged.saturating_sub(1);
    }
}

fn holds(networks: &[Network], source: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_judged_by_the_pushed_tables() {
        let now = Instant::now();
        let parse = |text: &str| Network::parse(text).unwrap();
        let access = Access {
            networks: vec![parse("10.0.0.0/8")],
            rate_per_source: 1,
            rate_exempt: vec![parse("127.0.0.0/8")],
            max_unacknowledged: 1,
        };
        let mut gate = Gate::new(access, 0, now);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();

        let trunk = ("tr_1".to_owned(), vec!["11.0.0.0/8".to_owned(), "10.0.0.0/8".to_owned()]);
        gate.set_sources(Sources::new(vec![trunk]).unwrap());
        assert_eq!(gate.owner(address("10.1.2.3")), Some(""));
        assert_eq!(gate.owner(address("11.1.2.3")), Some("tr_1"));
        assert_eq!(gate.owner(address("12.1.2.3")), None);
        for (source, is_silenced) in [("10.1.2.3", false), ("127.0.0.1", false), ("12.1.2.3", true)]
        {
            let source = address(source);
            gate.strike(source, 1_000, now);
            assert_eq!(gate.is_silenced(source, now), is_silenced, "{source}");
        }
        assert!((0..100).all(|_| gate.charge(address("127.0.0.1"), now)));
        assert!(gate.charge(address("10.1.2.3"), now) && !gate.charge(address("10.1.2.3"), now));

        gate.answered();
        assert!(!gate.takes_calls());
        gate.acknowledged();
        assert!(gate.takes_calls());
        gate.set_draining(true);
        assert!(!gate.takes_calls());
    }
}
