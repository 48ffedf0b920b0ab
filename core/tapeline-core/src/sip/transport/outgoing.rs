//! Lines of ours: a socket for a datagram, a stream that lives already, or a new one.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::boundary::transport::Transport;
use crate::sip::resolve::Target;
use crate::sip::stack::Stack;
use crate::sip::transport::line::Line;
use crate::sip::transport::session::{Boxed, Established, Wire, begin};

/// What a request to `target` can leave by. Waits for a handshake at most: never in the receive loop.
pub(crate) async fn reach(stack: &Rc<Stack>, target: &Target, is_route: bool) -> Option<Rc<Line>> {
    let Target { transport, address, server_name } = target;
    if *transport == Transport::Udp {
        return stack.lines.udp_to(*address);
    }
    // Two calls at once share one new stream.
    let turn = stack.lines.turn(*transport, *address);
    let _held = turn.lock().await;
    if let Some(line) = stack.lines.stream_to(*transport, *address, server_name) {
        return Some(line);
    }
    if is_route && matches!(transport, Transport::Ws | Transport::Wss) {
        log::debug!("the {} stream of {address} is over", transport.name());
        return None;
    }
    let opened = timeout(stack.config.limits.streams.handshake, open(stack, target)).await;
    match opened {
        Ok(Ok(line)) => Some(line),
        Ok(Err(error)) => {
            log::info!("no {} stream to {address}: {error}", transport.name());
            None
        }
        Err(_) => {
            log::info!("no {} stream to {address}: it took too long", transport.name());
            None
        }
    }
}

async fn open(stack: &Rc<Stack>, target: &Target) -> io::Result<Rc<Line>> {
    let Target { transport, address: peer, server_name } = target;
    let limits = stack.config.limits.streams;
    let full = || io::Error::other("as many streams as may be are open");
    let seat = stack.lines.seat(peer.ip(), &limits).ok_or_else(full)?;
    let socket = connected(stack, *transport, *peer).await?;
    socket.set_nodelay(true)?;
    let here = here(stack, *transport, *peer, socket.local_addr()?);
    let wire: Boxed = match transport {
        Transport::Tcp => Box::new(socket),
        Transport::Tls => Box::new(secured(stack, socket, *peer, server_name).await?),
        // Browsers call; nobody calls them.
        Transport::Udp | Transport::Ws | Transport::Wss => {
            return Err(io::ErrorKind::Unsupported.into());
        }
    };
    let wire = Wire::Bytes(wire);
    let (transport, peer, server_name) = (*transport, *peer, server_name.clone());
    let established = Established { wire, transport, peer, here, server_name };
    begin(stack, seat, established).await.map_err(|error| io::Error::other(error.to_string()))
}

/// The peer shows that it is who we call: by its name, or by its address where that is all we know.
async fn secured(
    stack: &Stack,
    socket: TcpStream,
    peer: SocketAddr,
    server_name: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let tls = stack.tls.clone();
    // The authorities of the system are a large file.
    let config =
        tokio::task::spawn_blocking(move || tls.client()).await.map_err(io::Error::other)??;
    let name = match server_name.strip_suffix('.').unwrap_or(server_name) {
        "" => ServerName::IpAddress(peer.ip().into()),
        name => ServerName::try_from(name.to_owned()).map_err(io::Error::other)?,
    };
    TlsConnector::from(config).connect(name, socket).await
}

/// Leaves from the address that we listen at, which peers may know us by.
async fn connected(stack: &Stack, transport: Transport, peer: SocketAddr) -> io::Result<TcpStream> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    let door = stack.lines.door_for(transport, peer).map(|door| door.local.ip());
    let udp = || stack.lines.udp_to(peer).map(|line| line.bound().ip());
    if let Some(ours) = door.or_else(udp).filter(|ip| !ip.is_unspecified()) {
        socket.bind(SocketAddr::new(ours, 0))?;
    }
    socket.connect(peer).await
}

/// Where the peer can call us: at a door of the same transport, else over this very connection.
fn here(stack: &Stack, transport: Transport, peer: SocketAddr, local: SocketAddr) -> SocketAddr {
    let advertised = stack.config.advertised.filter(|ip| ip.is_ipv6() == local.is_ipv6());
    match stack.lines.door_for(transport, peer) {
        Some(door) => SocketAddr::new(advertised.unwrap_or(local.ip()), door.local.port()),
        None => local,
    }
}
