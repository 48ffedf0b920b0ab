//! An outgoing call as the control plane asks for it. Checked when it is made, so that nothing in it can
//! become another header line, another address or another request.

use std::fmt;
use std::time::Duration;

use crate::boundary::destination::Destination;

/// Characters of a name, bytes of all extra headers together: an INVITE stays one datagram.
const MAX_CALLER: usize = 256;
const MAX_HEADERS: usize = 32;
const MAX_HEADER_BYTES: usize = 8_192;
/// No call rings for longer.
const MAX_RING: Duration = Duration::from_secs(24 * 3_600);

/// What cannot be dialled, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDial(String);

impl fmt::Display for BadDial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadDial {}

/// A call that may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    pub(crate) uri: String,
    pub(crate) destination: Destination,
    /// User part of From, escaped; empty: anonymous.
    pub(crate) caller: String,
    /// As between the quotes of a display name.
    pub(crate) caller_name: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) ring_limit: Duration,
}

impl Dial {
    /// `uri` is a `sip:` or `sips:` URI; `headers` are named `X-…`; after `ring_limit` (a day at most)
    /// without an answer the call is cancelled.
    pub fn new(
        uri: &str,
        caller: &str,
        caller_name: &str,
        headers: Vec<(String, String)>,
        ring_limit: Duration,
    ) -> Result<Self, BadDial> {
        let destination =
            Destination::of_uri(uri).map_err(|why| BadDial(format!("{uri:?} {why}")))?;
        for (what, text) in [("caller", caller), ("caller name", caller_name)] {
            if text.chars().count() > MAX_CALLER || text.contains(char::is_control) {
                let rule = format!("exceeds {MAX_CALLER} characters or holds control characters");
                return Err(BadDial(format!("the {what} {text:?} {rule}")));
            }
        }
        check_headers(&headers)?;
        Ok(Self {
            uri: uri.to_owned(),
            destination,
            caller: escaped_user(caller),
            caller_name: caller_name.replace('\\', "\\\\").replace('"', "\\\""),
            headers,
            ring_limit: ring_limit.min(MAX_RING),
        })
    }

    /// Sends it there instead of where its URI says: a registered phone's route
    /// (`tls;192.0.2.1:40000`), or a URI. Nothing when empty.
    pub fn by_route(mut self, route: &str) -> Result<Self, BadDial> {
        if !route.is_empty() {
            self.destination =
                Destination::of_route(route).map_err(|why| BadDial(format!("{route:?} {why}")))?;
        }
        Ok(self)
    }
}

/// RFC 3261 §25.1 `user`; what could be read as a parameter is escaped too.
fn escaped_user(caller: &str) -> String {
    let mut out = String::with_capacity(caller.len());
    for byte in caller.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn check_headers(headers: &[(String, String)]) -> Result<(), BadDial> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        let rule = format!("{MAX_HEADERS} headers and {MAX_HEADER_BYTES} bytes are the limit");
        return Err(BadDial(format!("{} headers of {bytes} bytes: {rule}", headers.len())));
    }
    for (name, value) in headers {
        let is_own = name.get(..2).is_some_and(|x| x.eq_ignore_ascii_case("x-"));
        let is_token =
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
        if !is_own || name.len() < 3 || !is_token {
            return Err(BadDial(format!("{name:?} is no header that a call may add (X-…)")));
        }
        if value.contains(char::is_control) {
            return Err(BadDial(format!("the header {name} holds control characters")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(uri: &str) -> Result<Dial, BadDial> {
        Dial::new(uri, "", "", vec![], Duration::from_secs(30))
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("sip:{}@h", "x".repeat(1_024));
        for uri in [
            "",
            "sip:",
            "sip:@h",
            "bob@h",
            "tel:+49",
            "sip:bob@",
            "sip:bob@h:0",
            "sip:bob@h:99999",
            "sip:bob@h:",
            "sip:bob@h:5060:1",
            "sip:bob@[::1",
            "sip:bob@[::1]x",
            "sip:bob@[h]",
            "sip:bob@1.2.3.400",
            "sip:bob@a..b",
            "sip:bob@h@i",
            "sip:bob@h;transport=ws",
            "sip:bob@h;x;Transport=sctp",
            "sips:bob@h;transport=udp",
            "sip:bob@h?Subject=x",
            "sip:bob@h\r\nX: y",
            "sip:b ob@h",
            "sip:b\"ob@h",
            "sip:<bob@h>",
            "sip:b\u{f6}b@h",
            "sip:b%@h",
            "sip:b%4x@h",
            long.as_str(),
        ] {
            assert!(dial(uri).is_err(), "{uri:?}");
        }
        assert_eq!(dial("tel:1").unwrap_err().to_string(), "\"tel:1\" is no sip: or sips: URI");
    }

    #[test]
    fn nothing_given_becomes_a_header_line_of_its_own() {
        let make = |caller: &str, name: &str, headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
            Dial::new("sip:bob@h", caller, name, headers, Duration::from_secs(30))
        };
        let dial = make("+49 \"30\";<x>@y", "A \\ \"B\" \u{f6}", &[("x-1", "a: b")]).unwrap();
        assert_eq!(dial.caller, "+49%20%2230%22%3B%3Cx%3E%40y");
        assert_eq!(dial.caller_name, "A \\\\ \\\"B\\\" \u{f6}");
        assert_eq!(dial.headers, [("x-1".to_owned(), "a: b".to_owned())]);

        assert!(make("1\r\nVia: x", "", &[]).is_err());
        assert!(make("", "a\nb", &[]).is_err());
        assert!(make("", "", &[("X-A", "b\rc")]).is_err());
        for name in ["Via", "X-", "", "X-a b", "X-a:", "X-\r\nb", "\u{f6}-a"] {
            assert!(make("", "", &[(name, "v")]).is_err(), "{name:?}");
        }
        let many: Vec<_> = (0..33).map(|_| ("X-A", "b")).collect();
        assert!(make("", "", &many).is_err());
        assert!(make("", "", &[("X-A", &"b".repeat(9_000))]).is_err());
    }
}
