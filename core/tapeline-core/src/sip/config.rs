//! What the SIP thread is started with.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::boundary::command::Access;
use crate::boundary::transport::Transport;
use crate::media::ports::PortPool;
use crate::sdp::{Preference, Terms};
use crate::sip::transport::TlsFiles;

/// Given once to [`start`](crate::sip::start); [`Access`] can be replaced later by a command.
#[derive(Debug)]
pub struct SipConfig {
    /// Where to listen for UDP; port 0 lets the kernel choose.
    pub udp: Vec<SocketAddr>,
    /// Where streams may arrive, and by which transport.
    pub streams: Vec<(Transport, SocketAddr)>,
    /// For TLS and WSS, both ways.
    pub tls: TlsFiles,
    /// Name servers; empty: the system's.
    pub dns: Vec<SocketAddr>,
    /// Our address in Contact, Via and SDP. `None`: the address that the way back to the peer
    /// leaves from.
    pub advertised: Option<IpAddr>,
    /// Where RTP sockets come from.
    pub ports: PortPool,
    /// The codecs to agree on.
    pub codecs: Preference,
    /// `tapeline/VERSION`, in Server and User-Agent.
    pub user_agent: String,
    /// Of our digest challenges; what the hashes of credentials are made with.
    pub realm: String,
    pub limits: Limits,
    pub access: Access,
    pub srtp: SrtpRule,
}

/// Whether audio is protected (RFC 3711), and how its keys may travel (RFC 4568).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SrtpRule {
    pub policy: SrtpPolicy,
    /// Keys may stand in SIP messages that anybody on the way can read.
    pub sdes_over_plain_sip: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SrtpPolicy {
    /// Plain RTP alone; who insists on SRTP gets 488.
    Never,
    /// SRTP for whoever offers it; our own offers are plain.
    #[default]
    Accept,
    /// SRTP alone, in our own offers too.
    Require,
}

impl SrtpPolicy {
    /// `never`, `accept`, `require`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "never" => Some(Self::Never),
            "accept" => Some(Self::Accept),
            "require" => Some(Self::Require),
            _ => None,
        }
    }
}

impl SrtpRule {
    /// What is taken of a peer; `is_secret`: nobody but the peer reads the signalling.
    pub(crate) fn terms(self, is_secret: bool) -> Terms {
        match (self.policy, is_secret || self.sdes_over_plain_sip) {
            (SrtpPolicy::Never, _) | (SrtpPolicy::Accept, false) => Terms::Plain,
            (SrtpPolicy::Accept, true) => Terms::Either,
            (SrtpPolicy::Require, true) => Terms::Protected,
            (SrtpPolicy::Require, false) => Terms::Nothing,
        }
    }
}

/// Bounds that keep one peer from harming the rest.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls at once, ringing ones included; beyond it 503.
    pub dialogs: usize,
    /// New requests per second of all sources together that the rate concerns; 0: unlimited.
    pub rate_in_all: u32,
    /// A call that nobody answered is ended with 480 after it.
    pub ring_max: Duration,
    /// Longest time to find the address of a host that a call of ours names.
    pub lookup: Duration,
    /// RFC 3261 §17.1.1.1, the estimate of a round trip that all its timers are made of.
    pub t1: Duration,
    /// Seconds after which a session that nobody refreshes is over (RFC 4028), and the least that is
    /// agreed to.
    pub session_expires: u32,
    pub session_min: u32,
    /// How long [`stop`](crate::sip::SipHandle::stop) waits for answers to its BYEs.
    pub stop_grace: Duration,
    /// Between two questions whether the thread still hears; zero: it is never asked.
    pub probe: Duration,
    pub streams: StreamLimits,
}

/// Of TCP, TLS, WS and WSS; past any of them the stream is closed.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// Streams at once, ours included, and those of one source.
    pub in_all: usize,
    pub per_source: usize,
    /// TLS and the upgrade to a WebSocket together; also the opening of one of ours.
    pub handshake: Duration,
    /// From the first byte of a message to its last.
    pub message: Duration,
    /// Without a byte from the peer.
    pub idle: Duration,
    /// One write that the peer does not take.
    pub write: Duration,
    /// Bytes that wait to be written.
    pub queue: usize,
    /// How long dialogs wait for the peer of a dead stream to come back by another.
    pub grace: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            in_all: 4_096,
            per_source: 64,
            handshake: Duration::from_secs(5),
            message: Duration::from_secs(10),
            idle: Duration::from_secs(300),
            write: Duration::from_secs(10),
            queue: 256 * 1024,
            grace: Duration::from_secs(30),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            dialogs: 4_096,
            rate_in_all: 2_000,
            ring_max: Duration::from_secs(180),
            lookup: Duration::from_secs(5),
            t1: Duration::from_millis(500),
            session_expires: 1_800,
            session_min: 90,
            stop_grace: Duration::from_secs(2),
            probe: Duration::from_secs(1),
            streams: StreamLimits::default(),
        }
    }
}

impl Limits {
    /// rsipstack gives up waiting for an ACK after 64*T1; should it not, we do.
    pub(super) fn ack_limit(&self) -> Duration {
        self.t1 * 64 + Duration::from_secs(5)
    }
}
