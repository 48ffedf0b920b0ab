//! Requests of ours, as text and headers: the INVITE and what belongs to it, and those of a dialog.

use std::net::{IpAddr, SocketAddr};

use rsipstack::sip::{Header, HeadersExt, Method, Request, Response, SipMessage, Version};
use rsipstack::transaction::random_text;

use crate::boundary::dial::Dial;
use crate::sip::dialog::peer::{Peer, Way, sequence};
use crate::sip::dialog::response::{allow, sdp_type};
use crate::sip::digest::Login;
use crate::sip::transport::Line;
use crate::sip::wire::{supported, verbatim};

/// CSeq of the first INVITE that makes a dialog.
pub(super) const FIRST: u32 = 1;

/// A request inside the dialog of `peer` (RFC 3261 §12.2.1.1).
pub(super) fn in_dialog(
    agent: &str,
    peer: &Peer,
    way: &Way,
    method: Method,
    sequence: u32,
) -> Request {
    let mut headers = vec![
        via(&peer.line, way.next_hop),
        Header::MaxForwards("70".into()),
        Header::From(peer.local.clone().into()),
        Header::To(peer.remote.clone().into()),
        Header::CallId(peer.call_id.clone().into()),
        Header::CSeq(format!("{sequence} {method}").into()),
        Header::UserAgent(agent.into()),
    ];
    headers.extend(way.routes.iter().map(|route| Header::Route(route.clone().into())));
    Request {
        method,
        uri: way.uri.clone(),
        version: Version::V2,
        headers: headers.into(),
        body: Vec::new(),
    }
}

/// Who calls, in a dialog that does not exist yet.
pub(super) struct Caller<'a> {
    pub call_id: &'a str,
    pub local_tag: &'a str,
    pub agent: &'a str,
    /// CSeq of this INVITE; each one that is sent again has the next.
    pub sequence: u32,
    /// What this INVITE says besides.
    pub extra: Vec<Header>,
}

/// The INVITE that makes a call (RFC 3261 §13.2.1), with our offer.
pub(super) fn invite(
    dial: &Dial,
    caller: Caller<'_>,
    line: &Line,
    destination: SocketAddr,
    offer: String,
) -> Request {
    let here = line.address_for(destination).ip();
    let mut headers = vec![
        via(line, destination),
        Header::MaxForwards("70".into()),
        Header::From(from(dial, here, caller.local_tag).into()),
        Header::To(format!("<{}>", dial.uri).into()),
        Header::CallId(caller.call_id.into()),
        Header::CSeq(format!("{} INVITE", caller.sequence).into()),
        Header::Contact(line.contact_for(destination, dial.destination.is_sips).into()),
        allow(),
        supported(),
        Header::UserAgent(caller.agent.into()),
        sdp_type(),
    ];
    headers.extend(caller.extra);
    let extra = dial.headers.iter().cloned();
    headers.extend(extra.map(|(name, value)| Header::Other(name, value)));
    headers.extend(identity(dial));
    Request {
        method: Method::Invite,
        uri: verbatim(&dial.uri),
        version: Version::V2,
        headers: headers.into(),
        body: offer.into_bytes(),
    }
}

/// Of RFC 3325: the called sees nothing of it when it is private.
fn identity(dial: &Dial) -> Vec<Header> {
    let other = |name: &str, value: String| Header::Other(name.to_owned(), value);
    let asserted = (!dial.asserted.is_empty())
        .then(|| other("P-Asserted-Identity", format!("<{}>", dial.asserted)));
    let privacy = dial.is_private.then(|| other("Privacy", "id".to_owned()));
    asserted.into_iter().chain(privacy).collect()
}

