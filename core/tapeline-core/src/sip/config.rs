//! What the SIP thread is started with.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::boundary::command::Access;
use crate::media::ports::PortPool;

/// Given once to [`start`](crate::sip::start); [`Access`] can be replaced later by a command.
#[derive(Debug)]
pub struct SipConfig {
    /// Where to listen for UDP; port 0 lets the kernel choose.
    pub udp: Vec<SocketAddr>,
    /// Our address in Contact, Via and SDP. `None`: the address that the way back to the peer
    /// leaves from.
    pub advertised: Option<IpAddr>,
    /// Where RTP sockets come from.
    pub ports: PortPool,
    /// `tapeline/VERSION`, in Server and User-Agent.
    pub user_agent: String,
    pub limits: Limits,
    pub access: Access,
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
    /// How long [`stop`](crate::sip::SipHandle::stop) waits for answers to its BYEs.
    pub stop_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            dialogs: 4_096,
            rate_in_all: 2_000,
            ring_max: Duration::from_secs(180),
            stop_grace: Duration::from_secs(2),
        }
    }
}
