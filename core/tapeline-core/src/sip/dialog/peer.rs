//! The far end of a dialog: who it is in requests of ours, and where they go (RFC 3261 §12).

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use rsipstack::sip::uri::{Host, HostWithPort, Uri};
use rsipstack::sip::{Header, HeadersExt, Request, Response};

use crate::sip::dialog::request::FIRST;
use crate::sip::digest::Login;
use crate::sip::transport::Line;
use crate::sip::wire::{contact_uri, list, uri_of, verbatim};

/// State of a dialog that requests of ours are made from.
pub(super) struct Peer {
    pub call_id: String,
    /// From of our requests, with our tag.
    pub local: String,
    /// To of our requests.
    pub remote: String,
    /// Route headers, first hop first; fixed by the INVITE or its 2xx (RFC 3261 §12.1).
    routes: Vec<String>,
    /// URI of the peer's Contact.
    target: String,
    /// Its INVITE, or ours, went to a sips URI: so is our Contact (RFC 3261 §12.1.1).
    is_sips: bool,
    /// Where its last request came from.
    pub source: SocketAddr,
    pub line: Rc<Line>,
    pub local_seq: u32,
    pub remote_seq: u32,
    /// Who we are to it, when it asks.
    pub login: Option<SharedLogin>,
}

/// The leg's requests and what is left of them share it.
pub(super) type SharedLogin = Rc<RefCell<Login>>;

impl Peer {
    /// From an INVITE whose To carries our tag already.
    pub fn new(invite: &Request, source: SocketAddr, line: Rc<Line>) -> Option<Self> {
        let mut peer = Self {
            call_id: invite.call_id_header().ok()?.value().to_owned(),
            local: invite.to_header().ok()?.value().to_owned(),
            remote: invite.from_header().ok()?.value().to_owned(),
            routes: record_routes(invite.headers.iter()),
            target: String::new(),
            is_sips: is_sips(&invite.uri),
            source,
            line,
            local_seq: 0,
            remote_seq: sequence(invite)?,
            login: None,
        };
        peer.refresh_target(invite);
        (!peer.target.is_empty()).then_some(peer)
    }

    /// Of a call of ours whose far end nobody knows yet.
    pub fn nobody(call_id: String, line: Rc<Line>) -> Self {
        Self {
            call_id,
            local: String::new(),
            remote: String::new(),
            routes: Vec::new(),
            target: String::new(),
            is_sips: false,
            source: SocketAddr::new([0; 4].into(), 0),
            line,
            local_seq: FIRST,
            remote_seq: 0,
            login: None,
        }
    }

    /// From a 2xx, or a provisional response with a tag, to an INVITE of ours (RFC 3261 §12.1.2). One
    /// without a Contact is reached where the INVITE went.
    pub fn answered(
        invite: &Request,
        response: &Response,
        source: SocketAddr,
        line: Rc<Line>,
    ) -> Option<Self> {
        let local_seq = sequence(invite)?;
        let mut routes = record_routes(response.headers.iter());
        routes.reverse();
        let contact = response.contact_header().ok().and_then(|c| contact_uri(c.value()));
        Some(Self {
            call_id: invite.call_id_header().ok()?.value().to_owned(),
            local: invite.from_header().ok()?.value().to_owned(),
            remote: response.to_header().ok()?.value().to_owned(),
            routes,
            target: contact.map_or_else(|| invite.uri.to_string(), str::to_owned),
            is_sips: is_sips(&invite.uri),
            source,
            line,
            local_seq,
            remote_seq: 0,
            login: None,
        })
    }

    /// A re-INVITE or UPDATE, or the 2xx to one, may move the peer (RFC 3261 §12.2.2).
    pub fn refresh_target(&mut self, message: &impl HeadersExt) {
        let contact = message.contact_header().ok().and_then(|c| contact_uri(c.value()));
        if let Some(contact) = contact {
            self.target = contact.to_owned();
        }
    }

    /// Request-URI, Route headers and destination of the next request of ours.
    pub fn way(&self) -> Way {
        let mut routes = self.routes.clone();
        let mut uri = self.target.clone();
        let first = self.routes.first().and_then(|route| uri_of(route));
        // A stream leads to its other end, whatever the peer calls itself (RFC 5923, RFC 7118 §5).
        let next_hop = match self.line.transport().is_reliable() {
            true => self.source,
            false => next_hop(first.unwrap_or(&self.target), self.source),
        };
        if let Some(strict) = first.filter(|uri| !is_loose(uri)) {
            // A strict router wants itself in the Request-URI, the target last (§12.2.1.1).
            uri = strict.to_owned();
            routes.remove(0);
            routes.push(format!("<{}>", self.target));
        }
        Way { uri: verbatim(&uri), routes, next_hop }
    }
}

impl Peer {
    /// Where the peer reaches us.
    pub fn contact(&self) -> Header {
        Header::Contact(self.line.contact_for(self.source, self.is_sips).into())
    }

