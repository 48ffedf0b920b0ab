//! A carrier as the control plane describes it. Checked when it is made.

use std::fmt;
use std::time::Duration;

use crate::boundary::destination::Destination;
use crate::boundary::identity::{BadIdentity, check_text};

/// Seconds.
const SHORTEST: u32 = 60;
const LONGEST: u32 = 86_400;
/// Targets of one trunk.
const MAX_TARGETS: usize = 16;
const WATCH_SECONDS: std::ops::RangeInclusive<u32> = 2..=3_600;

/// Our registration with a carrier (RFC 3261 §10.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Registration {
    pub(crate) trunk: String,
    /// Request-URI of the REGISTER.
    pub(crate) registrar: String,
    pub(crate) destination: Destination,
    /// Whom calls shall reach: To and From.
    pub(crate) aor: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) expires_s: u32,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trunk, registrar, aor, .. } = self;
        f.debug_struct("Registration")
            .field("trunk", trunk)
            .field("registrar", registrar)
            .field("aor", aor)
            .finish_non_exhaustive()
    }
}

impl Registration {
    /// `registrar` and `aor` are `sip:` or `sips:` URIs; `expires_s` of 60 to 86400.
    pub fn new(
        trunk: &str,
        (registrar, aor): (&str, &str),
        (username, password): (&str, &str),
        expires_s: u32,
    ) -> Result<Self, BadIdentity> {
        check_text("trunk", trunk)?;
        check_login(username, password)?;
        let wrong = |uri: &str, why: &str| BadIdentity(format!("{uri:?} {why}"));
        let destination = Destination::of_uri(registrar).map_err(|why| wrong(registrar, why))?;
        Destination::of_uri(aor).map_err(|why| wrong(aor, why))?;
        if !aor.contains('@') {
            return Err(wrong(aor, "names nobody"));
        }
        if !(SHORTEST..=LONGEST).contains(&expires_s) {
            let rule = format!("{expires_s} s is no interval: {SHORTEST} to {LONGEST}");
            return Err(BadIdentity(rule));
        }
        Ok(Self {
            trunk: trunk.to_owned(),
            registrar: registrar.to_owned(),
            destination,
            aor: aor.to_owned(),
            username: username.to_owned(),
            password: password.to_owned(),
            expires_s,
        })
    }

    /// User part of the address-of-record as it is written.
    pub(crate) fn user(&self) -> &str {
        let rest = self.aor.split_once(':').map_or("", |(_, rest)| rest);
        rest.split_once('@').map_or("", |(user, _)| user.split(':').next().unwrap_or_default())
    }
}

/// A user name and a password that can stand in headers.
pub(crate) fn check_login(username: &str, password: &str) -> Result<(), BadIdentity> {
    let is_fine = |text: &str| text.len() <= 256 && !text.contains(char::is_control);
    match is_fine(username) && is_fine(password) {
        true => Ok(()),
        // Without them: they are secrets.
        false => Err(BadIdentity(
            "a user name or password is too long or holds control characters".into(),
        )),
    }
}

/// Which targets of a trunk are asked whether they live, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    pub(crate) trunk: String,
    pub(crate) targets: Vec<(String, Destination)>,
    pub(crate) every: Duration,
}

impl Watch {
    /// `every_s` of 2 to 3600; no URIs: nothing is watched.
    pub fn new(trunk: &str, uris: &[String], every_s: u32) -> Result<Self, BadIdentity> {
        check_text("trunk", trunk)?;
        if uris.len() > MAX_TARGETS {
            return Err(BadIdentity(format!("{} targets are more than {MAX_TARGETS}", uris.len())));
        }
        if !WATCH_SECONDS.contains(&every_s) {
            return Err(BadIdentity(format!("{every_s} s is no interval: 2 to 3600")));
        }
        let target = |uri: &String| {
            let wrong = |why: &str| BadIdentity(format!("{uri:?} {why}"));
            Ok((uri.clone(), Destination::of_uri(uri).map_err(wrong)?))
        };
        let targets = uris.iter().map(target).collect::<Result<_, BadIdentity>>()?;
        let every = Duration::from_secs(every_s.into());
        Ok(Self { trunk: trunk.to_owned(), targets, every })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_checked_and_keeps_its_secret() {
        let make = |registrar: &str, aor: &str, password: &str, expires_s| {
            Registration::new("tr", (registrar, aor), ("ann", password), expires_s)
        };
        let good = make("sip:carrier.example", "sip:+4930:x@carrier.example", "pw", 3_600).unwrap();
        assert_eq!(good.user(), "+4930");
        assert!(!format!("{good:?}").contains("pw"));
        for (registrar, aor, password, expires_s) in [
            ("carrier.example", "sip:a@c", "pw", 3_600),
            ("sip:c\r\nX: y", "sip:a@c", "pw", 3_600),
            ("sip:c", "sip:c", "pw", 3_600),
            ("sip:c", "sip:a@c>", "pw", 3_600),
            ("sip:c", "sip:a@c", "p\nw", 3_600),
            ("sip:c", "sip:a@c", "pw", 59),
            ("sip:c", "sip:a@c", "pw", 86_401),
        ] {
            let refused = make(registrar, aor, password, expires_s).unwrap_err();
            assert!(!refused.to_string().contains("p\nw"), "{refused}");
        }
    }

    #[test]
    fn a_watch_is_checked() {
        let uri = "sip:carrier.example:5070".to_owned();
        assert_eq!(Watch::new("tr", std::slice::from_ref(&uri), 30).unwrap().targets.len(), 1);
        assert!(Watch::new("tr", &[], 30).is_ok());
        assert!(Watch::new("", &[], 30).is_err());
        assert!(Watch::new("tr", &["x".to_owned()], 30).is_err());
        assert!(Watch::new("tr", &vec![uri.clone(); 17], 30).is_err());
        assert!(Watch::new("tr", &[uri], 1).is_err());
    }
}
