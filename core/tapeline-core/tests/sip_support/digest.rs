//! What a telephone makes of a challenge (RFC 7616), by hand.

use md5::Md5;
use sha2::{Digest, Sha256};

use super::Message;

/// Who proves it, and how.
#[derive(Clone, Debug)]
pub struct Prover {
    pub username: String,
    pub password: String,
    /// `MD5` or `SHA-256`.
    pub algorithm: &'static str,
    pub nc: String,
}

pub fn ha1(algorithm: &str, username: &str, realm: &str, password: &str) -> String {
    hash(algorithm, &format!("{username}:{realm}:{password}"))
}

pub fn hash(algorithm: &str, text: &str) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match algorithm {
        "MD5" => hex(&Md5::digest(text)),
        "SHA-256" => hex(&Sha256::digest(text)),
        other => panic!("{other}"),
    }
}

/// A quoted or bare parameter of a header value.
pub fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = value.split_once(&format!("{name}="))?;
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split([',', ' ', '\r']).next(),
    }
}

impl Prover {
    pub fn new(username: &str, password: &str) -> Self {
        let (username, password) = (username.to_owned(), password.to_owned());
        Self { username, password, algorithm: "SHA-256", nc: "00000001".into() }
    }

    /// The value of an Authorization header.
    pub fn value(&self, challenge: &str, method: &str, uri: &str) -> String {
        let Self { username, password, algorithm, nc } = self;
        let realm = parameter(challenge, "realm").unwrap();
        let nonce = parameter(challenge, "nonce").unwrap();
        let secret = ha1(algorithm, username, realm, password);
        let asked = hash(algorithm, &format!("{method}:{uri}"));
        let response = hash(algorithm, &format!("{secret}:{nonce}:{nc}:0c:auth:{asked}"));
        format!(
            "Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm={algorithm}, cnonce=\"0c\", qop=auth, nc={nc}"
        )
    }

    /// The header line that answers a 401.
    pub fn line(&self, refused: &Message, method: &str, uri: &str) -> String {
        let challenges = refused.all("WWW-Authenticate");
        let wanted = format!("algorithm={}", self.algorithm);
        let challenge = challenges.iter().find(|c| c.contains(&wanted)).expect("no challenge");
        format!("Authorization: {}\r\n", self.value(challenge, method, uri))
    }
}
