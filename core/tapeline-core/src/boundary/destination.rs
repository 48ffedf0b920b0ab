//! Where a request of ours goes: read from a `sip:` or `sips:` URI, or from a route.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::boundary::transport::Transport;

const MAX_URI: usize = 1_024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DialHost {
    Address(IpAddr),
    Name(String),
}

/// What RFC 3263 finds targets from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub host: DialHost,
    /// None: by SRV, or the transport's own.
    pub port: Option<u16>,
    /// None: by NAPTR, or what the scheme says.
    pub transport: Option<Transport>,
    /// `sips:`, every hop is protected.
    pub is_sips: bool,
    /// A route leads back over a line that is known; no other may be tried.
    pub is_route: bool,
}

impl Destination {
    /// From a URI (RFC 3261 §19.1.1); the error completes "URI …".
    pub fn of_uri(uri: &str) -> Result<Self, &'static str> {
        const NONE: &str = "is no sip: or sips: URI";
        if uri.len() > MAX_URI || !uri.bytes().all(is_uri_byte) || has_broken_escape(uri) {
            return Err(NONE);
        }
        let (scheme, rest) = uri.split_once(':').ok_or(NONE)?;
        let is_sips = scheme.eq_ignore_ascii_case("sips");
        if !is_sips && !scheme.eq_ignore_ascii_case("sip") {
            return Err(NONE);
        }
        let rest = match rest.split_once('@') {
            Some((user, _)) if user.is_empty() || user.starts_with(':') => return Err(NONE),
            Some((_, rest)) => rest,
            None => rest,
        };
        if rest.contains('?') {
            return Err("brings headers of its own");
        }
        let mut parts = rest.split(';');
        let address = parts.next().unwrap_or_default();
        let named = parts.find_map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            name.eq_ignore_ascii_case("transport").then_some(value)
        });
        let transport = named.map(|name| called(name, is_sips)).transpose()?;
        let (host, port) = host_and_port(address).ok_or(NONE)?;
        Ok(Self { host, port, transport, is_sips, is_route: false })
    }

    /// From a route, `tls;192.0.2.1:40000`, or a URI in its place.
    pub fn of_route(route: &str) -> Result<Self, &'static str> {
        const NONE: &str = "is no route (TRANSPORT;ADDRESS:PORT or a URI)";
        let Some((transport, address)) = route.split_once(';') else { return Self::of_uri(route) };
        if transport.contains(':') {
            return Self::of_uri(route);
        }
        let transport = Transport::parse(transport).ok_or(NONE)?;
        let address: SocketAddr = address.parse().map_err(|_| NONE)?;
        Ok(Self {
            host: DialHost::Address(address.ip()),
            port: Some(address.port()).filter(|&port| port > 0).ok_or(NONE).map(Some)?,
            transport: Some(transport),
            is_sips: false,
            is_route: true,
        })
    }

    /// Where the search ends when no name server says otherwise (RFC 3263 §4.1).
    pub fn plain_transport(&self) -> Transport {
        let by_scheme = if self.is_sips { Transport::Tls } else { Transport::Udp };
        self.transport.unwrap_or(by_scheme)
    }
}

/// The `transport` parameter; RFC 5630 §3.1.1: with sips it names what TLS runs over.
fn called(name: &str, is_sips: bool) -> Result<Transport, &'static str> {
    match Transport::parse(name) {
        Some(Transport::Udp) if is_sips => Err("is sips: and asks for UDP"),
        Some(Transport::Tcp | Transport::Tls) if is_sips => Ok(Transport::Tls),
        Some(transport @ (Transport::Udp | Transport::Tcp | Transport::Tls)) => Ok(transport),
        // A browser is called over its own connection, by a route.
        Some(Transport::Ws | Transport::Wss) => Err("asks for a WebSocket, which cannot be called"),
        None => Err("asks for a transport that is not known"),
    }
}

