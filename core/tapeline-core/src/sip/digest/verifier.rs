//! Whose request it is: the challenge we send and the proof that comes back (RFC 8760 §2).

use std::collections::HashMap;
use std::time::Instant;

use crate::boundary::identity::Credential;
use crate::sip::digest::algorithm::{Algorithm, Hash, Question, response};
use crate::sip::digest::fields::Fields;
use crate::sip::digest::nonce::{KEY, Nonces, Standing};

/// Proofs of one request that are looked at.
const MAX_PROOFS: usize = 4;
/// What we offer, the best first (RFC 8760 §2.3).
const OFFERED: [Hash; 2] = [Hash::Sha256, Hash::Md5];

/// What the proofs of a request show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The owner of the credential.
    Of(String),
    /// None for our realm.
    Missing,
    /// The password is known, the nonce is too old or was used with this count.
    Stale,
    Wrong {
        /// It answers a challenge of ours: this is no forged source.
        is_answer: bool,
    },
}

/// All credentials of the realm.
pub(crate) struct Verifier {
    realm: String,
    nonces: Nonces,
    credentials: HashMap<String, Credential>,
    /// For users that do not exist, so that they take as long.
    nobody: Credential,
}

impl Verifier {
    /// `key`: of the nonces; unpredictable.
    pub fn new(realm: &str, key: [u8; KEY], now: Instant) -> Self {
        let nobody = Credential {
            owner: String::new(),
            ha1_md5: "0".repeat(Hash::Md5.width()),
            ha1_sha256: "0".repeat(Hash::Sha256.width()),
        };
        let (realm, nonces) = (realm.to_owned(), Nonces::new(key, now));
        Self { realm, nonces, credentials: HashMap::new(), nobody }
    }

    pub fn set(&mut self, credentials: HashMap<String, Credential>) {
        self.credentials = credentials;
    }

    /// Whether anybody could prove anything.
    pub fn is_empty(&self) -> bool {
        self.credentials.is_empty()
    }

    /// The values of two `WWW-Authenticate` headers with one nonce.
    pub fn challenges(&mut self, is_stale: bool, now: Instant) -> [String; 2] {
        let nonce = self.nonces.make(now);
        let stale = if is_stale { ", stale=true" } else { "" };
        OFFERED.map(|hash| {
            let (realm, name) = (&self.realm, hash.name());
            format!(
                "Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\", algorithm={name}{stale}"
            )
        })
    }

    /// `proofs`: the values of the Authorization headers.
    pub fn verify<'a>(
        &mut self,
        method: &str,
        uri: &str,
        proofs: impl Iterator<Item = &'a str>,
        now: Instant,
    ) -> Proof {
        let mut result = Proof::Missing;
        for fields in proofs.take(MAX_PROOFS).filter_map(Fields::parse) {
            if fields.get("realm") != Some(&self.realm) {
                continue;
            }
            match self.verify_one(method, uri, &fields, now) {
                proven @ Proof::Of(_) => return proven,
                refused => result = refused,
            }
        }
        result
    }

    fn verify_one(&mut self, method: &str, uri: &str, fields: &Fields, now: Instant) -> Proof {
        let nonce = fields.get("nonce").unwrap_or_default();
        let standing = self.nonces.judge(nonce, now);
        let wrong = Proof::Wrong { is_answer: standing != Standing::Foreign };
        let algorithm = Algorithm::parse(fields.get("algorithm"));
        let Some(algorithm) = algorithm.filter(|a| !a.is_session && OFFERED.contains(&a.hash))
        else {
            return wrong;
        };
        let asked = fields.get("uri").unwrap_or_default();
        let is_auth = fields.get("qop").is_some_and(|qop| qop.eq_ignore_ascii_case("auth"));
        let nc = fields.get("nc").unwrap_or_default();
        let (Some(count), Some(cnonce)) = (parse_count(nc), fields.get("cnonce")) else {
            return wrong;
        };
        if !is_auth || !is_same_uri(asked, uri) {
            return wrong;
        }
        let known = fields.get("username").and_then(|user| self.credentials.get(user));
        let credential = known.unwrap_or(&self.nobody);
        let ha1 = match algorithm.hash {
            Hash::Md5 => &credential.ha1_md5,
            Hash::Sha256 => &credential.ha1_sha256,
        };
        let question = Question { method, uri: asked, nonce, count: Some((nc, cnonce)) };
        let expected = response(algorithm.hash, ha1, &question);
        let given = fields.get("response").unwrap_or_default().to_ascii_lowercase();
        let is_right = is_equal(given.as_bytes(), expected.as_bytes());
        // A hash that was not set proves nothing, whatever the response.
        if !is_right || known.is_none() || ha1.len() != algorithm.hash.width() {
            return wrong;
        }
        let owner = credential.owner.clone();
        if standing != Standing::Good || !self.nonces.spend(nonce, count, now) {
            return Proof::Stale;
        }
        Proof::Of(owner)
    }
}

