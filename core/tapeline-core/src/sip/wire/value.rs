//! Header values, read as text: what rsipstack would rewrite, forget or decode twice.

use rsipstack::sip::uri::{Domain, Host, HostWithPort, Scheme, Uri};

/// Drops blanks around the separators of parameters (and, for Via, around `/` and `:`), outside
/// quotes and angle brackets: `tag = x` is legal (RFC 3261 §25.1 EQUAL), rsipstack misses it.
pub(super) fn tightened(value: &str, is_via: bool) -> String {
    let mut out = String::with_capacity(value.len());
    let mut scan = Scan::default();
    let mut skip_blanks = false;
    for c in value.chars() {
        if skip_blanks && (c == ' ' || c == '\t') {
            continue;
        }
        skip_blanks = false;
        let is_plain = scan.is_plain(c);
        if is_plain && (c == ';' || c == '=' || (is_via && (c == '/' || c == ':'))) {
            out.truncate(out.trim_end().len());
            skip_blanks = true;
        }
        out.push(c);
    }
    out
}

/// Follows quotes and angle brackets.
#[derive(Default)]
struct Scan {
    is_quoted: bool,
    is_escaped: bool,
    is_bracketed: bool,
}

impl Scan {
    /// Whether `c` stands outside quotes and brackets.
    fn is_plain(&mut self, c: char) -> bool {
        if self.is_quoted {
            if self.is_escaped {
                self.is_escaped = false;
            } else if c == '\\' {
                self.is_escaped = true;
            } else if c == '"' {
                self.is_quoted = false;
            }
            return false;
        }
        match c {
            '"' if !self.is_bracketed => self.is_quoted = true,
            '<' => self.is_bracketed = true,
            '>' => self.is_bracketed = false,
            _ => return !self.is_bracketed,
        }
        false
    }
}

/// Splits at a separator outside quotes and brackets.
fn split(value: &str, separator: char) -> Vec<&str> {
    let mut scan = Scan::default();
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, c) in value.char_indices() {
        if scan.is_plain(c) && c == separator {
            parts.push(value.get(start..at).unwrap_or_default().trim());
            start = at + c.len_utf8();
        }
    }
    parts.push(value.get(start..).unwrap_or_default().trim());
    parts
}

/// The values of a comma-separated header.
pub(crate) fn list(value: &str) -> impl Iterator<Item = &str> {
    split(value, ',').into_iter().filter(|part| !part.is_empty())
}

/// First Via value with `received` and `rport` as seen (RFC 3581), later values untouched.
///
/// They are written even when not asked for: most peers that need them do not ask.
pub(super) fn stamped_via(value: &str, source: std::net::SocketAddr) -> String {
    let mut values = split(value, ',').into_iter();
    let mut out = String::new();
    for (place, part) in split(values.next().unwrap_or_default(), ';').into_iter().enumerate() {
        let name = part.split('=').next().unwrap_or_default();
        if place > 0
            && (name.eq_ignore_ascii_case("received") || name.eq_ignore_ascii_case("rport"))
        {
            continue;
        }
        if place > 0 {
            out.push(';');
        }
        out.push_str(part);
    }
    out.push_str(&format!(";received={};rport={}", source.ip(), source.port()));
    for more in values {
        out.push_str(", ");
        out.push_str(more);
    }
    out
}

/// A parameter of the header, not of the URI inside its brackets.
pub(crate) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    split(value, ';').into_iter().skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The tag of a From or To.
pub(crate) fn tag(value: &str) -> Option<&str> {
    parameter(value, "tag").filter(|tag| !tag.is_empty())
}

/// The URI of a name-addr or addr-spec, without brackets.
pub(crate) fn uri_of(value: &str) -> Option<&str> {
    let mut scan = Scan::default();
    let mut start = None;
    for (at, c) in value.char_indices() {
        let was_bracketed = scan.is_bracketed;
        scan.is_plain(c);
        if scan.is_bracketed && !was_bracketed {
            start = Some(at + 1);
        } else if was_bracketed && !scan.is_bracketed {
            return value.get(start?..at).map(str::trim);
        }
    }
    if start.is_some() {
        return None;
    }
    // Without brackets every parameter belongs to the header (RFC 3261 §20).
    value.split(';').next().map(str::trim).filter(|uri| !uri.is_empty())
}

/// The first Contact that names an address.
pub(crate) fn contact_uri(value: &str) -> Option<&str> {
    let first = list(value).next()?;
    uri_of(first).filter(|uri| uri.contains(':'))
}

