//! The last messages of each call, for people who look for what went wrong. What must not be seen is
//! taken out before anything is kept: credentials, digits, keys of media.
//!
//! Bounded by messages of a call, by bytes of a message and by bytes in all; the calls that were heard of
//! longest ago go first. A call's trace outlives it until then.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::boundary::handle::LegHandle;
use crate::boundary::transport::Transport;
use crate::sip::wire::call_id;

/// Of one call.
const MAX_MESSAGES: usize = 200;
/// Of one message.
const MAX_TEXT: usize = 16 * 1024;
/// Of all together.
const MAX_BYTES: usize = 32 << 20;
/// What a message costs beside its text, roughly.
const OVERHEAD: usize = 96;
const HIDDEN: &str = "(hidden)";

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    pub unix_us: i64,
    pub is_sent: bool,
    pub transport: Transport,
    pub peer: SocketAddr,
    pub text: String,
}

#[derive(Default)]
pub(crate) struct Trace(Mutex<Store>);

#[derive(Default)]
struct Store {
    calls: HashMap<String, Call>,
    /// Call-IDs by when they were heard of last.
    order: BTreeMap<u64, String>,
    legs: HashMap<LegHandle, String>,
    touched: u64,
    bytes: usize,
}

#[derive(Default)]
struct Call {
    messages: VecDeque<Traced>,
    touched: u64,
    legs: Vec<LegHandle>,
}

impl Trace {
    /// From here on messages with that Call-ID are kept.
    pub fn begin(&self, call_id: &str) {
        self.with(|store| {
            if store.calls.contains_key(call_id) {
                return;
            }
            store.calls.insert(call_id.to_owned(), Call::default());
            store.bytes += call_id.len() + OVERHEAD;
            store.touch(call_id);
        });
    }

    /// The leg is of that call.
    pub fn name(&self, leg: LegHandle, call_id: &str) {
        self.with(|store| {
            if let Some(call) = store.calls.get_mut(call_id) {
                call.legs.push(leg);
                store.legs.insert(leg, call_id.to_owned());
            }
        });
    }

    pub fn sent(&self, transport: Transport, peer: SocketAddr, message: &[u8]) {
        self.keep(true, transport, peer, message);
    }

    pub fn received(&self, transport: Transport, peer: SocketAddr, message: &[u8]) {
        self.keep(false, transport, peer, message);
    }

    fn keep(&self, is_sent: bool, transport: Transport, peer: SocketAddr, message: &[u8]) {
        let Some(call_id) = call_id(message) else { return };
        self.with(|store| {
            if !store.calls.contains_key(call_id) {
                return;
            }
            let unix_us = unix_us();
            let text = redacted(message);
            store.add(call_id, Traced { unix_us, is_sent, transport, peer, text });
        });
    }

    /// In their order; empty when the call is unknown, or forgotten.
    pub fn of_call(&self, call_id: &str) -> Vec<Traced> {
        self.with(|store| {
            let call = store.calls.get(call_id);
            call.map(|call| call.messages.iter().cloned().collect()).unwrap_or_default()
        })
    }

