//! Streams that arrive: the door they come in by, and what they must do before they are heard.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::boundary::counters::Counters;
use crate::boundary::transport::Transport;
use crate::sip::stack::{Stack, spawn};
use crate::sip::transport::lines::Door;
use crate::sip::transport::session::{Boxed, Established, Wire, begin};
use crate::sip::transport::websocket::upgrade;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
/// After a refusal of the kernel, most often for want of descriptors (D8): trying again at once would
/// cost a core and gain nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// A non-blocking listener; an IPv6 one takes IPv6 only, so that both families can share a port.
pub(crate) fn bind_stream(address: SocketAddr) -> io::Result<StdListener> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restarted node takes its port again while old connections time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts for ever.
pub(crate) async fn keep_open(stack: Rc<Stack>, door: Door, listener: Rc<TcpListener>) {
    loop {
        match listener.accept().await {
            Ok((socket, source)) => admit(&stack, door, socket, source),
            Err(error) => {
                log::debug!("accepting SIP at {} failed: {error}", door.local);
                sleep(PAUSE).await;
            }
        }
    }
}

/// Closes the connection at once when there is no place for it.
fn admit(stack: &Rc<Stack>, door: Door, socket: TcpStream, source: SocketAddr) {
    let limits = stack.config.limits.streams;
    let Some(seat) = stack.lines.seat(source.ip(), &limits) else {
        return Counters::add(&stack.counters.sip_streams_refused, 1);
    };
    let stack = stack.clone();
    spawn(async move {
        let begun = match timeout(limits.handshake, establish(&stack, door, socket, source)).await {
            Ok(Ok(established)) => begin(&stack, seat, established).await.err().map(text),
            Ok(Err(error)) => Some(text(error)),
            Err(_) => Some("it took too long".to_owned()),
        };
        if let Some(why) = begun {
            Counters::add(&stack.counters.sip_streams_refused, 1);
            log::debug!("no {} stream with {source}: {why}", door.transport.name());
        }
    });
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn establish(
    stack: &Stack,
    door: Door,
    socket: TcpStream,
    peer: SocketAddr,
) -> io::Result<Established> {
    socket.set_nodelay(true)?;
    let ours = socket.local_addr()?.ip();
    let advertised = stack.config.advertised.filter(|it| it.is_ipv6() == ours.is_ipv6());
    let here = SocketAddr::new(advertised.unwrap_or(ours), door.local.port());
    let transport = door.transport;
    let wire: Boxed = match stack.tls.server(transport).filter(|_| transport.is_secret()) {
        Some(config) => Box::new(TlsAcceptor::from(config).accept(socket).await?),
        None => Box::new(socket),
    };
    let wire = match transport {
        Transport::Ws | Transport::Wss => {
            Wire::Frames(Box::new(upgrade(wire, stack.config.limits.streams.queue).await?))
        }
        Transport::Udp | Transport::Tcp | Transport::Tls => Wire::Bytes(wire),
    };
    Ok(Established { wire, transport, peer, here, server_name: String::new() })
}
