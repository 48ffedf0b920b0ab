//! Who may call and register, as the control plane says it. Checked when it is made.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;

use crate::boundary::command::Network;
use crate::boundary::transport::Transport;

/// Rows of a table; owners, user names and contacts in bytes.
const MAX_ROWS: usize = 100_000;
const MAX_TEXT: usize = 256;
const MAX_CONTACT: usize = 1_024;
/// Hex digits of MD5 and SHA-256.
const MD5_WIDTH: usize = 32;
const SHA256_WIDTH: usize = 64;

/// What cannot be an identity, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadIdentity(pub(crate) String);

impl fmt::Display for BadIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadIdentity {}

/// What a digest is checked against: H(user:realm:password), lower-case hex; "" takes no digest of
/// that hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    pub(crate) owner: String,
    pub(crate) ha1_md5: String,
    pub(crate) ha1_sha256: String,
}

/// A hash is as good as its password.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// All user names of the realm.
#[derive(Clone, Debug, Default)]
pub struct Credentials(pub(crate) HashMap<String, Credential>);

impl Credentials {
    /// Rows of user name, owner, MD5 and SHA-256 hash.
    pub fn new(rows: Vec<(String, String, String, String)>) -> Result<Self, BadIdentity> {
        check_count(rows.len())?;
        let mut table = HashMap::with_capacity(rows.len());
        for (username, owner, md5, sha256) in rows {
            check_text("user name", &username)?;
            check_text("owner", &owner)?;
            let hash = |text: &str, width: usize| {
                let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
                let fits = text.is_empty() || (is_hex && text.len() == width);
                fits.then(|| text.to_ascii_lowercase())
            };
            let (Some(ha1_md5), Some(ha1_sha256)) =
                (hash(&md5, MD5_WIDTH), hash(&sha256, SHA256_WIDTH))
            else {
                let wrong = format!(
                    "the hashes of {username:?} are not {MD5_WIDTH} and {SHA256_WIDTH} hex digits"
                );
                return Err(BadIdentity(wrong));
            };
            let credential = Credential { owner, ha1_md5, ha1_sha256 };
            if table.insert(username.clone(), credential).is_some() {
                return Err(BadIdentity(format!("the user name {username:?} is there twice")));
            }
        }
        Ok(Self(table))
    }
}

/// Addresses whose requests are an owner's without a digest.
#[derive(Clone, Debug, Default)]
pub struct Sources(pub(crate) Vec<(String, Vec<Network>)>);

impl Sources {
    /// Rows of owner and networks.
    pub fn new(rows: Vec<(String, Vec<String>)>) -> Result<Self, BadIdentity> {
        check_count(rows.len())?;
        let parse = |text: &String| {
            let wrong = || BadIdentity(format!("{text:?} is not a network such as 10.0.0.0/8"));
            Network::parse(text).ok_or_else(wrong)
        };
        let mut table = Vec::with_capacity(rows.len());
        for (owner, networks) in rows {
            check_text("owner", &owner)?;
            table.push((owner, networks.iter().map(parse).collect::<Result<_, _>>()?));
        }
        Ok(Self(table))
    }
}

/// Where a phone of an owner was registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// URI, without brackets.
    pub contact: String,
    pub route: Route,
    pub expires_unix_ms: i64,
}

/// The way back to a peer: the transport and the address it really sends from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    pub transport: Transport,
    pub address: SocketAddr,
}

impl Route {
    /// `tls;192.0.2.1:40000`.
    pub fn parse(text: &str) -> Option<Self> {
        let (transport, address) = text.split_once(';')?;
        let transport = Transport::parse(transport)?;
        Some(Self { transport, address: address.parse().ok()? })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.transport.name(), self.address)
    }
}

/// A contact's URI, its route, its expiry in Unix milliseconds.
pub type ContactRow = (String, String, i64);

/// What was registered before a start.
#[derive(Clone, Debug, Default)]
pub struct Locations(pub(crate) Vec<(String, Vec<Location>)>);

