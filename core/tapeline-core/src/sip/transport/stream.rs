//! One TCP, TLS or WebSocket connection as a [`Line`](super::Line): who is at its other end, and what
//! it writes. Reading is [`session`](super::session)'s.

use std::net::SocketAddr;
use std::rc::Rc;

use rsipstack::sip::Transport as ViaTransport;
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use tokio::sync::mpsc;

use crate::boundary::transport::Transport;
use crate::sip::stack::spawn;
use crate::sip::transport::outbox::Outbox;

/// Never waits: what cannot be written at once waits in its outbox.
pub(crate) struct Stream {
    transport: Transport,
    peer: SocketAddr,
    /// Where we can be called.
    here: SocketAddr,
    /// Whose certificate was checked when we opened it; empty when none was.
    server_name: String,
    connection: SipConnection,
    outbox: Rc<Outbox>,
}

impl Stream {
    pub async fn new(
        transport: Transport,
        peer: SocketAddr,
        here: SocketAddr,
        server_name: String,
        outbox: Rc<Outbox>,
    ) -> rsipstack::Result<Self> {
        // Unbounded, or a send would wait inside the receive loop (D1); the outbox bounds it.
        let (outgoing, mut messages) = mpsc::unbounded_channel();
        let (_, nothing) = mpsc::unbounded_channel();
        let address = SipAddr { r#type: Some(via_transport(transport)), addr: peer.into() };
        let connection =
            ChannelConnection::create_connection(nothing, outgoing, address, None).await?;
        let sink = outbox.clone();
        // Ends when the last transaction that holds the connection is gone; until then it swallows
        // what a dead stream is sent (D2).
        spawn(async move {
            while let Some(event) = messages.recv().await {
                if let TransportEvent::Incoming(message, _, _) = event {
                    sink.push(message.to_bytes());
                }
            }
        });
        let connection = SipConnection::Channel(connection);
        Ok(Self { transport, peer, here, server_name, connection, outbox })
    }

    /// For rsipstack's transactions.
    pub fn connection(&self) -> &SipConnection {
        &self.connection
    }

    pub fn transport(&self) -> Transport {
        self.transport
    }

    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub fn here(&self) -> SocketAddr {
        self.here
    }

    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    pub fn is_over(&self) -> bool {
        self.outbox.end.is_cancelled()
    }

    pub fn send(&self, bytes: &[u8]) {
        self.outbox.push(bytes.to_vec());
    }
}

fn via_transport(transport: Transport) -> ViaTransport {
    match transport {
        Transport::Udp => ViaTransport::Udp,
        Transport::Tcp => ViaTransport::Tcp,
        Transport::Tls => ViaTransport::Tls,
        Transport::Ws => ViaTransport::Ws,
        Transport::Wss => ViaTransport::Wss,
    }
}
