//! Start line, header lines and body of a datagram.

use std::borrow::Cow;

/// Bytes of start line and headers; a phone's INVITE has about 1,000.
const MAX_HEAD: usize = 32 * 1024;
const MAX_HEADERS: usize = 256;

/// A message taken apart; values are unfolded and are UTF-8.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    pub start: String,
    /// Long names for the compact forms we look at; others as written.
    pub headers: Vec<(String, String)>,
    /// Bytes before the body.
    pub length: usize,
}

/// What makes a datagram unreadable as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// No empty line after the headers.
    Unfinished,
    TooLarge,
}

impl Head {
    pub fn parse(datagram: &[u8]) -> Result<Self, (HeadError, Option<Self>)> {
        let (head_end, length, is_finished) = match find(datagram, b"\r\n\r\n") {
            Some(at) => (at, at + 4, true),
            None => match find(datagram, b"\n\n") {
                Some(at) => (at, at + 2, true),
                None => (datagram.len(), datagram.len(), false),
            },
        };
        if head_end > MAX_HEAD {
            return Err((HeadError::TooLarge, None));
        }
        let head = Self::split(datagram.get(..head_end).unwrap_or_default(), length);
        if head.headers.len() > MAX_HEADERS {
            return Err((HeadError::TooLarge, Some(head)));
        }
        if is_finished { Ok(head) } else { Err((HeadError::Unfinished, Some(head))) }
    }

    fn split(bytes: &[u8], length: usize) -> Self {
        let mut lines = bytes.split(|&byte| byte == b'\n').map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            decoded(line)
        });
        let start = lines.next().unwrap_or_default().into_owned();
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = headers.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':')
                && is_token(name.trim_end())
            {
                // Other malformed header lines are ignored (RFC 3261 §7.3.1).
                headers.push((long_name(name.trim_end()).to_owned(), value.trim().to_owned()));
            }
            if headers.len() > MAX_HEADERS {
                break;
            }
        }
        Self { start, headers, length }
    }

    pub fn first(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }
}

/// UTF-8 as it is; else each byte as the Latin-1 character that old phones mean (RFC 3261 wants
/// UTF-8). Control characters vanish.
fn decoded(line: &[u8]) -> Cow<'_, str> {
    let text = match std::str::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(line.iter().map(|&byte| char::from(byte)).collect()),
    };
    if text.contains(|c: char| c.is_control() && c != '\t') {
        return Cow::Owned(text.chars().filter(|c| !c.is_control() || *c == '\t').collect());
    }
    text
}

/// RFC 3261 §25.1 `token`.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}

/// RFC 3261 §7.3.3.
fn long_name(name: &str) -> &str {
    match name {
        "v" | "V" => "Via",
        "f" | "F" => "From",
        "t" | "T" => "To",
        "i" | "I" => "Call-ID",
        "m" | "M" => "Contact",
        "l" | "L" => "Content-Length",
        "c" | "C" => "Content-Type",
        "e" | "E" => "Content-Encoding",
        "k" | "K" => "Supported",
        "s" | "S" => "Subject",
        "x" | "X" => "Session-Expires",
        "r" | "R" => "Refer-To",
        "b" | "B" => "Referred-By",
        name => name,
    }
}

/// Without the empty lines that some peers send before a message; all of it gone is a keep-alive.
pub(crate) fn trim(datagram: &[u8]) -> &[u8] {
    let start = datagram.iter().position(|&byte| byte != b'\r' && byte != b'\n');
    start.and_then(|start| datagram.get(start..)).unwrap_or_default()
}

/// The Call-ID, found without taking the message apart: decides whether a datagram belongs to a
/// live call before anything is spent on it.
pub(crate) fn call_id(datagram: &[u8]) -> Option<&str> {
    let lines = datagram.split(|&byte| byte == b'\n').skip(1).take(MAX_HEADERS);
    for line in lines {
        if line.is_empty() || line == b"\r" {
            return None;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = line.get(..colon).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i") {
            return std::str::from_utf8(line.get(colon + 1..)?.trim_ascii()).ok();
        }
    }
    None
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_compact_and_latin_1_lines_are_read() {
        let head = Head::parse(
            b"OPTIONS sip:a SIP/2.0\r\nv : SIP/2.0/UDP x\r\nSubject: one\r\n\t two\r\n\
              f: J\xf6rg <sip:j@x>;tag=1\r\nno header\r\nbad name: 1\r\nX-\x01A: b\r\n\r\nbody",
        )
        .unwrap();

        assert_eq!(head.start, "OPTIONS sip:a SIP/2.0");
        assert_eq!(head.first("via"), Some("SIP/2.0/UDP x"));
        assert_eq!(head.first("Subject"), Some("one two"));
        assert_eq!(head.first("From"), Some("Jörg <sip:j@x>;tag=1"));
        assert_eq!(head.first("X-A"), Some("b"));
        assert_eq!(head.headers.len(), 4);
    }

    #[test]
    fn bounds_hold() {
        let many = format!("A sip:a SIP/2.0\r\n{}\r\n", "x: y\r\n".repeat(300));
        let long = format!("A sip:a SIP/2.0\r\nx: {}\r\n\r\n", "y".repeat(MAX_HEAD));
        assert_eq!(Head::parse(many.as_bytes()).unwrap_err().0, HeadError::TooLarge);
        assert_eq!(Head::parse(long.as_bytes()).unwrap_err().0, HeadError::TooLarge);
        assert_eq!(Head::parse(b"A sip:a SIP/2.0\r\nx: y").unwrap_err().0, HeadError::Unfinished);
    }

    #[test]
    fn the_call_id_is_found_in_both_forms_and_only_in_the_head() {
        assert_eq!(call_id(b"A\r\nVia: x\r\nCall-Id :  q@w \r\n\r\n"), Some("q@w"));
        assert_eq!(call_id(b"A\r\ni:1\r\n\r\n"), Some("1"));
        assert_eq!(call_id(b"A\r\n\r\nCall-ID: body"), None);
        assert_eq!(call_id(b"\x00\xff"), None);
        assert_eq!(trim(b"\r\n\r\nA"), b"A");
        assert_eq!(trim(b"\r\n\r\n"), b"");
    }
}