impl Locations {
    /// Rows of owner and its contacts.
    pub fn new(rows: Vec<(String, Vec<ContactRow>)>) -> Result<Self, BadIdentity> {
        check_count(rows.len())?;
        let mut owners = HashSet::new();
        let mut table = Vec::with_capacity(rows.len());
        for (owner, contacts) in rows {
            check_text("owner", &owner)?;
            if !owners.insert(owner.clone()) {
                return Err(BadIdentity(format!("the owner {owner:?} is there twice")));
            }
            let location = |(contact, route, expires_unix_ms): ContactRow| {
                let is_uri = contact.len() <= MAX_CONTACT
                    && contact.contains(':')
                    && !contact.contains(|c: char| c.is_control() || "<> \"".contains(c));
                let wrong =
                    || BadIdentity(format!("{contact:?} by {route:?} is no way to a phone"));
                let route = Route::parse(&route).filter(|_| is_uri).ok_or_else(wrong)?;
                Ok(Location { contact, route, expires_unix_ms })
            };
            let contacts = contacts.into_iter().map(location).collect::<Result<_, _>>()?;
            table.push((owner, contacts));
        }
        Ok(Self(table))
    }
}

fn check_count(count: usize) -> Result<(), BadIdentity> {
    match count > MAX_ROWS {
        true => Err(BadIdentity(format!("{count} rows are more than {MAX_ROWS}"))),
        false => Ok(()),
    }
}

pub(crate) fn check_text(what: &str, text: &str) -> Result<(), BadIdentity> {
    let is_fine = !text.is_empty() && text.len() <= MAX_TEXT && !text.contains(char::is_control);
    let rule = format!("is empty, exceeds {MAX_TEXT} bytes or holds control characters");
    is_fine.then_some(()).ok_or_else(|| BadIdentity(format!("the {what} {text:?} {rule}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_two_hashes_a_user() {
        let row = |user: &str, md5: &str, sha: &str| {
            (user.to_owned(), "ep".to_owned(), md5.to_owned(), sha.to_owned())
        };
        let (md5, sha) = ("AB".repeat(16), "cd".repeat(32));
        let good = Credentials::new(vec![row("ann", &md5, &sha), row("bob", "", &sha)]).unwrap();
        assert_eq!(good.0["ann"].ha1_md5, "ab".repeat(16));
        assert!(!format!("{good:?}").contains("abab"), "a hash is a secret");
        for rows in [
            vec![row("", &md5, &sha)],
            vec![row("a\nb", &md5, &sha)],
            vec![row("ann", &md5[1..], &sha)],
            vec![row("ann", &md5, &"xy".repeat(32))],
            vec![row("ann", &md5, &sha), row("ann", &md5, &sha)],
            vec![row(&"x".repeat(300), &md5, &sha)],
        ] {
            assert!(Credentials::new(rows.clone()).is_err(), "{rows:?}");
        }
    }

    #[test]
    fn sources_and_locations_are_read_or_refused() {
        let sources = |network: &str| Sources::new(vec![("tr".into(), vec![network.into()])]);
        assert!(sources("192.0.2.0/24").is_ok());
        assert!(sources("carrier.example").is_err());
        let locations = |contact: &str, route: &str| {
            Locations::new(vec![("ep".into(), vec![(contact.into(), route.into(), 1)])])
        };
        let good = locations("sip:a@10.0.0.1;ob", "tls;[2001:db8::1]:5061").unwrap();
        assert_eq!(good.0[0].1[0].route.to_string(), "tls;[2001:db8::1]:5061");
        for (contact, route) in [
            ("sip:a@b", ""),
            ("sip:a@b", "udp;host:1"),
            ("sip:a@b", "sctp;1.2.3.4:5"),
            ("sip:a@b\r\nX: y", "udp;1.2.3.4:5"),
            ("<sip:a@b>", "udp;1.2.3.4:5"),
            ("a", "udp;1.2.3.4:5"),
        ] {
            assert!(locations(contact, route).is_err(), "{contact} {route}");
        }
        let twice = ("ep".to_owned(), vec![]);
        assert!(Locations::new(vec![twice.clone(), twice]).is_err());
    }
}