fn host_and_port(text: &str) -> Option<(DialHost, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (DialHost::Address(host.parse::<Ipv6Addr>().ok()?.into()), port)
        }
        None => {
            let colon = text.find(':').unwrap_or(text.len());
            let (host, port) = text.split_at_checked(colon)?;
            let address = host.parse().map(DialHost::Address);
            (address.ok().or_else(|| name(host))?, port)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(port) => Some(port.parse().ok().filter(|&port| port > 0)?),
        None if port.is_empty() => None,
        None => return None,
    };
    Some((host, port))
}

/// A host name (RFC 1123 §2.1, and the underscores that some networks use). Its last label is not a
/// number, or `1.2.3.400` would be asked of a name server.
fn name(host: &str) -> Option<DialHost> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let bare = host.strip_suffix('.').unwrap_or(host);
    let is_number = bare.rsplit('.').next()?.bytes().all(|b| b.is_ascii_digit());
    let is_name = bare.len() <= 253 && bare.split('.').all(is_label) && !is_number;
    is_name.then(|| DialHost::Name(host.to_owned()))
}

/// RFC 3261 §25.1 `SIP-URI`.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()%:;=@&+$,?/[]".contains(&byte)
}

fn has_broken_escape(uri: &str) -> bool {
    let mut parts = uri.split('%');
    parts.next();
    parts.any(|rest| !rest.get(..2).is_some_and(|d| d.bytes().all(|b| b.is_ascii_hexdigit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_says_where_the_call_goes() {
        use Transport::{Tcp, Tls, Udp};
        let cases = [
            ("sip:bob@192.0.2.1", "192.0.2.1", None, None),
            (
                "SIP:+4930%20x;p=1@192.0.2.1:5070;transport=UDP;lr",
                "192.0.2.1",
                Some(5070),
                Some(Udp),
            ),
            ("sip:192.0.2.1:1", "192.0.2.1", Some(1), None),
            ("sip:bob:secret@[2001:db8::1]:5070", "2001:db8::1", Some(5070), None),
            ("sip:b?b/1@[::1]", "::1", None, None),
            ("sip:bob@trunk.example.", "trunk.example.", None, None),
            ("sip:bob@sip_1.example:5062;user=phone", "sip_1.example", Some(5062), None),
            ("sip:bob@h;transport=tcp", "h", None, Some(Tcp)),
            ("sip:bob@h;x;Transport=TLS", "h", None, Some(Tls)),
            ("sips:bob@h:5061;transport=tcp", "h", Some(5061), Some(Tls)),
        ];
        for (uri, host, port, transport) in cases {
            let found = Destination::of_uri(uri).unwrap();
            let expected = host.parse().map(DialHost::Address);
            assert_eq!(found.host, expected.unwrap_or(DialHost::Name(host.into())), "{uri}");
            assert_eq!((found.port, found.transport), (port, transport), "{uri}");
        }
        let plain = |uri| Destination::of_uri(uri).unwrap().plain_transport();
        assert_eq!(
            [plain("sip:h"), plain("sips:h"), plain("sip:h;transport=tcp")],
            [Udp, Tls, Tcp]
        );
    }

    #[test]
    fn a_route_leads_back_over_a_line() {
        let found = Destination::of_route("wss;[::1]:40000").unwrap();
        assert_eq!(found.host, DialHost::Address("::1".parse().unwrap()));
        assert_eq!((found.port, found.transport), (Some(40_000), Some(Transport::Wss)));
        assert!(found.is_route);
        let uri = Destination::of_route("sip:pbx.example;transport=tcp").unwrap();
        assert_eq!((uri.transport, uri.is_route), (Some(Transport::Tcp), false));
        for route in ["tls;x:1", "tls;192.0.2.1", "tls;192.0.2.1:0", "sctp;192.0.2.1:1", "x", ""] {
            assert!(Destination::of_route(route).is_err(), "{route}");
        }
    }
}