    /// For the responses that make the dialog (RFC 3261 §12.1.1).
    pub fn record_routes(&self) -> Vec<Header> {
        self.routes.iter().map(|route| Header::RecordRoute(route.clone().into())).collect()
    }
}

/// How a request of ours travels.
pub(super) struct Way {
    pub uri: Uri,
    pub routes: Vec<String>,
    pub next_hop: SocketAddr,
}

pub(crate) fn sequence(request: &Request) -> Option<u32> {
    request.cseq_header().ok()?.value().split_ascii_whitespace().next()?.parse().ok()
}

/// Record-Route values in the order of the message: a UAS keeps it, a UAC turns it round.
fn record_routes<'a>(headers: impl Iterator<Item = &'a Header>) -> Vec<String> {
    let headers = headers.filter_map(|header| match header {
        Header::RecordRoute(route) => Some(route.value()),
        _ => None,
    });
    headers.flat_map(list).map(str::to_owned).collect()
}

/// Of a URI as [`verbatim`] makes it.
pub(super) fn is_sips(uri: &Uri) -> bool {
    uri.to_string().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"))
}

fn is_loose(uri: &str) -> bool {
    uri.split(';')
        .skip(1)
        .any(|p| p.split('=').next().is_some_and(|n| n.eq_ignore_ascii_case("lr")))
}

/// Where a request for `uri` goes. A host name, or an address that the source shows to lie behind
/// a NAT, means: back to where the peer really sends from.
fn next_hop(uri: &str, source: SocketAddr) -> SocketAddr {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = rest.split([';', '?', '>']).next().unwrap_or_default();
    let Ok(HostWithPort { host: Host::IpAddr(address), port }) = HostWithPort::try_from(host)
    else {
        return source;
    };
    let is_other_family = address.is_ipv4() != source.is_ipv4();
    if is_other_family || address.is_multicast() || reach(address) < reach(source.ip()) {
        return source;
    }
    SocketAddr::new(address, port.map_or(5060, |port| port.value()))
}

/// From how far an address can be talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Nowhere,
    Machine,
    Link,
    Site,
    World,
}

fn reach(address: IpAddr) -> Reach {
    match address {
        a if a.is_unspecified() => Reach::Nowhere,
        a if a.is_loopback() => Reach::Machine,
        IpAddr::V4(a) if a.is_link_local() => Reach::Link,
        IpAddr::V6(a) if a.is_unicast_link_local() => Reach::Link,
        IpAddr::V4(a) if a.is_private() || is_carrier_nat(a.octets()) => Reach::Site,
        IpAddr::V6(a) if a.is_unique_local() => Reach::Site,
        IpAddr::V4(a) if a.is_broadcast() => Reach::Nowhere,
        _ => Reach::World,
    }
}

/// 100.64.0.0/10 (RFC 6598).
fn is_carrier_nat([a, b, _, _]: [u8; 4]) -> bool {
    a == 100 && (64..128).contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_to_the_contact_unless_a_nat_hides_it() {
        let cases = [
            ("sip:a@192.0.2.1:5070", "192.0.2.1:40000", "192.0.2.1:5070"),
            ("sip:a@198.51.100.1", "192.0.2.1:40000", "198.51.100.1:5060"),
            ("sip:a@10.0.0.5:5060", "192.0.2.1:40000", "192.0.2.1:40000"),
            ("sip:a@100.64.0.5:5060", "192.0.2.1:40000", "192.0.2.1:40000"),
            ("sip:a@10.0.0.5:5060", "10.0.0.9:40000", "10.0.0.5:5060"),
            ("sip:a@127.0.0.1:5060", "10.0.0.9:40000", "10.0.0.9:40000"),
            ("sip:a@127.0.0.1:5062;x=y", "127.0.0.1:40000", "127.0.0.1:5062"),
            ("sip:a@phone.example:5060", "192.0.2.1:40000", "192.0.2.1:40000"),
            ("sip:a@0.0.0.0", "192.0.2.1:40000", "192.0.2.1:40000"),
            ("sip:[2001:db8::1]:5070", "[2001:db8::2]:40000", "[2001:db8::1]:5070"),
            ("sip:[fe80::1]", "[2001:db8::2]:40000", "[2001:db8::2]:40000"),
            ("sip:a@192.0.2.1", "[2001:db8::2]:40000", "[2001:db8::2]:40000"),
            ("", "192.0.2.1:40000", "192.0.2.1:40000"),
        ];
        for (uri, source, expected) in cases {
            let hop = next_hop(uri, source.parse().unwrap());
            assert_eq!(hop, expected.parse().unwrap(), "{uri} from {source}");
        }
    }

    #[test]
    fn loose_routers_say_so() {
        assert!(is_loose("sip:p;lr") && is_loose("sip:p;x=1;LR=on"));
        assert!(!is_loose("sip:p") && !is_loose("sip:lr;lrx"));
    }
}
