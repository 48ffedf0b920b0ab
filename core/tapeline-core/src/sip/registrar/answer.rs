//! A REGISTER whose sender is known, and what it is told.

use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rsipstack::sip::{Header, HeadersExt, Request, StatusCode};
use rsipstack::transaction::transaction::Transaction;

use crate::boundary::event::Event;
use crate::boundary::identity::{Location, Route};
use crate::sip::dialog::{refuse, retry_after, sequence};
use crate::sip::registrar::bindings::{Asked, Moment, Refusal, SHORTEST, Wish};
use crate::sip::stack::Stack;
use crate::sip::wire::{list, parameter, uri_of};

/// Contacts of one REGISTER, and bytes of each.
const MAX_CONTACTS: usize = 10;
const MAX_CONTACT: usize = 1_024;

impl Moment {
    pub fn present() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Self { now: Instant::now(), unix_ms }
    }
}

/// Changes the bindings of `owner`, reports them, answers.
pub(crate) async fn answer(stack: &Rc<Stack>, owner: &str, route: Route, transaction: Transaction) {
    let Some(asked) = read(&transaction.original, route) else {
        return refuse(transaction, StatusCode::BadRequest, vec![]).await;
    };
    let moment = Moment::present();
    let registered = stack.bindings.borrow_mut().register(owner, asked, moment);
    let (status, headers) = match registered {
        Ok(is_changed) => {
            if is_changed {
                tell(stack, owner);
            }
            let bindings = stack.bindings.borrow();
            let contacts = bindings.left(owner, moment.now).into_iter();
            let contact = |(location, seconds): (&Location, u64)| {
                Header::Contact(format!("<{}>;expires={seconds}", location.contact).into())
            };
            (StatusCode::OK, contacts.map(contact).collect())
        }
        Err(Refusal::TooBrief) => {
            let shortest = Header::Other("Min-Expires".into(), SHORTEST.to_string());
            (StatusCode::IntervalTooBrief, vec![shortest])
        }
        Err(Refusal::OutOfOrder) => (StatusCode::ServerInternalError, vec![]),
        Err(Refusal::Full) => (StatusCode::ServiceUnavailable, vec![retry_after(60)]),
    };
    refuse(transaction, status, headers).await;
}

/// Reports what is bound now.
pub(crate) fn tell(stack: &Stack, owner: &str) {
    let contacts = stack.bindings.borrow().of(owner);
    stack.events.send(Event::EndpointRegistered { owner: owner.to_owned(), contacts });
}

/// None for what makes no sense (RFC 3261 §10.2.2: `*` stands alone, with `Expires: 0`).
fn read(request: &Request, route: Route) -> Option<Asked> {
    let mut expires = None;
    let mut contacts = Vec::new();
    for header in request.headers.iter() {
        match header {
            Header::Expires(value) => expires = seconds(value.value()),
            Header::Contact(value) => contacts.extend(list(value.value())),
            _ => {}
        }
    }
    if contacts.len() > MAX_CONTACTS {
        return None;
    }
    let wish = match contacts.as_slice() {
        [] => Wish::Fetch,
        ["*"] => (expires == Some(0)).then_some(Wish::Clear)?,
        _ => Wish::Bind(contacts.into_iter().map(|c| contact(c, expires)).collect::<Option<_>>()?),
    };
    let call_id = request.call_id_header().ok()?.value().to_owned();
    Some(Asked { call_id, sequence: sequence(request)?, route, wish })
}

fn contact(value: &str, expires: Option<u32>) -> Option<(String, Option<u32>)> {
    let uri = uri_of(value)?;
    let (scheme, rest) = uri.split_once(':')?;
    let is_sip = ["sip", "sips"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let is_plain = !uri.contains(|c: char| c.is_control() || "<> \"".contains(c));
    if !is_sip || rest.is_empty() || uri.len() > MAX_CONTACT || !is_plain {
        return None;
    }
    Some((uri.to_owned(), parameter(value, "expires").map_or(expires, seconds)))
}

/// What is no number counts as none (§20.19); one beyond 32 bits is simply long.
fn seconds(text: &str) -> Option<u32> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_a_sip_uri_with_its_own_time_or_the_requests() {
        let bound = |uri: &str, seconds| Some((uri.to_owned(), seconds));
        for (value, expected) in [
            ("<sip:a@10.0.0.1;ob>;expires=60;q=0.5", bound("sip:a@10.0.0.1;ob", Some(60))),
            ("\"A, B\" <sips:a@b> ; Expires = 0", bound("sips:a@b", Some(0))),
            ("sip:a@b;expires=99999999999", bound("sip:a@b", Some(u32::MAX))),
            ("<sip:a@b;expires=5>", bound("sip:a@b;expires=5", Some(300))),
            ("<sip:a@b>;expires=soon", bound("sip:a@b", None)),
            ("<sip:a b@c>", None),
            ("<sip:>", None),
            ("<tel:+49>", None),
            ("<sip:a@b", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(contact(value, Some(300)), expected, "{value}");
        }
        let long = format!("<sip:{}@b>", "a".repeat(MAX_CONTACT));
        assert_eq!(contact(&long, None), None);
    }

    #[test]
    fn mutated_contacts_stay_within_bounds() {
        let seed =
            "\"Ann\" <sip:ann@192.0.2.1:5060;transport=tcp;ob>;expires=3600;+sip.instance=\"<u>\"";
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
        let mut read = 0;
        for round in 0..100_000_usize {
            let mut bytes = seed.as_bytes().to_vec();
            for _ in 0..1 + round % 4 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                let place = (dice >> 8) as usize % bytes.len();
                bytes[place] = b"<>\";=:@, *\\\xe9\0"[(dice >> 40) as usize % 13];
            }
            bytes.truncate((dice >> 20) as usize % (2 * bytes.len()));
            if let Some((uri, _)) = contact(&String::from_utf8_lossy(&bytes), None) {
                assert!(!uri.contains(['<', '>', '"', ' ', '\0']) && uri.contains(':'), "{uri}");
                read += 1;
            }
        }
        assert!(read > 1_000, "{read}");
    }
}
