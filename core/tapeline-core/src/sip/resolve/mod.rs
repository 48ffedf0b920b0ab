//! From a destination to the targets that may take its requests, in the order to try them (RFC 3263).
//!
//! ```text
//! address ─────────────────────────────────────────────────▶ one target
//! name, port ──────────────────────────────▶ A, AAAA ──────▶ a target each
//! name, transport ──────────────▶ SRV ─────▶ A, AAAA
//! name ───────────────▶ NAPTR ──▶ SRV ─────▶ A, AAAA          whatever has no records is passed over
//! ```
//!
//! Only the task of a call or a trunk awaits it, never the receive loop. Answers are kept as long as
//! their name server says.

mod order;

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::timeout;

use crate::boundary::destination::{Destination, DialHost};
use crate::boundary::transport::Transport;
use crate::sip::resolve::order::{Service, in_order, services};

/// Targets of one call; further ones are not tried.
const MAX_TARGETS: usize = 16;
/// Names that wait for their answers at a name server.
const MAX_ACTIVE: usize = 256;

/// One place to send a request to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub transport: Transport,
    pub address: SocketAddr,
    /// Whom its certificate must name: what was asked for, not what a name server made of it
    /// (RFC 5922 §7.2). Empty where nothing is known but an address.
    pub server_name: String,
}

/// Asks name servers, and remembers.
pub(crate) struct Resolver {
    dns: Option<TokioResolver>,
    /// For one search.
    limit: Duration,
}

impl Resolver {
    /// Inside the runtime that it will be used on. Without `name_servers` the system's are asked.
    pub fn new(name_servers: &[SocketAddr], limit: Duration) -> Self {
        let dns = made(name_servers, limit)
            .inspect_err(|error| log::error!("no host names can be looked up: {error}"));
        Self { dns: dns.ok(), limit }
    }

    /// None when there is none, or none within the limit. `draw` gives random numbers.
    pub async fn targets(
        &self,
        destination: &Destination,
        draw: impl FnMut() -> u64,
    ) -> Vec<Target> {
        let plain = destination.plain_transport();
        let port = destination.port.unwrap_or(plain.default_port());
        let name = match &destination.host {
            DialHost::Address(ip) => {
                let address = SocketAddr::new(*ip, port);
                return vec![Target { transport: plain, address, server_name: String::new() }];
            }
            DialHost::Name(name) => name,
        };
        if destination.port.is_none() {
            // Half of the time: a network without SRV may still know the host.
            let search = self.by_service(name, destination, draw);
            let found = timeout(self.limit / 2, search).await.unwrap_or_default();
            if !found.is_empty() {
                return found;
            }
        }
        let search = self.addresses(name, plain, port, name);
        timeout(self.limit / 2, search).await.unwrap_or_default()
    }

    /// RFC 3263 §4.1 and §4.2.
    async fn by_service(
        &self,
        name: &str,
        destination: &Destination,
        mut draw: impl FnMut() -> u64,
    ) -> Vec<Target> {
        for Service { transport, name: service } in self.services(name, destination).await {
            let mut records: Vec<_> = self
                .ask(&service, RecordType::SRV)
                .await
                .into_iter()
                .filter_map(|data| if let RData::SRV(srv) = data { Some(srv) } else { None })
                .collect();
            in_order(&mut records, &mut draw);
            let mut targets = Vec::new();
            for record in records.iter().filter(|record| !record.target.is_root()) {
                let host = record.target.to_ascii();
                targets.extend(self.addresses(&host, transport, record.port, name).await);
                if targets.len() >= MAX_TARGETS {
                    targets.truncate(MAX_TARGETS);
                    break;
                }
            }
            if !targets.is_empty() {
                return targets;
            }
        }
        Vec::new()
    }

    /// Names to ask for SRV, the best first.
    async fn services(&self, name: &str, destination: &Destination) -> Vec<Service> {
        let bare = name.strip_suffix('.').unwrap_or(name);
        let service = |transport| Service::of(transport, bare);
        if let Some(transport) = destination.transport {
            return vec![service(transport)];
        }
        let records = self.ask(name, RecordType::NAPTR).await.into_iter();
        let pointers = records
            .filter_map(|data| if let RData::NAPTR(naptr) = data { Some(naptr) } else { None });
        let found = services(pointers.collect(), destination.is_sips);
        if !found.is_empty() {
            return found;
        }
        match destination.is_sips {
            true => vec![service(Transport::Tls)],
            false => [Transport::Udp, Transport::Tcp, Transport::Tls].map(service).to_vec(),
        }
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Vec<RData> {
        let Some(dns) = &self.dns else { return Vec::new() };
        let name = if name.ends_with('.') { name.to_owned() } else { format!("{name}.") };
        match dns.lookup(name.as_str(), kind).await {
            Ok(found) => found.answers().iter().map(|record| record.data.clone()).collect(),
            Err(error) => {
                log::debug!("{name} has no {kind}: {error}");
                Vec::new()
            }
        }
    }

    async fn addresses(
        &self,
        host: &str,
        transport: Transport,
        port: u16,
        server_name: &str,
    ) -> Vec<Target> {
        let Some(dns) = &self.dns else { return Vec::new() };
        match dns.lookup_ip(host).await {
            Ok(found) => found
                .iter()
                .take(MAX_TARGETS)
                .map(|ip| Target {
                    transport,
                    address: SocketAddr::new(ip, port),
                    server_name: server_name.to_owned(),
                })
                .collect(),
            Err(error) => {
                log::debug!("{host} has no address: {error}");
                Vec::new()
            }
        }
    }
}

fn made(name_servers: &[SocketAddr], limit: Duration) -> Result<TokioResolver, String> {
    let provider = TokioRuntimeProvider::default();
    let mut builder = match name_servers {
        // A machine without resolv.conf still has its table of hosts.
        [] => TokioResolver::builder_tokio().unwrap_or_else(|error| {
            log::warn!("the system names no name servers: {error}");
            TokioResolver::builder_with_config(ResolverConfig::default(), provider)
        }),
        some => {
            let servers = some.iter().map(|&address| name_server(address)).collect();
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, provider)
        }
    };
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = limit / 4;
    options.attempts = 1;
    options.max_active_requests = MAX_ACTIVE;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build().map_err(|error| error.to_string())
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}
