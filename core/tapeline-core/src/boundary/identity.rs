//! Who may call and register, as the control plane says it. Checked when it is made.

use std::collections::HashMap;
use std::fmt;

use crate::boundary::command::Network;

/// Rows of a table; owners and user names in bytes.
const MAX_ROWS: usize = 100_000;
const MAX_TEXT: usize = 256;
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
    fn sources_are_networks() {
        let sources = |network: &str| Sources::new(vec![("tr".into(), vec![network.into()])]);
        assert!(sources("192.0.2.0/24").is_ok());
        assert!(sources("carrier.example").is_err());
    }
}
