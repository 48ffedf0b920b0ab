//! Who may send, how much, and whether a new call is taken.

use std::net::IpAddr;
use std::time::Instant;

use crate::boundary::command::{Access, Network};
use crate::sip::rate::RateLimiter;

/// Admission: what the control plane pushed down, and what is open now.
#[derive(Debug)]
pub(super) struct Gate {
    access: Access,
    limiter: RateLimiter,
    rate_in_all: u32,
    is_draining: bool,
    unacknowledged: u32,
}

impl Gate {
    pub fn new(access: Access, rate_in_all: u32, now: Instant) -> Self {
        let limiter = RateLimiter::new(now);
        Self { access, limiter, rate_in_all, is_draining: false, unacknowledged: 0 }
    }

    pub fn set_access(&mut self, access: Access) {
        self.access = access;
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

    pub fn is_allowed(&self, source: IpAddr) -> bool {
        holds(&self.access.networks, source)
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

        assert!(gate.is_allowed(address("10.1.2.3")) && !gate.is_allowed(address("11.1.2.3")));
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
