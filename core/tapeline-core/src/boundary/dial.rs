//! An outgoing call as the control plane asks for it. Checked when it is made, so that nothing in it can
//! become another header line, another address or another request.

use std::fmt;
use std::time::Duration;

use crate::boundary::destination::Destination;
use crate::boundary::trunk::check_login;
use crate::media::codec::Rate;
use crate::sdp::Preference;

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

/// What our INVITE says of SRTP, where that is not as the node has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallSrtp {
    Never,
    /// Where its keys may travel; once more without it when the far end does not take that.
    Offer,
    Require,
}

impl CallSrtp {
    /// `never`, `offer`, `require`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "never" => Some(Self::Never),
            "offer" => Some(Self::Offer),
            "require" => Some(Self::Require),
            _ => None,
        }
    }
}

/// Who we are to a far end that asks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub username: String,
    pub password: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A call that may be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Dial {
    pub(crate) uri: String,
    pub(crate) destination: Destination,
    /// User part of From, escaped; empty: anonymous.
    pub(crate) caller: String,
    /// As between the quotes of a display name.
    pub(crate) caller_name: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) ring_limit: Duration,
    /// Answers 401 and 407.
    pub(crate) account: Option<Account>,
    /// URI of P-Asserted-Identity; empty: none.
    pub(crate) asserted: String,
    pub(crate) is_private: bool,
    /// None: the node's.
    pub(crate) codecs: Option<Preference>,
    pub(crate) srtp: Option<CallSrtp>,
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
            account: None,
            asserted: String::new(),
            is_private: false,
            codecs: None,
            srtp: None,
        })
    }

    /// Answers challenges so; not at all with an empty user name.
    pub fn with_account(mut self, username: &str, password: &str) -> Result<Self, BadDial> {
        check_login(username, password).map_err(|error| BadDial(error.to_string()))?;
        let account = Account { username: username.to_owned(), password: password.to_owned() };
        self.account = (!username.is_empty()).then_some(account);
        Ok(self)
    }

    /// Who really calls, for carriers (RFC 3325 §9.1): a `sip:`, `sips:` or `tel:` URI, or nothing;
    /// `is_private` keeps it from the called (§9.3).
    pub fn with_identity(mut self, asserted: &str, is_private: bool) -> Result<Self, BadDial> {
        let is_number = |text: &str| {
            (1..=MAX_CALLER).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.()*#;=".contains(&b))
        };
        let is_uri = match asserted.strip_prefix("tel:") {
            Some(number) => is_number(number),
            None => asserted.is_empty() || Destination::of_uri(asserted).is_ok(),
        };
        if !is_uri {
            return Err(BadDial(format!("{asserted:?} is no identity: a sip: or tel: URI is")));
        }
        self.asserted = asserted.to_owned();
        self.is_private = is_private;
        Ok(self)
    }

    /// Fewer codecs than the node's, in this order (empty: the node's), and SRTP otherwise than it has
    /// it (None: the same).
    pub fn with_audio(
        mut self,
        codecs: &[String],
        srtp: Option<CallSrtp>,
    ) -> Result<Self, BadDial> {
        if !codecs.is_empty() {
            self.codecs = Some(Preference::new(codecs, Rate::Wide).map_err(BadDial)?);
        }
        self.srtp = srtp;
        Ok(self)
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
    fn who_calls_is_said_to_carriers_in_uris_only() {
        let identity = |asserted: &str| dial("sip:b@h").unwrap().with_identity(asserted, true);
        for good in ["", "sip:+4930@carrier.example", "sips:a@h", "tel:+49-30;phone-context=x"] {
            assert_eq!(identity(good).unwrap().asserted, good);
        }
        for bad in ["+4930", "sip:a@h>", "sip:a@h\r\nX: y", "tel:", "tel:1\r\n", "mailto:a@h"] {
            assert!(identity(bad).is_err(), "{bad:?}");
        }
        let account = dial("sip:b@h").unwrap().with_account("ann", "secret").unwrap();
        assert!(!format!("{account:?}").contains("secret"));
        assert_eq!(dial("sip:b@h").unwrap().with_account("", "x").unwrap().account, None);
        assert!(dial("sip:b@h").unwrap().with_account("a\n", "x").is_err());
        let audio = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            dial("sip:b@h").unwrap().with_audio(&names, None)
        };
        assert_eq!(audio(&[]).unwrap().codecs, None);
        assert!(audio(&["PCMA"]).unwrap().codecs.is_some());
        assert!(audio(&["GSM"]).is_err());
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
