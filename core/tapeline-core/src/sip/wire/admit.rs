//! What happens to a datagram before rsipstack sees it.
//!
//! rsipstack is silent where RFC 3261 wants an answer (unknown method, bad request line), forgets
//! headers behind a byte that is not UTF-8, and drops a body without Content-Length. So a message
//! is rewritten here in one plain form, or refused.

use std::net::SocketAddr;

use rsipstack::sip::{HeadersExt, Request, Response, SipMessage};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};

use crate::sip::wire::field::unsupported;
use crate::sip::wire::head::{Head, HeadError, is_token};
use crate::sip::wire::reply::{ALLOW, TagMaker, stateless};
use crate::sip::wire::value::{stamped_via, tag, tightened, verbatim};

const ANSWERED: [&str; 10] =
    ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "PRACK", "REFER", "REGISTER"];
/// Known by name, not done here: 405 instead of 501 (RFC 3261 §8.2.1).
const KNOWN: [&str; 4] = ["SUBSCRIBE", "NOTIFY", "MESSAGE", "PUBLISH"];
const ONCE: [&str; 5] = ["From", "To", "Call-ID", "CSeq", "Max-Forwards"];

/// What to do with a datagram.
#[derive(Debug)]
pub(crate) enum Admission {
    Request {
        request: Request,
        key: TransactionKey,
        head: Head,
    },
    Response(Response),
    /// Answer so, remember nothing.
    Refuse {
        status: u16,
        reply: Vec<u8>,
    },
    /// Not SIP, or nothing that may be answered.
    Ignore,
}

/// A refusal: status and the headers that explain it.
struct Refusal(u16, Vec<(&'static str, String)>);

impl From<u16> for Refusal {
    fn from(status: u16) -> Self {
        Self(status, Vec::new())
    }
}

/// Judges one datagram, already trimmed.
pub(crate) fn admit(datagram: &[u8], source: SocketAddr, tags: &TagMaker) -> Admission {
    let (head, broken) = match Head::parse(datagram) {
        Ok(head) => (head, None),
        Err((error, Some(head))) => (head, Some(error)),
        Err((_, None)) => return Admission::Ignore,
    };
    if head.start.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
        return if broken.is_none() { response(&head, datagram) } else { Admission::Ignore };
    }
    let last_word = head.start.rsplit(' ').next().unwrap_or_default();
    if !last_word.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("SIP/")) {
        return Admission::Ignore;
    }
    let judged = match broken {
        Some(HeadError::TooLarge) => Err(Refusal::from(513)),
        Some(HeadError::Unfinished) => Err(Refusal::from(400)),
        None => request(&head, datagram, source),
    };
    match judged {
        Ok((request, key)) => Admission::Request { request, key, head },
        Err(Refusal(status, extra)) => {
            let extra: Vec<_> = extra.iter().map(|(name, value)| (*name, value.as_str())).collect();
            match stateless(&head, source, tags, status, &extra) {
                Some(reply) => Admission::Refuse { status, reply },
                None => Admission::Ignore,
            }
        }
    }
}

fn response(head: &Head, datagram: &[u8]) -> Admission {
    let Ok(body) = body(head, datagram) else { return Admission::Ignore };
    match SipMessage::try_from(plain_form(head, body, None).as_slice()) {
        Ok(SipMessage::Response(response))
            if (100..700).contains(&response.status_code.code())
                && TransactionKey::from_response(&response, TransactionRole::Client).is_ok() =>
        {
            Admission::Response(response)
        }
        _ => Admission::Ignore,
    }
}

fn request(
    head: &Head,
    datagram: &[u8],
    source: SocketAddr,
) -> Result<(Request, TransactionKey), Refusal> {
    let method = start_line(&head.start)?;
    headers(head, method)?;
    let body = body(head, datagram)?;
    let message = SipMessage::try_from(plain_form(head, body, Some(source)).as_slice());
    let Ok(SipMessage::Request(mut request)) = message else { return Err(400.into()) };
    let uri = head.start.split(' ').nth(1).unwrap_or_default();
    request.uri = verbatim(uri);
    let key = TransactionKey::from_request(&request, TransactionRole::Server);
    let Ok(key) = key else { return Err(400.into()) };
    let to_is_readable = request.to_header().is_ok_and(|to| to.tag().is_ok());
    if !to_is_readable {
        return Err(400.into());
    }
    acceptable(head, method, !request.body.is_empty())?;
    Ok((request, key))
}

