//! Header fields that rsipstack keeps as text, by name; extensions that we speak.

use rsipstack::sip::{Header, Headers};

use crate::sip::wire::value::list;

/// Option tags (RFC 3261 §19.2) that may stand in `Require:`.
pub(crate) const SUPPORTED: [&str; 3] = ["100rel", "replaces", "timer"];

/// The value of the first header of a kind: `first!(headers, Supported)`.
macro_rules! first {
    ($headers:expr, $kind:ident) => {
        $headers.iter().find_map(|header| match header {
            rsipstack::sip::Header::$kind(value) => Some(value.value()),
            _ => None,
        })
    };
}
pub(crate) use first;

/// What the sender of a message says of one option tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extension {
    #[default]
    Unknown,
    Supported,
    Required,
}

impl Extension {
    pub fn of(headers: &Headers, option: &str) -> Self {
        let names = |value: &str| list(value).any(|name| name.eq_ignore_ascii_case(option));
        let said = headers.iter().map(|header| match header {
            Header::Require(value) if names(value.value()) => Self::Required,
            Header::Supported(value) if names(value.value()) => Self::Supported,
            _ => Self::Unknown,
        });
        said.max().unwrap_or_default()
    }
}

/// Whether `Allow:` names the method; without one nothing is known of it.
pub(crate) fn allows(headers: &Headers, method: &str) -> Option<bool> {
    let mut allowed = headers.iter().filter_map(|header| match header {
        Header::Allow(value) => Some(value.value()),
        _ => None,
    });
    let first = allowed.next()?;
    let names = |value: &str| list(value).any(|name| name.eq_ignore_ascii_case(method));
    Some(names(first) || allowed.any(names))
}

/// Of the options in a `Require:` those that nobody here knows, with commas between them.
pub(super) fn unsupported<'a>(required: impl Iterator<Item = &'a str>) -> Option<String> {
    let is_known = |name: &&str| SUPPORTED.iter().any(|known| known.eq_ignore_ascii_case(name));
    let unknown: Vec<_> = required.flat_map(list).filter(|name| !is_known(name)).collect();
    (!unknown.is_empty()).then(|| unknown.join(", "))
}

pub(crate) fn supported() -> Header {
    Header::Supported(SUPPORTED.join(", ").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_found_in_every_line_that_may_name_them() {
        let headers: Headers = vec![
            Header::Supported("timer, 100REL".into()),
            Header::Allow("INVITE, ack".into()),
            Header::Allow("UPDATE".into()),
            Header::Require("timer".into()),
        ]
        .into();
        assert_eq!(Extension::of(&headers, "100rel"), Extension::Supported);
        assert_eq!(Extension::of(&headers, "timer"), Extension::Required);
        assert_eq!(Extension::of(&headers, "time"), Extension::Unknown);
        assert_eq!(first!(headers, Allow), Some("INVITE, ack"));
        let allowed = ["update", "ACK", "REFER"].map(|method| allows(&headers, method));
        assert_eq!(allowed, [Some(true), Some(true), Some(false)]);
        assert_eq!(allows(&Headers::default(), "ACK"), None);
    }

    #[test]
    fn only_what_is_unknown_is_told_as_unsupported() {
        assert_eq!(unsupported(["100rel, Timer", "replaces"].into_iter()), None);
        let unknown = unsupported(["100rel, x", "", "precondition"].into_iter());
        assert_eq!(unknown.as_deref(), Some("x, precondition"));
    }
}
