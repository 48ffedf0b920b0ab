//! Our answer to somebody else's challenge (RFC 7616 §3.4, RFC 3261 §22.2).

use std::fmt;

use crate::sip::digest::algorithm::{Algorithm, Question, response};
use crate::sip::digest::fields::Fields;

/// Challenges of one response that are looked at, and realms that are answered at once: a registrar
/// and the proxies before it.
const MAX_CHALLENGES: usize = 8;
const MAX_REALMS: usize = 4;

/// A user name and password of ours, and what was asked of them so far.
pub(crate) struct Login {
    username: String,
    password: String,
    realms: Vec<Realm>,
}

/// The challenge of one realm that we answer.
struct Realm {
    /// By 407 instead of 401.
    is_proxy: bool,
    name: String,
    algorithm: Algorithm,
    /// As the challenge names it, if it does.
    token: Option<String>,
    nonce: String,
    opaque: Option<String>,
    has_qop: bool,
    /// Requests with this nonce so far.
    count: u32,
    /// Challenges of the present request that were answered.
    answered: u8,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Login {
    pub fn new(username: &str, password: &str) -> Self {
        Self { username: username.to_owned(), password: password.to_owned(), realms: Vec::new() }
    }

    /// A new request begins, not another copy of the one that was challenged.
    pub fn begin(&mut self) {
        for realm in &mut self.realms {
            realm.answered = 0;
        }
    }

    /// Takes a 401 or 407 with its header values; false when it makes no sense to try again: no
    /// challenge that we can answer, or ours was answered and refused.
    pub fn take<'a>(&mut self, status: u16, challenges: impl Iterator<Item = &'a str>) -> bool {
        let is_proxy = status == 407;
        let mut best: Vec<(Realm, bool)> = Vec::new();
        for fields in challenges.take(MAX_CHALLENGES).filter_map(Fields::parse) {
            let is_stale = fields.get("stale").is_some_and(|s| s.eq_ignore_ascii_case("true"));
            let Some(realm) = Realm::of(&fields, is_proxy) else { continue };
            match best.iter_mut().find(|(known, _)| known.name == realm.name) {
                Some(known) if known.0.algorithm.hash < realm.algorithm.hash => {
                    *known = (realm, is_stale);
                }
                Some(_) => {}
                None => best.push((realm, is_stale)),
            }
        }
        let mut is_answerable = false;
        for (mut realm, is_stale) in best {
            let has_room = self.realms.len() < MAX_REALMS;
            let known = self
                .realms
                .iter_mut()
                .find(|known| known.is_proxy == is_proxy && known.name == realm.name);
            match known {
                Some(known) => {
                    // A second refusal is final, unless it only wants a newer nonce (§3.3).
                    let is_again = known.answered == 1 && is_stale && known.nonce != realm.nonce;
                    if known.answered == 0 || is_again {
                        realm.answered = known.answered + 1;
                        *known = realm;
                        is_answerable = true;
                    }
                }
                None if has_room => {
                    realm.answered = 1;
                    self.realms.push(realm);
                    is_answerable = true;
                }
                None => {}
            }
        }
        is_answerable
    }

    /// Header names and values for the next request, for every realm that asked so far.
    pub fn headers(
        &mut self,
        method: &str,
        uri: &str,
        cnonce: &str,
    ) -> Vec<(&'static str, String)> {
        let Self { username, password, realms } = self;
        let answer = |realm: &mut Realm| {
            let name = if realm.is_proxy { "Proxy-Authorization" } else { "Authorization" };
            (name, realm.answer(username, password, method, uri, cnonce))
        };
        realms.iter_mut().map(answer).collect()
    }
}

impl Realm {
    /// None for an algorithm or a quality of protection that we do not speak.
    fn of(fields: &Fields, is_proxy: bool) -> Option<Self> {
        let token = fields.get("algorithm");
        let qop = fields.get("qop");
        let is_auth =
            |list: &str| list.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"));
        if qop.is_some_and(|list| !is_auth(list)) {
            return None;
        }
        Some(Self {
            is_proxy,
            name: fields.get("realm")?.to_owned(),
            algorithm: Algorithm::parse(token)?,
            token: token.map(str::to_owned),
            nonce: fields.get("nonce")?.to_owned(),
            opaque: fields.get("opaque").map(str::to_owned),
            has_qop: qop.is_some(),
            count: 0,
            answered: 0,
        })
    }

