//! Whether the SIP thread hears and answers: asked once a second from outside of it, by an OPTIONS that
//! takes the way of every request (socket, admission, transaction, answer).
//!
//! | three answers are missing, and | then |
//! |---|---|
//! | the thread takes notice | it makes its endpoint and its loops anew ([`Stack::renew`]); dialogs stay, and audio never depended on it |
//! | it does not | something blocks it: that is told, for nothing can be done from outside |

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::boundary::counters::Counters;
use crate::boundary::event::Event;
use crate::boundary::sink::EventSink;

/// Three answers that are missing in a row make the thread deaf; twelve, while it sends others: then it
/// may only have more to do than it can, and a renewal would cost what it is doing.
const DEAF: u32 = 12;
const IDLE_MISS: u32 = 4;
const BUSY_MISS: u32 = 1;

/// Asks the thread to renew itself, and how often it did.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    pub is_due: Notify,
    pub taken: AtomicU64,
}

/// A socket of ours, and the one of the thread that it asks.
pub(super) struct Probe {
    socket: UdpSocket,
    here: SocketAddr,
    sent: u64,
}

impl Probe {
    /// To what is bound at `target`, from the same address.
    pub fn new(target: SocketAddr) -> io::Result<Self> {
        let ip = match target.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            bound => bound,
        };
        let socket = UdpSocket::bind(SocketAddr::new(ip, 0))?;
        socket.connect(SocketAddr::new(ip, target.port()))?;
        let here = socket.local_addr()?;
        Ok(Self { socket, here, sent: 0 })
    }

    /// Where it asks from.
    pub fn source(&self) -> SocketAddr {
        self.here
    }

    fn ask(&mut self) -> io::Result<()> {
        self.sent += 1;
        let (here, number) = (self.here, self.sent);
        let text = format!(
            "OPTIONS sip:probe@{here} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-p{number}\r\n\
             Max-Forwards: 1\r\nFrom: <sip:probe@{here}>;tag=p\r\nTo: <sip:probe@{here}>\r\n\
             Call-ID: probe-{here}\r\nCSeq: {number} OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        self.socket.send(text.as_bytes()).map(|_| ())
    }

    /// Whatever the answer says, as long as it is to the last question.
    fn is_answered(&self, until: Instant) -> bool {
        let expected = format!("CSeq: {} OPTIONS\r\n", self.sent);
        let mut buffer = [0; 2_048];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.socket.set_read_timeout(Some(left)).is_err() {
                return false;
            }
            let Ok(length) = self.socket.recv(&mut buffer) else { return false };
            let answer = buffer.get(..length).unwrap_or_default();
            let is_it = answer.starts_with(b"SIP/2.0 ")
                && answer.windows(expected.len()).any(|part| part == expected.as_bytes());
            if is_it {
                return true;
            }
        }
    }
}

/// What a missing answer calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    Renew,
}

/// What the answers that are missing in a row amount to.
#[derive(Debug, Default)]
struct Patience(u32);

impl Patience {
    /// `is_busy`: it sent something else meanwhile.
    fn on_probe(&mut self, is_answered: bool, is_busy: bool) -> Verdict {
        let miss = if is_busy { BUSY_MISS } else { IDLE_MISS };
        self.0 = if is_answered { 0 } else { self.0 + miss };
        if self.0 < DEAF {
            return Verdict::Fine;
        }
        self.0 = 0;
        Verdict::Renew
    }
}

/// Starts the thread `tl-sip-probe`, which ends with `stop`.
pub(super) fn start(
    mut probes: Vec<Probe>,
    every: Duration,
    renewal: Arc<Renewal>,
    events: EventSink,
    counters: Arc<Counters>,
    stop: CancellationToken,
) -> io::Result<()> {
    let work = move || {
        let mut patience = Patience::default();
        let mut is_told = false;
        while !stop.is_cancelled() {
            let until = Instant::now() + every;
            let sent = counters.sip_sent.load(Ordering::Relaxed);
            // Of several sockets the first that is deaf is enough.
            let is_answered =
                probes.iter_mut().all(|probe| probe.ask().is_ok() && probe.is_answered(until));
            let is_busy = counters.sip_sent.load(Ordering::Relaxed) > sent;
            if patience.on_probe(is_answered, is_busy) == Verdict::Fine {
                if is_answered {
                    is_told = false;
                    thread::sleep(until.saturating_duration_since(Instant::now()));
                }
                continue;
            }
            if stop.is_cancelled() {
                return;
            }
            let before = renewal.taken.load(Ordering::Acquire);
            renewal.is_due.notify_one();
            thread::sleep(every);
            if renewal.taken.load(Ordering::Acquire) == before && !is_told && !stop.is_cancelled() {
                is_told = true;
                let detail = "the SIP thread is blocked: it neither hears nor answers".to_owned();
                log::error!("{detail}");
                events.send(Event::CoreTrouble { detail });
            }
        }
    };
    thread::Builder::new().name("tl-sip-probe".into()).spawn(work).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_answers_in_a_row_must_be_missing() {
        let mut patience = Patience::default();
        let answers = [true, false, false, true, false, false, false, false, false, false, true];
        let verdicts = answers.map(|is_answered| patience.on_probe(is_answered, false));
        let renewals: Vec<usize> =
            (0..answers.len()).filter(|&at| verdicts[at] == Verdict::Renew).collect();
        assert_eq!(renewals, [6, 9]);
    }

    #[test]
    fn a_thread_that_sends_is_given_more_time() {
        let mut patience = Patience::default();
        let until = (1..).find(|_| patience.on_probe(false, true) == Verdict::Renew);
        assert_eq!(until, Some(12));
        assert_eq!(patience.on_probe(false, true), Verdict::Fine);
    }

    #[test]
    fn only_the_answer_to_the_last_question_counts() {
        let node = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut probe = Probe::new(node.local_addr().unwrap()).unwrap();
        let soon = || Instant::now() + Duration::from_millis(50);
        probe.ask().unwrap();
        assert!(!probe.is_answered(soon()));
        let answer = |number: u32| format!("SIP/2.0 503 X\r\nCSeq: {number} OPTIONS\r\n\r\n");
        probe.ask().unwrap();
        node.send_to(answer(1).as_bytes(), probe.source()).unwrap();
        assert!(!probe.is_answered(soon()));
        node.send_to(answer(2).as_bytes(), probe.source()).unwrap();
        assert!(probe.is_answered(soon()));
    }
}
