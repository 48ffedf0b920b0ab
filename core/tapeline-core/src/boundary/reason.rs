//! Why a call ends, as SIP says it (RFC 3326).

use std::fmt;

/// Characters of the text that are sent.
const MAX_TEXT: usize = 100;

/// The value of a `Reason:` header: a SIP status and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    cause: u16,
    text: String,
}

impl Reason {
    /// `cause` is the SIP status that would have said it, 200 to 699; what of `text` could break the
    /// header is left out.
    pub fn new(cause: u16, text: &str) -> Option<Self> {
        let is_harmless = |c: &char| !c.is_control() && *c != '"' && *c != '\\';
        let text = text.chars().filter(is_harmless).take(MAX_TEXT).collect();
        (200..700).contains(&cause).then_some(Self { cause, text })
    }

    pub(crate) fn known(cause: u16, text: &'static str) -> Self {
        Self { cause, text: text.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP;cause={}", self.cause)?;
        if !self.text.is_empty() {
            write!(f, ";text=\"{}\"", self.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_cannot_become_another_header() {
        let cases = [
            (
                200,
                "Call completed elsewhere",
                Some("SIP;cause=200;text=\"Call completed elsewhere\""),
            ),
            (486, "", Some("SIP;cause=486")),
            (500, "a\r\nTo: b\"c\\", Some("SIP;cause=500;text=\"aTo: bc\"")),
            (199, "", None),
            (700, "", None),
        ];
        for (cause, text, expected) in cases {
            let reason = Reason::new(cause, text).map(|reason| reason.to_string());
            assert_eq!(reason.as_deref(), expected, "{cause} {text:?}");
        }
        let long = Reason::new(200, &"x".repeat(1_000)).unwrap().to_string();
        assert_eq!(long.len(), "SIP;cause=200;text=\"\"".len() + MAX_TEXT);
    }
}