    pub fn call_id_of(&self, leg: LegHandle) -> Option<String> {
        self.with(|store| store.legs.get(&leg).cloned())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store {
    fn touch(&mut self, call_id: &str) {
        self.touched += 1;
        let touched = self.touched;
        let Some(call) = self.calls.get_mut(call_id) else { return };
        let before = std::mem::replace(&mut call.touched, touched);
        let key = self.order.remove(&before).unwrap_or_else(|| call_id.to_owned());
        self.order.insert(touched, key);
        self.make_room();
    }

    fn add(&mut self, call_id: &str, traced: Traced) {
        let Some(call) = self.calls.get_mut(call_id) else { return };
        if call.messages.len() >= MAX_MESSAGES {
            let oldest = call.messages.pop_front();
            self.bytes -= oldest.map_or(0, |oldest| cost(&oldest));
        }
        self.bytes += cost(&traced);
        call.messages.push_back(traced);
        self.touch(call_id);
    }

    fn make_room(&mut self) {
        while self.bytes > MAX_BYTES {
            let Some((_, call_id)) = self.order.pop_first() else { return };
            let Some(call) = self.calls.remove(&call_id) else { continue };
            let messages: usize = call.messages.iter().map(cost).sum();
            self.bytes -= messages + call_id.len() + OVERHEAD;
            for leg in call.legs {
                self.legs.remove(&leg);
            }
        }
    }
}

fn cost(traced: &Traced) -> usize {
    traced.text.len() + OVERHEAD
}

fn unix_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A message as it may be seen: without credentials, passwords in URIs, digits told by INFO and keys of
/// media.
fn redacted(message: &[u8]) -> String {
    let message = message.get(..MAX_TEXT).unwrap_or(message);
    let text = String::from_utf8_lossy(message);
    let mut lines = text.split('\n');
    let start = lines.next().unwrap_or_default();
    let hides_body = start.starts_with("INFO ") || says_info(&text);
    let mut out = String::with_capacity(text.len());
    out.push_str(&without_password(start));
    let (mut is_body, mut is_secret) = (false, false);
    for line in lines {
        if is_body && hides_body {
            out.push('\n');
            out.push_str(HIDDEN);
            break;
        }
        let bare = line.strip_suffix('\r').unwrap_or(line);
        let is_continued = !is_body && bare.starts_with([' ', '\t']);
        is_secret = (is_continued && is_secret) || is_secret_line(bare, is_body);
        out.push('\n');
        match (is_secret, is_continued) {
            (true, true) => out.push_str(HIDDEN),
            (true, false) => {
                let name = bare.split([':', '=']).next().unwrap_or_default();
                let name = if is_body { "a=crypto" } else { name };
                out.push_str(&format!("{name}: {HIDDEN}"));
            }
            (false, _) => out.push_str(&without_password(line)),
        }
        if is_secret && line.ends_with('\r') {
            out.push('\r');
        }
        is_body = is_body || bare.is_empty();
    }
    out
}

/// Whether its body may hold digits, by its type.
fn says_info(text: &str) -> bool {
    text.lines().take_while(|line| !line.is_empty()).any(|line| {
        let Some((name, value)) = line.split_once(':') else { return false };
        let name = name.trim();
        let is_type = name.eq_ignore_ascii_case("Content-Type") || name.eq_ignore_ascii_case("c");
        is_type && value.to_ascii_lowercase().contains("dtmf")
    })
}

fn is_secret_line(line: &str, is_body: bool) -> bool {
    if is_body {
        let lower = line.trim_start().to_ascii_lowercase();
        return ["a=crypto", "a=key-mgmt", "k="].iter().any(|key| lower.starts_with(key));
    }
    let name = line.split(':').next().unwrap_or_default().trim();
    ["Authorization", "Proxy-Authorization", "Authentication-Info", "Proxy-Authentication-Info"]
        .iter()
        .any(|secret| secret.eq_ignore_ascii_case(name))
}

/// `sip:user:password@host` without the password.
fn without_password(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.to_ascii_lowercase().find("sip") {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let scheme = if found.to_ascii_lowercase().starts_with("sips:") { 5 } else { 4 };
        let (head, tail) = found.split_at_checked(scheme).unwrap_or((found, ""));
        out.push_str(head);
        rest = tail;
        if !head.ends_with(':') {
            continue;
        }
        let end = tail.find(['@', '>', ' ', ';', '"', '<', ',']).unwrap_or(tail.len());
        let (user, after) = tail.split_at(end);
        if let Some((name, _)) = user.split_once(':').filter(|_| after.starts_with('@')) {
            out.push_str(&format!("{name}:{HIDDEN}"));
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> SocketAddr {
        "192.0.2.1:5060".parse().unwrap()
    }

    fn message(call_id: &str, more: &str) -> Vec<u8> {
        format!("OPTIONS sip:a@h SIP/2.0\r\nCall-ID: {call_id}\r\n{more}\r\n").into_bytes()
    }

    #[test]
    fn what_must_not_be_seen_is_taken_out() {
        let cases = [
            (
                "INVITE sip:a:pw@h SIP/2.0\r\nAuthorization: Digest response=\"x1\"\r\n y=\"x2\"\r\n\
                 From: \"sip:\" <sips:b:x3@h>;tag=1\r\nX: 1\r\n\r\nv=0\r\na=crypto:1 A inline:x4\r\nm=audio\r\n",
                "INVITE sip:a:(hidden)@h SIP/2.0\r\nAuthorization: (hidden)\r\n(hidden)\r\n\
                 From: \"sip:\" <sips:b:(hidden)@h>;tag=1\r\nX: 1\r\n\r\nv=0\r\na=crypto: (hidden)\r\nm=audio\r\n",
            ),
            (
                "INFO sip:a@h SIP/2.0\r\nc: application/x\r\n\r\nSignal=5\r\nDuration=1\r\n",
                "INFO sip:a@h SIP/2.0\r\nc: application/x\r\n\r\n(hidden)",
            ),
            (
                "MESSAGE sip:a@h SIP/2.0\r\nContent-Type: application/DTMF-relay\r\n\r\n5",
                "MESSAGE sip:a@h SIP/2.0\r\nContent-Type: application/DTMF-relay\r\n\r\n(hidden)",
            ),
            (
                "SIP/2.0 200 OK\nproxy-authorization : x\nTo: <sip:a@h:5060;x=b>\n\nA=Crypto:2 x",
                "SIP/2.0 200 OK\nproxy-authorization : (hidden)\nTo: <sip:a@h:5060;x=b>\n\na=crypto: (hidden)",
            ),
            ("sip", "sip"),
            ("", ""),
        ];
        for (raw, seen) in cases {
            assert_eq!(redacted(raw.as_bytes()), seen);
        }
    }

    #[test]
    fn no_message_whatever_is_in_it_breaks_it() {
        let seed =
            b"INVITE sip:a:b@h SIP/2.0\r\nAuthorization: x\r\nCall-ID: 1\r\n\r\na=crypto:1\r\n";
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..50_000 {
            let mut message = seed.to_vec();
            for _ in 0..3 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                let place = (dice >> 8) as usize % message.len();
                message[place] = dice as u8;
            }
            assert!(!redacted(&message).is_empty());
        }
    }

    #[test]
    fn only_calls_that_have_begun_are_kept_and_of_each_the_last_messages() {
        let trace = Trace::default();
        trace.received(Transport::Udp, peer(), &message("stranger", ""));
        assert!(trace.of_call("stranger").is_empty());
        trace.begin("c");
        let leg = LegHandle::from_u64(7);
        trace.name(leg, "c");
        for number in 0..MAX_MESSAGES + 5 {
            let text = message("c", &format!("X: {number}\r\n"));
            trace.sent(Transport::Udp, peer(), &text);
        }
        let kept = trace.of_call("c");
        assert_eq!(kept.len(), MAX_MESSAGES);
        assert!(kept[0].text.contains("X: 5\r\n") && kept[0].is_sent);
        assert_eq!(trace.call_id_of(leg).as_deref(), Some("c"));
    }

    #[test]
    fn memory_is_bounded_and_what_is_alive_stays() {
        let trace = Trace::default();
        let big = format!("X: {}\r\n", "y".repeat(MAX_TEXT));
        trace.begin("alive");
        let leg = LegHandle::from_u64(1);
        trace.begin("first");
        trace.name(leg, "first");
        for number in 0..40 {
            let id = format!("call-{number}");
            trace.begin(&id);
            for _ in 0..100 {
                trace.received(Transport::Udp, peer(), &message(&id, &big));
            }
            trace.received(Transport::Udp, peer(), &message("alive", ""));
        }
        assert_eq!(trace.of_call("alive").len(), 40);
        assert!(trace.of_call("call-0").is_empty());
        assert_eq!(trace.of_call("call-39").len(), 100);
        assert!(trace.of_call("call-39")[0].text.len() <= MAX_TEXT);
        assert_eq!(trace.call_id_of(leg), None);
        let (bytes, order, calls) =
            trace.with(|store| (store.bytes, store.order.len(), store.calls.len()));
        assert!(bytes <= MAX_BYTES && order == calls, "{bytes} {order} {calls}");
        for number in 0..400_000 {
            trace.begin(&format!("empty-{number}"));
        }
        assert!(trace.with(|store| store.bytes) <= MAX_BYTES);
    }
}
