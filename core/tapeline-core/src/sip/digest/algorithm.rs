//! The hashes of digest authentication and what is hashed (RFC 7616 §3.4).

use md5::Md5;
use sha2::{Digest, Sha256};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hash {
    Md5,
    Sha256,
}

/// An `algorithm`; the weaker hash is the smaller value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Algorithm {
    pub hash: Hash,
    /// The nonces go into A1 (`-sess`).
    pub is_session: bool,
}

impl Algorithm {
    /// By its token, which ignores case; no token means MD5.
    pub fn parse(token: Option<&str>) -> Option<Self> {
        let token = token.unwrap_or("MD5").to_ascii_lowercase();
        let (name, is_session) = match token.strip_suffix("-sess") {
            Some(name) => (name, true),
            None => (token.as_str(), false),
        };
        let hash = match name {
            "md5" => Hash::Md5,
            "sha-256" => Hash::Sha256,
            _ => return None,
        };
        Some(Self { hash, is_session })
    }
}

impl Hash {
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// Lower-case hex of the hash of the parts with colons between them.
    pub fn of(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Self::Md5 => hex(&Md5::digest(text)),
            Self::Sha256 => hex(&Sha256::digest(text)),
        }
    }

    /// Characters of [`of`](Self::of).
    pub fn width(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha256 => 64,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a response is made of besides the secret.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub method: &'a str,
    pub uri: &'a str,
    pub nonce: &'a str,
    /// `nc` and `cnonce` with `qop=auth`; None without any `qop` (RFC 2617 §3.2.2.1).
    pub count: Option<(&'a str, &'a str)>,
}

/// The `response` of somebody whose H(user:realm:password) is `ha1`.
pub(super) fn response(hash: Hash, ha1: &str, question: &Question<'_>) -> String {
    let Question { method, uri, nonce, count } = *question;
    let ha2 = hash.of(&[method, uri]);
    match count {
        Some((nc, cnonce)) => hash.of(&[ha1, nonce, nc, cnonce, "auth", &ha2]),
        None => hash.of(&[ha1, nonce, &ha2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfcs_come_out() {
        // RFC 7616 §3.9.1.
        let question = Question {
            method: "GET",
            uri: "/dir/index.html",
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            count: Some(("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
        };
        for (hash, expected) in [
            (Hash::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Hash::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let ha1 = hash.of(&["Mufasa", "http-auth@example.org", "Circle of Life"]);
            assert_eq!(response(hash, &ha1, &question), expected);
            assert_eq!(expected.len(), hash.width());
        }
        // RFC 2617 §3.5, and its terms without qop.
        let old = Question {
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            count: Some(("00000001", "0a4f113b")),
            ..question
        };
        let ha1 = Hash::Md5.of(&["Mufasa", "testrealm@host.com", "Circle Of Life"]);
        assert_eq!(response(Hash::Md5, &ha1, &old), "6629fae49393a05397450978507c4ef1");
        let older = Question { count: None, ..old };
        assert_eq!(response(Hash::Md5, &ha1, &older), "670fd8c2df070c60b045671b8b24ff02");
    }

    #[test]
    fn algorithms_are_known_by_their_registered_names() {
        let known = |hash, is_session| Some(Algorithm { hash, is_session });
        for (token, expected) in [
            (None, known(Hash::Md5, false)),
            (Some("md5"), known(Hash::Md5, false)),
            (Some("MD5-sess"), known(Hash::Md5, true)),
            (Some("SHA-256"), known(Hash::Sha256, false)),
            (Some("sha-256-SESS"), known(Hash::Sha256, true)),
            (Some("SHA256"), None),
            (Some("SHA-512-256"), None),
            (Some(""), None),
        ] {
            assert_eq!(Algorithm::parse(token), expected, "{token:?}");
        }
    }
}
