//! What a message travels on, the same for every transport.

use std::net::SocketAddr;
use std::rc::Rc;

use rsipstack::transport::SipConnection;

use crate::boundary::transport::Transport;
use crate::sip::transport::udp::Listener;

/// A message came by it, and the way back leads over it. Sends never fail: what a dead line swallows
/// is its transaction's time-out.
pub(crate) enum Line {
    Udp(Rc<Listener>),
}

impl Line {
    /// For rsipstack's transactions.
    pub fn connection(&self) -> &SipConnection {
        match self {
            Self::Udp(listener) => listener.connection(),
        }
    }

    pub fn transport(&self) -> Transport {
        match self {
            Self::Udp(_) => Transport::Udp,
        }
    }

    /// `to` matters to UDP alone: a stream has one other end.
    pub fn send(&self, bytes: &[u8], to: SocketAddr) {
        match self {
            Self::Udp(listener) => listener.send(bytes, to),
        }
    }

    /// Sends; false when there is no way to it at all, a full buffer is no such thing.
    pub fn can_send(&self, bytes: &[u8], to: SocketAddr) -> bool {
        match self {
            Self::Udp(listener) => listener.can_send(bytes, to),
        }
    }

    pub fn is_ipv6(&self) -> bool {
        match self {
            Self::Udp(listener) => listener.is_ipv6(),
        }
    }

    /// Whether nobody but the peer reads what is sent and received here.
    pub fn is_secret(&self) -> bool {
        self.transport().is_secret()
    }

    /// Whether a message to it can leave here.
    pub fn reaches(&self, destination: SocketAddr) -> bool {
        match self {
            Self::Udp(listener) => listener.reaches(destination),
        }
    }

    /// What we call ourselves towards `peer`, with the port it can call.
    pub fn address_for(&self, peer: SocketAddr) -> SocketAddr {
        match self {
            Self::Udp(listener) => listener.address_for(peer),
        }
    }

    /// Our Contact towards `peer`.
    pub fn contact_for(&self, peer: SocketAddr) -> String {
        let (here, parameter) = (self.address_for(peer), self.transport().uri_parameter());
        format!("<sip:tapeline@{here}{parameter}>")
    }
}
