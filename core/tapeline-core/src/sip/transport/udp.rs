//! UDP: one socket, read by us; rsipstack may only send through it.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use rsipstack::platform::net::UdpSocket as StackSocket;
use rsipstack::transport::SipConnection;
use rsipstack::transport::udp::UdpConnection;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;

use crate::boundary::counters::Counters;
use crate::boundary::transport::Transport;
use crate::sip::trace::Trace;
use crate::sys::undelivered::{Undelivered, is_of_earlier, keep_undelivered, read_undelivered};

/// A burst of calls must wait in the kernel while the thread is busy; it grants what it allows.
const KERNEL_BUFFER: usize = 4 << 20;
/// Longest datagram there is; rsipstack's own reader cuts at 8,192.
pub(crate) const MAX_DATAGRAM: usize = 65_535;

/// A non-blocking socket; an IPv6 one takes IPv6 only, so that both families can share a port.
pub(crate) fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    if let Err(error) = socket.set_recv_buffer_size(KERNEL_BUFFER) {
        log::debug!("receive buffer of {address} stays at its default: {error}");
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// One bound address and the way to send from it.
pub(crate) struct Listener {
    socket: Arc<Sender>,
    connection: SipConnection,
    local: SocketAddr,
    advertised: Option<IpAddr>,
}

impl Listener {
    pub async fn new(
        socket: UdpSocket,
        advertised: Option<IpAddr>,
        counters: Arc<Counters>,
        trace: Arc<Trace>,
    ) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let outlet = socket.try_clone()?;
        if let Err(error) = keep_undelivered(&outlet) {
            log::debug!("ICMP errors of {local} are not heard: {error}");
        }
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        let socket = Arc::new(Sender { socket, outlet, counters, trace });
        let connection = UdpConnection::from_socket(socket.clone(), Some(local), None)
            .await
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { socket, connection: connection.into(), local, advertised })
    }

    /// For rsipstack's transactions.
    pub fn connection(&self) -> &SipConnection {
        &self.connection
    }

    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        loop {
            match self.socket.socket.recv_from(buffer).await {
                // Told by `undelivered` too, which knows whose it is.
                Err(error) if is_of_earlier(&error) => {}
                received => return received,
            }
        }
    }

    /// The next datagram of ours that could not be delivered.
    pub async fn undelivered(&self) -> io::Result<Undelivered> {
        let Sender { socket, outlet, .. } = &*self.socket;
        socket.async_io(Interest::ERROR, || read_undelivered(outlet)).await
    }

    pub fn send(&self, bytes: &[u8], to: SocketAddr) {
        self.socket.send(bytes, to);
    }

    /// False when there is no way to it at all; a full buffer is no such thing.
    pub fn can_send(&self, bytes: &[u8], to: SocketAddr) -> bool {
        match self.socket.try_send(bytes, to) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                log::debug!("SIP datagram to {to} not sent: {error}");
                false
            }
            _ => true,
        }
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    pub fn is_ipv6(&self) -> bool {
        self.local.is_ipv6()
    }

    /// Whether a datagram to it can leave here: the same family, and not from this machine's own
    /// address to another's.
    pub fn reaches(&self, destination: SocketAddr) -> bool {
        let is_inner = self.local.ip().is_loopback() && !destination.ip().is_loopback();
        destination.is_ipv6() == self.is_ipv6() && !is_inner
    }

    /// What we call ourselves towards `peer`, with our port.
    pub fn address_for(&self, peer: SocketAddr) -> SocketAddr {
        let fitting = self.advertised.filter(|address| address.is_ipv6() == self.is_ipv6());
        let address = match fitting {
            Some(address) => address,
            None if !self.local.ip().is_unspecified() => self.local.ip(),
            None => route_source(peer).unwrap_or(self.local.ip()),
        };
        SocketAddr::new(address, self.local.port())
    }
}

/// The address that a packet to `peer` leaves from; sends nothing.
fn route_source(peer: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if peer.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
    let probe = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    probe.connect(peer).ok()?;
    Some(probe.local_addr().ok()?.ip())
}

/// Never waits: a full socket buffer drops the datagram, and SIP sends it again. So no transaction
/// can be held up by a peer (and every `await` on it is immediate, see `dialog::leg`).
struct Sender {
    socket: tokio::net::UdpSocket,
    /// The same socket, past the runtime's readiness.
    outlet: UdpSocket,
    counters: Arc<Counters>,
    trace: Arc<Trace>,
}

impl Sender {
    fn send(&self, bytes: &[u8], to: SocketAddr) {
        if let Err(error) = self.try_send(bytes, to) {
            log::debug!("SIP datagram to {to} not sent: {error}");
        }
    }

    fn try_send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        let sent = match self.outlet.send_to(bytes, to) {
            // What this returned may be about an earlier datagram; then this one has not left.
            Err(error) if is_of_earlier(&error) => self.outlet.send_to(bytes, to),
            sent => sent,
        };
        sent.map(|_| {
            Counters::add(&self.counters.sip_sent, 1);
            self.trace.sent(Transport::Udp, to, bytes);
        })
    }
}

#[async_trait::async_trait]
impl StackSocket for Sender {
    /// Parked: datagrams reach rsipstack only through `Stack::on_datagram`.
    async fn recv_from(&self, _: &mut [u8]) -> rsipstack::Result<(usize, SocketAddr)> {
        std::future::pending().await
    }

    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> rsipstack::Result<usize> {
        self.send(bytes, to);
        Ok(bytes.len())
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}
