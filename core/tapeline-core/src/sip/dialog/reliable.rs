//! A provisional response that is repeated until its PRACK (RFC 3262 §3). Pure but for the headers it
//! keeps.

use std::time::Duration;

use rsipstack::sip::Header;
use tokio::time::Instant;

/// RFC 3262 §3: given up after 64*T1.
const LIFE: u32 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Repeat,
    GiveUp,
}

/// One that waits for its PRACK.
#[derive(Debug)]
pub(super) struct Reliable {
    rseq: u32,
    /// CSeq of the INVITE.
    sequence: u32,
    pub status: u16,
    pub headers: Vec<Header>,
    pub body: Option<String>,
    interval: Duration,
    /// None: a final response has left, nothing more is repeated.
    repeat_at: Option<Instant>,
    expires_at: Instant,
}

impl Reliable {
    /// Its first copy leaves now; `headers` are those without `Require` and `RSeq`.
    pub fn new(
        (rseq, sequence): (u32, u32),
        status: u16,
        mut headers: Vec<Header>,
        body: Option<String>,
        (t1, now): (Duration, Instant),
    ) -> Self {
        headers.push(Header::Require("100rel".into()));
        headers.push(Header::RSeq(rseq.to_string().into()));
        Self {
            rseq,
            sequence,
            status,
            headers,
            body,
            interval: t1,
            repeat_at: Some(now + t1),
            expires_at: now + t1 * LIFE,
        }
    }

    /// Whether the `RAck` of a PRACK means it.
    pub fn is_meant_by(&self, rack: &str) -> bool {
        let mut words = rack.split_ascii_whitespace();
        let mut number = || words.next().and_then(|word| word.parse::<u32>().ok());
        let numbers = (number(), number());
        numbers == (Some(self.rseq), Some(self.sequence))
            && words.next().is_some_and(|method| method == "INVITE")
            && words.next().is_none()
    }

    /// RFC 3262 §3: after a final response its PRACK may still come.
    pub fn stop(&mut self) {
        self.repeat_at = None;
    }

    pub fn due_at(&self) -> Option<Instant> {
        self.repeat_at.map(|at| at.min(self.expires_at))
    }

    pub fn on_clock(&mut self, now: Instant) -> Option<Due> {
        let at = self.repeat_at?;
        if self.expires_at <= now {
            self.repeat_at = None;
            return Some(Due::GiveUp);
        }
        if now < at {
            return None;
        }
        self.interval *= 2;
        self.repeat_at = Some(now + self.interval);
        Some(Due::Repeat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: Duration = Duration::from_millis(500);

    #[test]
    fn it_is_repeated_at_doubling_distances_for_32_seconds() {
        let begun = Instant::now();
        let mut reliable = Reliable::new((7, 1), 183, vec![], None, (T1, begun));
        let mut done = Vec::new();
        while let Some(at) = reliable.due_at() {
            done.push(((at - begun).as_millis(), reliable.on_clock(at).unwrap()));
        }
        let repeated = [500, 1_500, 3_500, 7_500, 15_500, 31_500].map(|at| (at, Due::Repeat));
        assert_eq!(done[..6], repeated);
        assert_eq!(done[6..], [(32_000, Due::GiveUp)]);
    }

    #[test]
    fn only_its_own_rack_means_it() {
        let reliable = Reliable::new((7, 3), 183, vec![], None, (T1, Instant::now()));
        assert!(reliable.is_meant_by("7 3 INVITE") && reliable.is_meant_by(" 7  3 INVITE "));
        for rack in
            ["", "8 3 INVITE", "7 4 INVITE", "7 3 UPDATE", "7 3 INVITE x", "7 3", "x 3 INVITE"]
        {
            assert!(!reliable.is_meant_by(rack), "{rack}");
        }
    }

    #[test]
    fn after_a_final_response_nothing_is_repeated() {
        let mut reliable = Reliable::new((7, 3), 180, vec![], None, (T1, Instant::now()));
        reliable.stop();
        assert_eq!(reliable.due_at(), None);
        assert!(reliable.is_meant_by("7 3 INVITE"));
    }
}
