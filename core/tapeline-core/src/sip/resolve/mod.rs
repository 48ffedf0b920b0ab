//! From a destination to the targets that may take its requests, in the order to try them (RFC 3263).

use std::net::SocketAddr;

use tokio::net::lookup_host;

use crate::boundary::destination::{Destination, DialHost};
use crate::boundary::transport::Transport;

/// One place to send a request to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub transport: Transport,
    pub address: SocketAddr,
    /// Whom its certificate must name (RFC 5922); empty where nothing is known but an address.
    pub server_name: String,
}

/// None when there is none. Off the packet path: only a task of its own may await it.
pub(crate) async fn targets(destination: &Destination) -> Vec<Target> {
    let transport = destination.plain_transport();
    let port = destination.port.unwrap_or(transport.default_port());
    match &destination.host {
        DialHost::Address(ip) => {
            let address = SocketAddr::new(*ip, port);
            vec![Target { transport, address, server_name: String::new() }]
        }
        DialHost::Name(name) => match lookup_host((name.as_str(), port)).await {
            Ok(found) => found
                .map(|address| Target { transport, address, server_name: name.clone() })
                .collect(),
            Err(error) => {
                log::debug!("{name} has no address: {error}");
                Vec::new()
            }
        },
    }
}
