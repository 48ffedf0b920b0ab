//! Symmetric RTP: whom a leg hears and where it sends, such that a stranger cannot take it over.
//!
//! The SDP's address is believed at once. Somebody else (NAT) is heard while nothing holds the leg and
//! holds it after three packets; as long as the socket is not connected the SDP's address may still
//! take it back. Whoever holds the leg keeps it until three seconds of silence or a re-INVITE.

use std::net::{IpAddr, SocketAddr};

/// After so long without a packet another source may be heard.
pub const SILENCE_NS: u64 = 3_000_000_000;
/// A source other than the SDP's that talks so long is connected: the SDP's will not come any more.
const SETTLED_NS: u64 = 5_000_000_000;
/// A candidate that pauses so long gives way to another.
const CANDIDATE_NS: u64 = 200_000_000;
const CANDIDATE_PACKETS: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody holds the leg.
    Open,
    Candidate {
        source: SocketAddr,
        packets: u32,
        last_ns: u64,
    },
    Held {
        source: SocketAddr,
        since_ns: u64,
        last_ns: u64,
        is_connected: bool,
    },
}

/// What the leg's socket shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Stay,
    Connect(SocketAddr),
    Disconnect,
}

/// Pure: packets' sources and instants in, acceptance and socket steps out.
#[derive(Clone, Debug)]
pub struct Latch {
    /// From the SDP.
    announced: SocketAddr,
    /// Held the leg before a re-INVITE that kept the announced address.
    former: Option<SocketAddr>,
    state: State,
}

impl Latch {
    pub fn new(announced: SocketAddr) -> Self {
        Self { announced: canonical(announced), former: None, state: State::Open }
    }