/// Eight hexadecimal digits (RFC 7616 §3.4).
fn parse_count(text: &str) -> Option<u32> {
    let is_count = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_count.then(|| u32::from_str_radix(text, 16).ok())?
}

/// The digest must be about this request. Some phones leave the parameters out, or write the host in
/// other letters (RFC 3261 §22.4 wants the very Request-URI).
fn is_same_uri(given: &str, uri: &str) -> bool {
    let bare = |uri: &str| {
        let uri = uri.split([';', '?']).next().unwrap_or_default();
        match uri.rsplit_once('@') {
            Some((user, host)) => format!("{user}@{}", host.to_ascii_lowercase()),
            None => uri.to_ascii_lowercase(),
        }
    };
    !given.is_empty() && (given == uri || bare(given) == bare(uri))
}

/// In a time that tells nothing of where they differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(differing) == 0 && one.len() == other.len()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const URI: &str = "sip:2000@tapeline.example;transport=udp";

    fn verifier(now: Instant) -> Verifier {
        let mut verifier = Verifier::new("tapeline", [1; KEY], now);
        let credential = |owner: &str, hashes: &[Hash]| {
            let ha1 = |hash: Hash| match hashes.contains(&hash) {
                true => hash.of(&["ann", "tapeline", "secret"]),
                false => String::new(),
            };
            let owner = owner.to_owned();
            Credential { owner, ha1_md5: ha1(Hash::Md5), ha1_sha256: ha1(Hash::Sha256) }
        };
        verifier.set(HashMap::from([
            ("ann".to_owned(), credential("ep_1", &OFFERED)),
            ("strong".to_owned(), credential("ep_2", &[Hash::Sha256])),
        ]));
        verifier
    }

    /// What a phone would send.
    #[derive(Clone)]
    struct Answer {
        hash: Hash,
        user: &'static str,
        password: &'static str,
        realm: &'static str,
        uri: &'static str,
        nonce: String,
        nc: &'static str,
        qop: &'static str,
        algorithm: &'static str,
    }

    impl Answer {
        fn to(challenge: &str) -> Self {
            let fields = Fields::parse(challenge).unwrap();
            let (hash, algorithm) = match fields.get("algorithm") {
                Some("MD5") => (Hash::Md5, "MD5"),
                _ => (Hash::Sha256, "SHA-256"),
            };
            Self {
                hash,
                user: "ann",
                password: "secret",
                realm: "tapeline",
                uri: URI,
                nonce: fields.get("nonce").unwrap().to_owned(),
                nc: "00000001",
                qop: "auth",
                algorithm,
            }
        }

        fn header(&self) -> String {
            let Self { hash, user, password, realm, uri, nonce, nc, qop, algorithm } = self;
            let ha1 = hash.of(&["ann", realm, password]);
            let question = Question { method: "INVITE", uri, nonce, count: Some((nc, "c")) };
            let response = response(*hash, &ha1, &question);
            format!(
                "Digest username=\"{user}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\",\
                 response=\"{response}\",algorithm={algorithm},cnonce=\"c\",qop={qop},nc={nc}"
            )
        }
    }

    fn verify(verifier: &mut Verifier, answer: &Answer, now: Instant) -> Proof {
        verifier.verify("INVITE", URI, [answer.header().as_str()].into_iter(), now)
    }

    #[test]
    fn both_challenges_can_be_answered_and_the_better_comes_first() {
        let now = Instant::now();
        let mut verifier = verifier(now);
        let challenges = verifier.challenges(false, now);
        assert!(challenges[0].contains("algorithm=SHA-256") && !challenges[0].contains("stale"));
        assert!(challenges[1].contains("algorithm=MD5"));

        for challenge in verifier.challenges(false, now) {
            let mut answer = Answer::to(&challenge);
            answer.nc = if answer.hash == Hash::Md5 { "0000000a" } else { "00000001" };
            assert_eq!(verify(&mut verifier, &answer, now), Proof::Of("ep_1".into()));
            assert_eq!(verify(&mut verifier, &answer, now), Proof::Stale, "a replay");
            answer.nc = if answer.hash == Hash::Md5 { "00000100" } else { "00000010" };
            assert_eq!(verify(&mut verifier, &answer, now), Proof::Of("ep_1".into()));
        }
    }

    #[test]
    fn what_differs_in_one_thing_proves_nothing() {
        let now = Instant::now();
        let mut verifier = verifier(now);
        let challenges = verifier.challenges(false, now);
        let good = Answer::to(&challenges[0]);
        let wrong = Proof::Wrong { is_answer: true };
        let cases = [
            (Answer { password: "Secret", ..good.clone() }, wrong.clone()),
            (Answer { user: "nobody", ..good.clone() }, wrong.clone()),
            (Answer { user: "strong", ..Answer::to(&challenges[1]) }, wrong.clone()),
            (Answer { realm: "elsewhere", ..good.clone() }, Proof::Missing),
            (Answer { uri: "sip:2001@tapeline.example", ..good.clone() }, wrong.clone()),
            (Answer { uri: "", ..good.clone() }, wrong.clone()),
            (Answer { qop: "auth-int", ..good.clone() }, wrong.clone()),
            (Answer { qop: "", ..good.clone() }, wrong.clone()),
            (Answer { nc: "1", ..good.clone() }, wrong.clone()),
            (Answer { nc: "+0000001", ..good.clone() }, wrong.clone()),
            (Answer { algorithm: "MD5", ..good.clone() }, wrong.clone()),
            (Answer { algorithm: "MD5-sess", ..Answer::to(&challenges[1]) }, wrong.clone()),
            (Answer { algorithm: "SHA-512-256", ..good.clone() }, wrong.clone()),
            (
                Answer { password: "x", nonce: "mine".into(), ..good.clone() },
                Proof::Wrong { is_answer: false },
            ),
            (Answer { nonce: "mine".into(), ..good.clone() }, Proof::Stale),
        ];
        for (answer, expected) in cases {
            assert_eq!(verify(&mut verifier, &answer, now), expected, "{}", answer.header());
        }
        for other in ["", "Basic eHg6eHg=", "Digest realm=\"tapeline\""] {
            let proof = verifier.verify("INVITE", URI, [other].into_iter(), now);
            assert!(matches!(proof, Proof::Missing | Proof::Wrong { .. }), "{other}");
        }
        let header = good.header();
        let proof = verifier.verify("REGISTER", URI, [header.as_str()].into_iter(), now);
        assert_eq!(proof, wrong, "another method");
        let strong = Answer { user: "strong", ..good.clone() };
        assert_eq!(verify(&mut verifier, &strong, now), Proof::Of("ep_2".into()));
        assert_eq!(verify(&mut verifier, &good, now), Proof::Stale, "one count is spent once");
    }

    #[test]
    fn an_old_nonce_is_stale_for_who_knows_the_password_only() {
        let now = Instant::now();
        let mut verifier = verifier(now);
        let challenges = verifier.challenges(false, now);
        let answer = Answer::to(&challenges[0]);
        let later = now + Duration::from_secs(400);

        assert_eq!(verify(&mut verifier, &answer, later), Proof::Stale);
        let guess = Answer { password: "x", ..answer };
        assert_eq!(verify(&mut verifier, &guess, later), Proof::Wrong { is_answer: true });
        let [again, _] = verifier.challenges(true, later);
        assert!(again.ends_with(", stale=true"));
        assert_eq!(verify(&mut verifier, &Answer::to(&again), later), Proof::Of("ep_1".into()));
    }

    #[test]
    fn a_uri_is_the_same_without_its_parameters() {
        for (given, is_same) in [
            (URI, true),
            ("sip:2000@TAPELINE.example", true),
            ("sip:2000@tapeline.example:5060", false),
            ("sip:2000@other.example", false),
            ("sips:2000@tapeline.example", false),
            ("", false),
        ] {
            assert_eq!(is_same_uri(given, URI), is_same, "{given}");
        }
    }
}
