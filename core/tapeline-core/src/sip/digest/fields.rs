//! `Digest name="value", …` taken apart (RFC 7616 §3.3, §3.4), as tolerant as phones need.

/// Parameters of one header that are looked at; a real one has about twelve.
const MAX_FIELDS: usize = 32;
/// Bytes of a header value that is read at all.
const MAX_LENGTH: usize = 4_096;

/// Parameters by their lower-case names. A quoted value is what stands between the quotes, escapes
/// untouched: that is what both sides hash and what goes back as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// None for another scheme, for a value without an end and for a name that comes twice.
    pub fn parse(value: &str) -> Option<Self> {
        if value.len() > MAX_LENGTH {
            return None;
        }
        let value = value.trim();
        let (scheme, mut rest) = value.split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let mut fields: Vec<(String, String)> = Vec::new();
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return Some(Self(fields));
            }
            let (name, after) = rest.split_once('=')?;
            let name = name.trim().to_ascii_lowercase();
            let is_token = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            if name.is_empty() || !is_token || fields.iter().any(|(known, _)| *known == name) {
                return None;
            }
            let (value, after) = value_of(after.trim_start_matches([' ', '\t']))?;
            fields.push((name, value.to_owned()));
            if fields.len() > MAX_FIELDS {
                return None;
            }
            rest = after.trim_start_matches([' ', '\t']);
            if !rest.is_empty() && !rest.starts_with(',') {
                return None;
            }
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A quoted string without its quotes, or what stands before the next comma; and what follows.
fn value_of(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
        return Some((value.trim(), rest));
    };
    let mut is_escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some((quoted.get(..at)?, quoted.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_however_they_are_written() {
        let fields = Fields::parse(
            "digest  Realm = \"a, b\\\"c\" ,nc=0000000A,, qop=auth , ALGORITHM=SHA-256,opaque=\"\"",
        )
        .unwrap();

        for (name, value) in [
            ("realm", Some("a, b\\\"c")),
            ("nc", Some("0000000A")),
            ("qop", Some("auth")),
            ("algorithm", Some("SHA-256")),
            ("opaque", Some("")),
            ("nonce", None),
        ] {
            assert_eq!(fields.get(name), value, "{name}");
        }
    }

    #[test]
    fn what_is_no_digest_is_not_read() {
        let many = format!("Digest {}", (0..40).map(|n| format!("f{n}=1,")).collect::<String>());
        let long = format!("Digest realm=\"{}\"", "x".repeat(MAX_LENGTH));
        for value in [
            "",
            "Digest",
            "Basic realm=\"a\"",
            "Digest realm=\"a",
            "Digest realm",
            "Digest realm=\"a\" nonce=\"b\"",
            "Digest realm=\"a\", realm=\"b\"",
            "Digest re alm=\"a\"",
            "Digest =a",
            &many,
            &long,
        ] {
            assert_eq!(Fields::parse(value), None, "{value}");
        }
    }

    #[test]
    fn mutated_headers_are_read_within_bounds() {
        let seeds = [
            "Digest username=\"ann\", realm=\"tapeline\", nonce=\"abc\", uri=\"sip:a@b;x=1\", \
             response=\"0123456789abcdef0123456789abcdef\", algorithm=MD5, cnonce=\"q\", qop=auth, \
             nc=00000001",
            "Digest realm=\"a\\\"b\", nonce=\"\", qop=\"auth,auth-int\", stale=FALSE",
            "digest \u{e9}=\"\u{1F600}\",,,a=b",
        ];
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
        let mut read = 0;
        for round in 0..200_000_usize {
            let mut bytes = seeds[round % seeds.len()].as_bytes().to_vec();
            for _ in 0..1 + round % 5 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                let place = (dice >> 8) as usize % bytes.len();
                bytes[place] = b"\",=\\ \tDigestabc\xe9\xff\0"[(dice >> 40) as usize % 18];
            }
            bytes.truncate((dice >> 20) as usize % (2 * bytes.len()));
            if let Some(fields) = Fields::parse(&String::from_utf8_lossy(&bytes)) {
                assert!(fields.0.len() <= MAX_FIELDS);
                read += 1;
            }
        }
        assert!(read > 1_000, "{read}");
    }
}
