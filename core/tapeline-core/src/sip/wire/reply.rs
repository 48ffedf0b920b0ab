//! Answers without a transaction (RFC 3261 §8.2.7): one per datagram, nothing remembered.

use std::collections::hash_map::RandomState;
use std::fmt::Write;
use std::hash::BuildHasher;
use std::net::SocketAddr;

use rsipstack::sip::StatusCode;

use crate::sip::wire::head::Head;
use crate::sip::wire::value::{stamped_via, tag};

/// Methods we answer.
pub(crate) const ALLOW: &str =
    "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, PRACK, REFER, REGISTER";

/// Makes To tags that are the same for a retransmission and that nobody can foretell.
#[derive(Debug, Default)]
pub(crate) struct TagMaker(RandomState);

impl TagMaker {
    fn tag(&self, head: &Head) -> String {
        let parts = ["Via", "From", "Call-ID", "CSeq"].map(|name| head.first(name));
        format!("{:016x}", self.0.hash_one(parts))
    }
}

/// A response to the request in `head`; `None` for an ACK and where there is no Via to answer to.
pub(crate) fn stateless(
    head: &Head,
    source: SocketAddr,
    tags: &TagMaker,
    status: u16,
    extra: &[(&str, &str)],
) -> Option<Vec<u8>> {
    let mut vias = head.all("Via");
    let top = vias.next().filter(|_| !head.start.starts_with("ACK "))?;
    let reason = StatusCode::from(status);
    let mut text = format!("SIP/2.0 {status} {}\r\n", reason.text());
    let _ = write!(text, "Via: {}\r\n", stamped_via(top, source));
    for via in vias {
        let _ = write!(text, "Via: {via}\r\n");
    }
    for name in ["From", "To", "Call-ID", "CSeq"] {
        let Some(value) = head.first(name) else { continue };
        let _ = write!(text, "{name}: {value}");
        if name == "To" && tag(value).is_none() {
            let _ = write!(text, ";tag={}", tags.tag(head));
        }
        text.push_str("\r\n");
    }
    for (name, value) in extra {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("Content-Length: 0\r\n\r\n");
    Some(text.into_bytes())
}