/// What stands before the brackets, unquoted.
pub(crate) fn display_name(value: &str) -> String {
    let mut scan = Scan::default();
    let end = value.char_indices().find(|&(_, c)| {
        scan.is_plain(c);
        scan.is_bracketed
    });
    let Some((end, _)) = end else { return String::new() };
    let name = value.get(..end).unwrap_or_default().trim();
    let Some(quoted) = name.strip_prefix('"') else { return name.to_owned() };
    let mut out = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// The user part of a sip, sips or tel URI, percent-decoded, without a password; empty when none.
pub(crate) fn user_of(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once(':') else { return String::new() };
    let user = if scheme.eq_ignore_ascii_case("tel") {
        rest.split(';').next().unwrap_or_default()
    } else {
        match rest.split_once('@') {
            Some((user, _)) => user.split(':').next().unwrap_or_default(),
            None => "",
        }
    };
    percent_decoded(user)
}

/// `%41` is `A`; what is no escape stays; control characters vanish.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| byte == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            digits.bytes().all(|d| d.is_ascii_hexdigit()).then_some(())?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    let text = String::from_utf8_lossy(&bytes);
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A URI that rsipstack writes as it stands; its own parser would escape escapes again.
pub(crate) fn verbatim(uri: &str) -> Uri {
    let (scheme, rest) = uri.split_once(':').unwrap_or(("sip", uri));
    let host = Host::Domain(Domain(rest.to_owned()));
    Uri {
        scheme: Some(Scheme::Other(scheme.to_owned())),
        host_with_port: HostWithPort { host, port: None },
        ..Uri::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_go_only_where_they_mean_nothing() {
        let cases = [
            ("<sip:a@b> ; tag = x", "<sip:a@b>;tag=x"),
            ("\"a ; b = c\" <sip:a ; x@b> ;tag =x", "\"a ; b = c\" <sip:a ; x@b>;tag=x"),
            ("\"q\\\" ; \" <sip:a>", "\"q\\\" ; \" <sip:a>"),
        ];
        for (value, expected) in cases {
            assert_eq!(tightened(value, false), expected);
        }
        let via = "SIP / 2.0 / UDP host : 5060 ; branch = z";
        assert_eq!(tightened(via, true), "SIP/2.0/UDP host:5060;branch=z");
    }

    #[test]
    fn a_via_tells_where_it_came_from() {
        let source = "192.0.2.9:4321".parse().unwrap();
        let cases = [
            (
                "SIP/2.0/UDP a;branch=z;rport",
                "SIP/2.0/UDP a;branch=z;received=192.0.2.9;rport=4321",
            ),
            (
                "SIP/2.0/UDP a;rport=1;received=1.1.1.1;branch=z, SIP/2.0/UDP b;rport",
                "SIP/2.0/UDP a;branch=z;received=192.0.2.9;rport=4321, SIP/2.0/UDP b;rport",
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(stamped_via(value, source), expected);
        }
        let six = stamped_via("SIP/2.0/UDP [::1];branch=z", "[::1]:5".parse().unwrap());
        assert_eq!(six, "SIP/2.0/UDP [::1];branch=z;received=::1;rport=5");
    }

    #[test]
    fn parts_of_an_address_are_found() {
        let cases = [
            ("\"A, <B>\" <sip:u@h;tag=no>;tag=t1", Some("sip:u@h;tag=no"), Some("t1"), "A, <B>"),
            ("sip:u@h;tag=t2", Some("sip:u@h"), Some("t2"), ""),
            ("Bob <sip:u@h>", Some("sip:u@h"), None, "Bob"),
            ("\"a\\\"b\" <sip:u@h>;TAG=t3", Some("sip:u@h"), Some("t3"), "a\"b"),
            ("<sip:u@h", None, None, ""),
            ("", None, None, ""),
        ];
        for (value, uri, expected_tag, name) in cases {
            assert_eq!(uri_of(value), uri, "{value}");
            assert_eq!(tag(value), expected_tag, "{value}");
            assert_eq!(display_name(value), name, "{value}");
        }
        assert_eq!(contact_uri("<sip:a@b:1>;x=\",\", <sip:c>"), Some("sip:a@b:1"));
        assert_eq!(contact_uri("*"), None);
    }

    #[test]
    fn users_are_decoded_once() {
        let cases = [
            ("sip:%2B49%20x@h", "+49 x"),
            ("sip:a:secret@h;x=y", "a"),
            ("sip:a;p=1@h", "a;p=1"),
            ("sip:room-My%20Conf@h", "room-My Conf"),
            ("sip:50%@h", "50%"),
            ("sip:%zz%4@h", "%zz%4"),
            ("sip:%00a%0d@h", "a"),
            ("tel:+123;phone-context=x", "+123"),
            ("sip:h", ""),
            ("x", ""),
        ];
        for (uri, user) in cases {
            assert_eq!(user_of(uri), user, "{uri}");
        }
    }

    #[test]
    fn uris_are_sent_as_they_came() {
        for uri in ["sip:%2B49@192.0.2.1:5060;ob;x=1", "sips:a;b@h?c=d", "tel:+1"] {
            assert_eq!(verbatim(uri).to_string(), uri);
        }
    }
}