/// RFC 3261 §25.1 Request-Line; the method decides between 405 and 501.
fn start_line(line: &str) -> Result<&str, Refusal> {
    let mut words = line.split(' ');
    let (Some(method), Some(uri), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(400.into());
    };
    if !is_token(method) || uri.is_empty() || uri.contains(['<', '>', '"', '\t']) {
        return Err(400.into());
    }
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        let number = version.get(4..).unwrap_or_default();
        let is_version = number.split('.').all(|n| n.parse::<u32>().is_ok());
        return Err(if is_version { 505.into() } else { 400.into() });
    }
    if !ANSWERED.contains(&method) {
        let status = if KNOWN.contains(&method) { 405 } else { 501 };
        return Err(Refusal(status, vec![("Allow", ALLOW.to_owned())]));
    }
    match uri.split_once(':') {
        Some((scheme, rest)) if !rest.is_empty() => {
            let is_ours = ["sip", "sips", "tel"].iter().any(|s| s.eq_ignore_ascii_case(scheme));
            if is_ours { Ok(method) } else { Err(416.into()) }
        }
        _ => Err(400.into()),
    }
}

/// The headers every request has (RFC 3261 §8.1.1), each readable and once.
fn headers(head: &Head, method: &str) -> Result<(), Refusal> {
    if ONCE.iter().any(|name| head.all(name).count() > 1) {
        return Err(400.into());
    }
    let (Some(_), Some(from), Some(_), Some(call_id), Some(cseq)) = (
        head.first("Via"),
        head.first("From"),
        head.first("To"),
        head.first("Call-ID"),
        head.first("CSeq"),
    ) else {
        return Err(400.into());
    };
    let mut words = cseq.split_ascii_whitespace();
    let number = words.next().and_then(|n| n.parse::<u32>().ok()).filter(|&n| n < 1 << 31);
    let is_same_method = words.next() == Some(method) && words.next().is_none();
    let is_call_id = !call_id.is_empty() && call_id.len() <= 256 && !call_id.contains([' ', '\t']);
    let has_tag = tag(&tightened(from, false)).is_some_and(|tag| tag.len() <= 128);
    if number.is_none() || !is_same_method || !is_call_id || !has_tag {
        return Err(400.into());
    }
    match head.first("Max-Forwards").map(str::parse::<u8>) {
        Some(Err(_)) => Err(400.into()),
        _ => Ok(()),
    }
}

/// What we do not support is said before a dialog exists.
fn acceptable(head: &Head, method: &str, has_body: bool) -> Result<(), Refusal> {
    if method == "ACK" || method == "CANCEL" {
        return Ok(());
    }
    // RFC 3261 §8.2.2.3.
    if let Some(unknown) = unsupported(head.all("Require")) {
        return Err(Refusal(420, vec![("Unsupported", unknown)]));
    }
    let is_initial = head.first("To").is_some_and(|to| tag(&tightened(to, false)).is_none());
    if method == "INVITE" && is_initial && head.first("Max-Forwards") == Some("0") {
        return Err(483.into());
    }
    if method == "INVITE" && is_initial && head.first("Contact").is_none() {
        return Err(400.into());
    }
    let carries_sdp = ["INVITE", "UPDATE", "PRACK"].contains(&method);
    let encoding = head.first("Content-Encoding").unwrap_or("identity");
    let content_type = head.first("Content-Type").unwrap_or("application/sdp");
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_sdp = media_type.eq_ignore_ascii_case("application/sdp");
    if carries_sdp && has_body && (!is_sdp || !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Refusal(415, vec![("Accept", "application/sdp".to_owned())]));
    }
    Ok(())
}

/// The body by Content-Length; over UDP a missing one means the rest of the datagram
/// (RFC 3261 §18.3).
fn body<'a>(head: &Head, datagram: &'a [u8]) -> Result<&'a [u8], Refusal> {
    let rest = datagram.get(head.length..).unwrap_or_default();
    let mut lengths = head.all("Content-Length");
    let Some(text) = lengths.next() else { return Ok(rest) };
    if lengths.any(|other| other != text) {
        return Err(400.into());
    }
    let length = text.parse::<usize>().map_err(|_| Refusal::from(400))?;
    rest.get(..length).ok_or(Refusal::from(400))
}

/// The same message as rsipstack reads it best.
fn plain_form(head: &Head, body: &[u8], source: Option<SocketAddr>) -> Vec<u8> {
    let mut text = String::with_capacity(head.length + 128);
    // The version is the only part of a start line that ignores case (RFC 3261 §7.1).
    match head.start.rsplit_once(' ').filter(|_| source.is_some()) {
        Some((method_and_uri, _)) => text.push_str(&format!("{method_and_uri} SIP/2.0")),
        None => text.push_str(&head.start),
    }
    text.push_str("\r\n");
    let mut has_via = false;
    for (name, value) in &head.headers {
        if name.eq_ignore_ascii_case("Content-Length") {
            continue;
        }
        let is_via = name.eq_ignore_ascii_case("Via");
        let is_address = ["From", "To", "Contact"].iter().any(|n| n.eq_ignore_ascii_case(name));
        let mut value = if is_via || is_address { tightened(value, is_via) } else { value.clone() };
        if let Some(source) = source.filter(|_| is_via && !has_via) {
            value = stamped_via(&value, source);
            has_via = true;
        }
        text.push_str(name);
        text.push_str(": ");
        text.push_str(&value);
        text.push_str("\r\n");
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