    fn answer(
        &mut self,
        username: &str,
        password: &str,
        method: &str,
        uri: &str,
        cnonce: &str,
    ) -> String {
        self.count = self.count.saturating_add(1);
        let Self { name, algorithm, token, nonce, opaque, has_qop, count, .. } = self;
        let hash = algorithm.hash;
        let mut ha1 = hash.of(&[username, name, password]);
        if algorithm.is_session {
            ha1 = hash.of(&[&ha1, nonce, cnonce]);
        }
        let nc = format!("{count:08x}");
        let is_counted = has_qop.then_some((nc.as_str(), cnonce));
        let response = response(hash, &ha1, &Question { method, uri, nonce, count: is_counted });
        let user = username.replace('\\', "\\\\").replace('"', "\\\"");
        let mut value = format!(
            "Digest username=\"{user}\", realm=\"{name}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\""
        );
        if let Some(token) = token {
            value.push_str(&format!(", algorithm={token}"));
        }
        if *has_qop {
            // Without quotes: a quoted qop is refused by some (RFC 7616 §3.4).
            value.push_str(&format!(", cnonce=\"{cnonce}\", qop=auth, nc={nc}"));
        } else if algorithm.is_session {
            value.push_str(&format!(", cnonce=\"{cnonce}\""));
        }
        if let Some(opaque) = opaque {
            value.push_str(&format!(", opaque=\"{opaque}\""));
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Instant;

    use super::*;
    use crate::boundary::identity::Credential;
    use crate::sip::digest::algorithm::Hash;
    use crate::sip::digest::verifier::{Proof, Verifier};

    const URI: &str = "sip:carrier.example";

    fn login() -> Login {
        Login::new("ann", "secret")
    }

    fn only_header(login: &mut Login) -> (&'static str, String) {
        let mut headers = login.headers("INVITE", URI, "c0");
        assert_eq!(headers.len(), 1);
        headers.remove(0)
    }

    #[test]
    fn the_strongest_challenge_is_answered_and_each_use_counted() {
        let mut login = login();
        let challenges = [
            "Digest realm=\"r\",nonce=\"n1\",algorithm=MD5,qop=\"auth,auth-int\"",
            "Digest realm=\"r\",nonce=\"n2\",algorithm=SHA-256,qop=\"auth-int, auth\",opaque=\"o\"",
            "Digest realm=\"r\",nonce=\"n3\",algorithm=SHA-512-256,qop=\"auth\"",
            "Basic realm=\"r\"",
        ];
        assert!(login.take(401, challenges.into_iter()));

        let ha1 = Hash::Sha256.of(&["ann", "r", "secret"]);
        for nc in ["00000001", "00000002"] {
            let question =
                Question { method: "INVITE", uri: URI, nonce: "n2", count: Some((nc, "c0")) };
            let expected = format!(
                "Digest username=\"ann\", realm=\"r\", nonce=\"n2\", uri=\"{URI}\", \
                 response=\"{}\", algorithm=SHA-256, cnonce=\"c0\", qop=auth, nc={nc}, opaque=\"o\"",
                response(Hash::Sha256, &ha1, &question)
            );
            assert_eq!(only_header(&mut login), ("Authorization", expected));
        }
    }

    #[test]
    fn old_servers_without_qop_and_sessions_are_answered() {
        let mut login = login();
        assert!(login.take(407, ["Digest realm=\"r\", nonce=\"n\""].into_iter()));
        let (name, value) = only_header(&mut login);
        let ha1 = Hash::Md5.of(&["ann", "r", "secret"]);
        let ha2 = Hash::Md5.of(&["INVITE", URI]);
        let expected = Hash::Md5.of(&[&ha1, "n", &ha2]);
        assert_eq!(name, "Proxy-Authorization");
        assert!(value.ends_with(&format!("response=\"{expected}\"")), "{value}");

        let mut login = self::login();
        let session = "Digest realm=\"r\", nonce=\"n\", algorithm=md5-sess, qop=auth";
        assert!(login.take(401, [session].into_iter()));
        let ha1 = Hash::Md5.of(&[&ha1, "n", "c0"]);
        let expected = Hash::Md5.of(&[&ha1, "n", "00000001", "c0", "auth", &ha2]);
        assert!(only_header(&mut login).1.contains(&expected));
    }

    #[test]
    fn a_refused_answer_is_not_tried_again_but_a_stale_one_is_once() {
        let challenge =
            |nonce: &str, stale: &str| format!("Digest realm=\"r\", nonce=\"{nonce}\"{stale}");
        let mut login = login();
        let mut take = |nonce: &str, stale: &str| {
            login.take(401, [challenge(nonce, stale).as_str()].into_iter())
        };
        assert!(take("1", ""));
        assert!(!take("2", ""), "the password is wrong");
        assert!(!take("1", ", stale=true"), "the same nonce once more");
        assert!(take("2", ", stale=TRUE"));
        assert!(!take("3", ", stale=true"));
        login.begin();
        assert!(login.take(401, [challenge("4", "").as_str()].into_iter()));
        assert!(login.take(407, [challenge("5", "").as_str()].into_iter()), "a proxy asks too");
        assert_eq!(login.headers("BYE", URI, "c").len(), 2);
        for nothing in
            ["Digest realm=\"r2\", nonce=\"n\", qop=\"auth-int\"", "Basic realm=\"q\"", ""]
        {
            assert!(!login.take(401, [nothing].into_iter()), "{nothing}");
        }
        let realms =
            (0..9).map(|n| format!("Digest realm=\"x{n}\", nonce=\"n\"")).collect::<Vec<_>>();
        assert!(login.take(401, realms.iter().map(String::as_str)));
        assert_eq!(login.realms.len(), MAX_REALMS);
        assert_eq!(format!("{login:?}"), "Login { username: \"ann\", .. }");
    }

    #[test]
    fn our_own_verifier_is_convinced() {
        let now = Instant::now();
        let mut verifier = Verifier::new("here", [3; 64], now);
        let ha1 = |hash: Hash| hash.of(&["ann", "here", "secret"]);
        let credential = Credential {
            owner: "ep".into(),
            ha1_md5: ha1(Hash::Md5),
            ha1_sha256: ha1(Hash::Sha256),
        };
        verifier.set(HashMap::from([("ann".to_owned(), credential)]));
        let mut login = login();
        let challenges = verifier.challenges(false, now);
        assert!(login.take(401, challenges.iter().map(String::as_str)));
        for _ in 0..300 {
            let (_, value) = only_header(&mut login);
            let proof = verifier.verify("INVITE", URI, [value.as_str()].into_iter(), now);
            assert_eq!(proof, Proof::Of("ep".into()));
        }
    }
}
