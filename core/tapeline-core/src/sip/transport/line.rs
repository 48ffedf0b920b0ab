//! What a message travels on, the same for every transport.

use std::net::SocketAddr;
use std::rc::Rc;

use rsipstack::transport::SipConnection;

use crate::boundary::transport::Transport;
use crate::sip::transport::stream::Stream;
use crate::sip::transport::udp::Listener;

/// A message came by it, and the way back leads over it. Sends never fail: what a dead line swallows
/// is its transaction's time-out.
pub(crate) enum Line {
    Udp(Rc<Listener>),
    Stream(Box<Stream>),
}

impl Line {
    /// For rsipstack's transactions.
    pub fn connection(&self) -> &SipConnection {
        match self {
            Self::Udp(listener) => listener.connection(),
            Self::Stream(stream) => stream.connection(),
        }
    }

    pub fn transport(&self) -> Transport {
        match self {
            Self::Udp(_) => Transport::Udp,
            Self::Stream(stream) => stream.transport(),
        }
    }

    /// `to` matters to UDP alone: a stream has one other end.
    pub fn send(&self, bytes: &[u8], to: SocketAddr) {
        match self {
            Self::Udp(listener) => listener.send(bytes, to),
            Self::Stream(stream) => stream.send(bytes),
        }
    }

    /// Sends; false when there is no way to it at all, a full buffer is no such thing.
    pub fn can_send(&self, bytes: &[u8], to: SocketAddr) -> bool {
        match self {
            Self::Udp(listener) => listener.can_send(bytes, to),
            Self::Stream(stream) => {
                stream.send(bytes);
                !stream.is_over()
            }
        }
    }

    pub fn is_ipv6(&self) -> bool {
        match self {
            Self::Udp(listener) => listener.is_ipv6(),
            Self::Stream(stream) => stream.peer().is_ipv6(),
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
            Self::Stream(stream) => stream.peer() == destination,
        }
    }

    /// Nothing comes or goes by it any more; a UDP socket is never over.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Udp(_) => false,
            Self::Stream(stream) => stream.is_over(),
        }
    }

    /// What we call ourselves towards `peer`, with the port it can call.
    pub fn address_for(&self, peer: SocketAddr) -> SocketAddr {
        match self {
            Self::Udp(listener) => listener.address_for(peer),
            Self::Stream(stream) => stream.here(),
        }
    }

    /// What its socket is bound to, which may be every address.
    pub fn bound(&self) -> SocketAddr {
        match self {
            Self::Udp(listener) => listener.local(),
            Self::Stream(stream) => stream.here(),
        }
    }

    /// Our Contact towards `peer`; with sips, TLS goes without saying (RFC 5630 §3.1.3).
    pub fn contact_for(&self, peer: SocketAddr, is_sips: bool) -> String {
        let here = self.address_for(peer);
        match (is_sips, self.transport()) {
            (true, Transport::Tls) => format!("<sips:tapeline@{here}>"),
            (true, Transport::Wss) => format!("<sips:tapeline@{here};transport=ws>"),
            (_, transport) => format!("<sip:tapeline@{here}{}>", transport.uri_parameter()),
        }
    }
}