    /// Where to send now; `None` while the SDP names no place (hold by `0.0.0.0`, port 0).
    pub fn target(&self) -> Option<SocketAddr> {
        let target = match self.state {
            State::Held { source, .. } | State::Candidate { source, .. } => source,
            State::Open => self.former.unwrap_or(self.announced),
        };
        (!target.ip().is_unspecified() && target.port() != 0).then_some(target)
    }

    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Held { is_connected: true, .. })
    }

    /// True when a packet from `source` belongs to the leg.
    pub fn accept(&mut self, source: SocketAddr, now_ns: u64) -> bool {
        let source = canonical(source);
        match &mut self.state {
            State::Held { source: holder, last_ns, .. } if *holder == source => {
                *last_ns = (*last_ns).max(now_ns);
                true
            }
            State::Held { source: holder, is_connected: false, .. }
                if source == self.announced && *holder != source =>
            {
                self.hold(source, now_ns);
                true
            }
            State::Held { last_ns, .. } => {
                if now_ns.saturating_sub(*last_ns) < SILENCE_NS {
                    return false;
                }
                self.state = State::Open;
                self.consider(source, now_ns)
            }
            State::Open | State::Candidate { .. } => self.consider(source, now_ns),
        }
    }

    fn consider(&mut self, source: SocketAddr, now_ns: u64) -> bool {
        if source == self.announced || self.former == Some(source) {
            self.hold(source, now_ns);
            return true;
        }
        match &mut self.state {
            State::Candidate { source: first, packets, last_ns } if *first == source => {
                *packets += 1;
                *last_ns = now_ns;
                if *packets >= CANDIDATE_PACKETS {
                    self.hold(source, now_ns);
                }
                true
            }
            State::Candidate { last_ns, .. } if now_ns.saturating_sub(*last_ns) < CANDIDATE_NS => {
                false
            }
            _ => {
                self.state = State::Candidate { source, packets: 1, last_ns: now_ns };
                true
            }
        }
    }

    fn hold(&mut self, source: SocketAddr, now_ns: u64) {
        self.former = None;
        self.state = State::Held { source, since_ns: now_ns, last_ns: now_ns, is_connected: false };
    }

    /// Once a tick: connects a settled holder, lets a silent one go.
    pub fn step(&mut self, now_ns: u64) -> Step {
        match &mut self.state {
            State::Held { last_ns, is_connected, .. }
                if *is_connected && now_ns.saturating_sub(*last_ns) >= SILENCE_NS =>
            {
                // It stays where we send to and keeps its right until somebody else talks.
                *is_connected = false;
                Step::Disconnect
            }
            State::Held { source, since_ns, last_ns, is_connected: connected @ false } => {
                let is_settled =
                    *source == self.announced || now_ns.saturating_sub(*since_ns) >= SETTLED_NS;
                if is_settled && now_ns.saturating_sub(*last_ns) < SILENCE_NS {
                    *connected = true;
                    return Step::Connect(*source);
                }
                Step::Stay
            }
            _ => Step::Stay,
        }
    }

    /// A re-INVITE: everything may have moved.
    pub fn relearn(&mut self, announced: SocketAddr) -> Step {
        let announced = canonical(announced);
        let was_connected = self.is_connected();
        let holder = match self.state {
            State::Held { source, .. } => Some(source),
            _ => None,
        };
        self.former = if announced == self.announced { holder } else { None };
        self.announced = announced;
        self.state = State::Open;
        if was_connected { Step::Disconnect } else { Step::Stay }
    }

    /// The system refused `connect`: go on without.
    pub fn stay_unconnected(&mut self, now_ns: u64) {
        if let State::Held { is_connected, since_ns, .. } = &mut self.state {
            *is_connected = false;
            *since_ns = now_ns;
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(six) => six
            .to_ipv4_mapped()
            .map_or(address, |four| SocketAddr::new(IpAddr::V4(four), address.port())),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn address(name: char) -> SocketAddr {
        // s: the SDP's, n: behind a NAT, x: a stranger
        SocketAddr::from(([192, 0, 2, name as u8], 4_000))
    }

    /// A letter is a packet from that source 20 ms after the last event, `.` one second of silence;
    /// upper case means it must be heard, lower case that it must not.
    fn run(script: &str) -> Latch {
        let mut latch = Latch::new(address('s'));
        let mut now = 1_000 * MS;
        for letter in script.chars() {
            now += if letter == '.' { 1_000 * MS } else { 20 * MS };
            if letter != '.' {
                let heard = latch.accept(address(letter.to_ascii_lowercase()), now);
                assert_eq!(heard, letter.is_ascii_uppercase(), "{letter} in {script} at {now}");
            }
            latch.step(now);
        }
        latch
    }

    #[test]
    fn a_stranger_is_not_heard_while_the_right_source_talks() {
        let cases = [
            ("SSxxxxSS", 's', true),           // the announced source holds at once
            ("NxNxNN", 'n', false),            // a NAT's source holds after three packets
            ("NNNxxxS", 's', true),            // and gives way to the announced one
            ("NNNNN..NN..NN..NNs", 'n', true), // but not once it is settled and connected
            ("Xn..NNN", 'n', false),           // one stray packet takes nothing
            ("SS..xxS", 's', true),            // two seconds are a pause
            ("SS...NNN", 'n', false),          // three seconds are not
            ("SS....NNxN", 'n', false),
        ];
        for (script, holder, is_connected) in cases {
            let latch = run(script);
            assert_eq!(latch.target(), Some(address(holder)), "{script}");
            assert_eq!(latch.is_connected(), is_connected, "{script}");
        }
    }

    #[test]
    fn a_held_socket_is_connected_and_let_go_after_three_silent_seconds() {
        let mut latch = Latch::new(address('s'));
        assert_eq!(latch.target(), Some(address('s')));
        assert!(latch.accept(address('s'), 0));

        assert_eq!(latch.step(0), Step::Connect(address('s')));
        assert_eq!(latch.step(2_999 * MS), Step::Stay);
        assert_eq!(latch.step(3_000 * MS), Step::Disconnect);
        assert_eq!(latch.step(3_020 * MS), Step::Stay);
        assert!(latch.accept(address('s'), 3_500 * MS));
        assert_eq!(latch.step(3_500 * MS), Step::Connect(address('s')));
    }

    #[test]
    fn a_reinvite_lets_the_source_move_at_once() {
        let mut latch = run("SSSS");
        assert_eq!(latch.relearn(address('n')), Step::Disconnect);
        assert_eq!(latch.target(), Some(address('n')));
        assert!(latch.accept(address('n'), 2_000 * MS));
        assert!(!latch.accept(address('s'), 2_001 * MS));
    }

    #[test]
    fn a_reinvite_with_the_same_address_keeps_a_nat_source() {
        let mut latch = run("NNNN");
        assert_eq!(latch.relearn(address('s')), Step::Stay);
        assert_eq!(latch.target(), Some(address('n')));
        assert!(latch.accept(address('n'), 2_000 * MS));
        assert!(!latch.accept(address('x'), 2_001 * MS));
    }

    #[test]
    fn nothing_is_sent_to_a_place_that_is_none() {
        for nowhere in ["0.0.0.0:4000", "192.0.2.1:0", "[::]:4000"] {
            assert_eq!(Latch::new(nowhere.parse().unwrap()).target(), None);
        }
    }
}