fn from(dial: &Dial, here: IpAddr, local_tag: &str) -> String {
    let host = match here {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    if dial.is_private && !dial.asserted.is_empty() {
        // RFC 3323 §4.1.1.3.
        return format!("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag={local_tag}");
    }
    let user = if dial.caller.is_empty() { "anonymous" } else { &dial.caller };
    let name = match dial.caller_name.as_str() {
        "" => String::new(),
        name => format!("\"{name}\" "),
    };
    format!("{name}<sip:{user}@{host}>;tag={local_tag}")
}

fn via(line: &Line, destination: SocketAddr) -> Header {
    let (transport, here) = (line.transport().via(), line.address_for(destination));
    let branch = random_text(16);
    Header::Via(format!("SIP/2.0/{transport} {here};branch=z9hG4bK{branch};rport").into())
}

/// The same once more with proofs, as a transaction of its own (RFC 3261 §22.2).
pub(super) fn again(
    request: &Request,
    line: &Line,
    next_hop: SocketAddr,
    sequence: u32,
    login: &mut Login,
) -> Request {
    let is_kept = |header: &&Header| match header {
        Header::Via(_) | Header::CSeq(_) => false,
        Header::Other(name, _) => !matches!(name.as_str(), "Authorization" | "Proxy-Authorization"),
        _ => true,
    };
    let mut headers = vec![via(line, next_hop)];
    headers.extend(request.headers.iter().filter(is_kept).cloned());
    headers.push(Header::CSeq(format!("{sequence} {}", request.method).into()));
    let mut request = Request { headers: headers.into(), ..request.clone() };
    request.headers.extend(login.proofs(&request));
    request
}

/// The CANCEL of `invite` (RFC 3261 §9.1).
pub(super) fn cancel(invite: &Request) -> Request {
    of_transaction(invite, Method::Cancel)
}

/// The ACK of a final response that is no 2xx (RFC 3261 §17.1.1.3).
pub(super) fn ack_of_refusal(invite: &Request, response: &Response) -> Request {
    let mut ack = of_transaction(invite, Method::Ack);
    if let (Ok(to), Ok(theirs)) = (ack.to_header_mut(), response.to_header()) {
        to.replace(theirs.value().to_owned());
    }
    ack
}

/// What shares the INVITE's branch.
fn of_transaction(invite: &Request, method: Method) -> Request {
    let mut headers: Vec<Header> = invite
        .headers
        .iter()
        .filter(|header| {
            matches!(
                header,
                Header::Via(_)
                    | Header::MaxForwards(_)
                    | Header::From(_)
                    | Header::To(_)
                    | Header::CallId(_)
                    | Header::UserAgent(_)
            )
        })
        .cloned()
        .collect();
    let number = sequence(invite).unwrap_or(FIRST);
    headers.push(Header::CSeq(format!("{number} {method}").into()));
    Request {
        method,
        uri: invite.uri.clone(),
        version: Version::V2,
        headers: headers.into(),
        body: Vec::new(),
    }
}

/// For a request that travels without one of rsipstack's transactions.
pub(super) fn bytes(mut request: Request) -> Vec<u8> {
    let length = Header::ContentLength((request.body.len() as u32).into());
    request.headers.push(length);
    SipMessage::Request(request).to_bytes()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_caller_is_written_as_it_can_be_read() {
        let here = "192.0.2.7".parse().unwrap();
        let cases = [
            ("+4930", "", "<sip:+4930@192.0.2.7>;tag=t"),
            ("", "", "<sip:anonymous@192.0.2.7>;tag=t"),
            ("a b", "Ann \"X\" <y>", "\"Ann \\\"X\\\" <y>\" <sip:a%20b@192.0.2.7>;tag=t"),
        ];
        for (caller, name, expected) in cases {
            let dial = Dial::new("sip:b@h", caller, name, vec![], Duration::ZERO).unwrap();
            assert_eq!(from(&dial, here, "t"), expected);
        }
        let dial = Dial::new("sip:b@h", "1", "", vec![], Duration::ZERO).unwrap();
        assert_eq!(from(&dial, "::1".parse().unwrap(), "t"), "<sip:1@[::1]>;tag=t");
    }
}
