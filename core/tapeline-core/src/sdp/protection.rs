//! SRTP keys in the SDP (SDES, RFC 4568), and whether a stream may or must have them.

use std::fmt::Write;

use sdp_types::Attribute;

use crate::media::srtp::{MasterKey, SrtpKeys, Suite};
use crate::sdp::remote::{Audio, RemoteDescription};

/// Crypto lines of one stream that are read.
const MAX_LINES: usize = 16;
/// Digits of a tag (RFC 4568 §9.1).
const MAX_TAG: usize = 9;

/// What a peer says of a stream's protection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Protection {
    /// RTP/SAVP or RTP/SAVPF.
    pub is_required: bool,
    /// Those that can be used, in the peer's order.
    pub lines: Vec<CryptoLine>,
}

/// One `a=crypto` that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct CryptoLine {
    pub tag: u32,
    /// The peer protects with it.
    pub key: MasterKey,
}

/// What we take of a peer that offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// Plain RTP alone.
    Plain,
    /// SRTP where it is offered, else plain RTP.
    Either,
    /// SRTP alone.
    Protected,
    /// Nothing: SRTP must be, and its keys may not travel this way.
    Nothing,
}

/// Reads a stream's crypto lines; those that we cannot use are left out.
pub(super) fn protection(proto: &str, attributes: &[Attribute]) -> Protection {
    let is_required = ["RTP/SAVP", "RTP/SAVPF"].iter().any(|p| p.eq_ignore_ascii_case(proto));
    let values = attributes.iter().filter(|a| a.attribute == "crypto");
    let values = values.filter_map(|a| a.value.as_deref()).take(MAX_LINES);
    Protection { is_required, lines: values.filter_map(crypto_line).collect() }
}

/// `1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^31 WSH=64`. With an MKI, several keys or a parameter that
/// would change the packets it is not for us.
fn crypto_line(value: &str) -> Option<CryptoLine> {
    let mut words = value.split_ascii_whitespace();
    let (tag, suite, key) = (words.next()?, words.next()?, words.next()?);
    if tag.len() > MAX_TAG || !tag.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let suite = Suite::of(suite)?;
    let mut parts = key.strip_prefix("inline:")?.split('|');
    let key = MasterKey::from_base64(suite, parts.next()?)?;
    let is_plain_lifetime = parts.next().is_none_or(is_lifetime) && parts.next().is_none();
    let are_harmless =
        words.all(|word| word.starts_with('-') || word == "KDR=0" || word.starts_with("WSH="));
    (is_plain_lifetime && are_harmless).then_some(CryptoLine { tag: tag.parse().ok()?, key })
}

/// `2^31` or `1048576`: packets that a key is good for. Longer than a call in every case in use.
fn is_lifetime(text: &str) -> bool {
    let digits = text.strip_prefix("2^").unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Decides for each stream of an offer: its keys are settled, or it cannot be chosen. `current` are the
/// keys in use: ours stays while the suite does.
pub fn settle_offer(offer: &mut RemoteDescription, terms: Terms, current: Option<&SrtpKeys>) {
    settle(offer, |audio| {
        let line = audio.protection.lines.first();
        match (terms, audio.protection.is_required, line) {
            (Terms::Plain, false, _) | (Terms::Either, false, None) => Some(None),
            (Terms::Either | Terms::Protected, _, Some(line)) => keys_for(line, current).map(Some),
            _ => None,
        }
    });
}

/// As [`settle_offer`], for the answer to an offer of ours with `offered` keys; none: a plain offer.
pub fn settle_answer(answer: &mut RemoteDescription, offered: &[(u32, MasterKey)]) {
    settle(answer, |audio| {
        if offered.is_empty() {
            return (!audio.protection.is_required).then_some(None);
        }
        let line = audio.protection.lines.first()?;
        let (tag, ours) = offered.iter().find(|(tag, _)| *tag == line.tag)?;
        let is_same = ours.suite() == line.key.suite();
        let keys = SrtpKeys { tag: *tag, ours: ours.clone(), theirs: line.key.clone() };
        is_same.then_some(Some(keys))
    });
}

fn settle(remote: &mut RemoteDescription, judge: impl Fn(&Audio) -> Option<Option<SrtpKeys>>) {
    for stream in &mut remote.streams {
        match stream.audio.as_ref().map(&judge) {
            Some(Some(keys)) => {
                if let Some(audio) = &mut stream.audio {
                    audio.srtp = keys;
                }
            }
            Some(None) => stream.audio = None,
            None => {}
        }
    }
}

fn keys_for(line: &CryptoLine, current: Option<&SrtpKeys>) -> Option<SrtpKeys> {
    let suite = line.key.suite();
    let kept = current.filter(|keys| keys.ours.suite() == suite).map(|keys| keys.ours.clone());
    let ours = match kept {
        Some(ours) => ours,
        None => generated(suite)?,
    };
    Some(SrtpKeys { tag: line.tag, ours, theirs: line.key.clone() })
}

/// A key for each suite of ours, or the one in use.
pub fn offered_keys(current: Option<&SrtpKeys>) -> Vec<(u32, MasterKey)> {
    if let Some(keys) = current {
        return vec![(keys.tag, keys.ours.clone())];
    }
    let keys = (1..).zip(Suite::ALL).filter_map(|(tag, suite)| Some((tag, generated(suite)?)));
    keys.collect()
}

fn generated(suite: Suite) -> Option<MasterKey> {
    let made = MasterKey::generate(suite);
    made.inspect_err(|error| log::warn!("{error}: a call goes without SRTP or is refused")).ok()
}

/// One `a=crypto` of ours.
pub(super) fn write_crypto(body: &mut String, tag: u32, key: &MasterKey) {
    let (suite, key) = (key.suite().name(), key.to_base64());
    let _ = write!(body, "a=crypto:{tag} {suite} inline:{key}\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::parse;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
    const GCM_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==";

    fn offer(proto: &str, lines: &[&str]) -> RemoteDescription {
        let lines: String = lines.iter().map(|line| format!("a=crypto:{line}\r\n")).collect();
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 4000 {proto} 0\r\n{lines}"
        );
        parse(body.as_bytes()).unwrap()
    }

    fn lines(texts: &[&str]) -> Vec<(u32, Suite)> {
        let offer = offer("RTP/SAVP", texts);
        let lines = &offer.streams[0].audio.as_ref().unwrap().protection.lines;
        lines.iter().map(|line| (line.tag, line.key.suite())).collect()
    }

    #[test]
    fn crypto_lines_that_can_be_used_are_read() {
        let good = [
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), Suite::AesCm80),
            (format!("000000002  AES_CM_128_HMAC_SHA1_32 inline:{KEY}|2^20"), Suite::AesCm32),
            (format!("3 AEAD_AES_128_GCM inline:{GCM_KEY}|1048576 WSH=128 -X=1"), Suite::AesGcm),
            (format!("4 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=0"), Suite::AesCm80),
        ];
        for (number, (text, suite)) in (1..).zip(good) {
            assert_eq!(lines(&[&text]), [(number, suite)], "{text}");
        }
        let bad = [
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4"), // MKI
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY};inline:{KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTCP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{GCM_KEY}"),
            format!("1 AEAD_AES_128_GCM inline:{KEY}"),
            format!("1 AES_256_CM_HMAC_SHA1_80 inline:{KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", "A".repeat(30_000)),
            format!("1234567890 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("-1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
            "1".to_owned(),
            " ".to_owned(),
        ];
        for text in &bad {
            assert_eq!(lines(&[text]), [], "{text}");
        }
        let many = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
        assert_eq!(lines(&vec![&*many; 300]).len(), MAX_LINES);
    }

    #[test]
    fn the_terms_decide_what_is_taken() {
        use Terms::{Either, Nothing, Plain, Protected};
        let line = format!("7 AES_CM_128_HMAC_SHA1_32 inline:{KEY}");
        let unusable = "1 F8_128_HMAC_SHA1_80 inline:x";
        // Plain, SRTP or refused.
        let cases = [
            (Plain, "RTP/AVP", vec![], "plain"),
            (Plain, "RTP/AVP", vec![&*line], "plain"),
            (Plain, "RTP/SAVP", vec![&*line], "refused"),
            (Either, "RTP/AVP", vec![], "plain"),
            (Either, "RTP/AVP", vec![&*line], "srtp"),
            (Either, "RTP/AVPF", vec![unusable], "plain"),
            (Either, "RTP/SAVP", vec![unusable, &*line], "srtp"),
            (Either, "RTP/SAVPF", vec![&*line], "srtp"),
            (Either, "RTP/SAVP", vec![unusable], "refused"),
            (Protected, "RTP/AVP", vec![], "refused"),
            (Protected, "RTP/AVP", vec![&*line], "srtp"),
            (Protected, "RTP/SAVP", vec![&*line], "srtp"),
            (Nothing, "RTP/AVP", vec![], "refused"),
            (Nothing, "RTP/SAVP", vec![&*line], "refused"),
        ];
        for (terms, proto, lines, expected) in cases {
            let mut offer = offer(proto, &lines);
            settle_offer(&mut offer, terms, None);
            let outcome = match offer.streams[0].audio.as_ref().map(|audio| &audio.srtp) {
                None => "refused",
                Some(None) => "plain",
                Some(Some(keys)) => {
                    assert_eq!((keys.tag, keys.ours.suite()), (7, Suite::AesCm32));
                    assert_eq!(keys.theirs.to_base64(), KEY);
                    assert_ne!(keys.ours, keys.theirs);
                    "srtp"
                }
            };
            assert_eq!(outcome, expected, "{terms:?} {proto} {lines:?}");
        }
    }

    #[test]
    fn our_key_stays_while_the_suite_does() {
        let settled = |line: &str, current: Option<&SrtpKeys>| {
            let mut offer = offer("RTP/SAVP", &[line]);
            settle_offer(&mut offer, Terms::Either, current);
            offer.streams[0].audio.as_ref().unwrap().srtp.clone().unwrap()
        };
        let first = settled(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), None);
        let other = KEY.replace("AAEC", "zzEC");
        let second = settled(&format!("2 AES_CM_128_HMAC_SHA1_80 inline:{other}"), Some(&first));
        assert_eq!(second.ours, first.ours);
        assert_ne!(second.theirs, first.theirs);
        let third = settled(&format!("1 AES_CM_128_HMAC_SHA1_32 inline:{KEY}"), Some(&first));
        assert_ne!(third.ours.to_base64(), first.ours.to_base64());
    }

    #[test]
    fn an_answer_must_take_a_key_that_was_offered() {
        let offered = offered_keys(None);
        assert_eq!(offered.len(), 3);
        let cases = [
            ("RTP/SAVP", format!("2 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), true),
            ("RTP/SAVP", format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), false),
            ("RTP/SAVP", format!("9 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), false),
            ("RTP/SAVP", "2 AES_CM_128_HMAC_SHA1_80 inline:x".to_owned(), false),
        ];
        for (proto, line, is_taken) in cases {
            let mut answer = offer(proto, &[&line]);
            settle_answer(&mut answer, &offered);
            let keys = answer.streams[0].audio.as_ref().map(|audio| audio.srtp.clone().unwrap());
            assert_eq!(keys.is_some(), is_taken, "{line}");
            assert!(keys.is_none_or(|keys| keys.ours == offered[1].1));
        }
        for (proto, is_taken) in [("RTP/AVP", true), ("RTP/SAVP", false)] {
            let mut answer = offer(proto, &[&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}")]);
            settle_answer(&mut answer, &[]);
            assert_eq!(answer.streams[0].audio.is_some(), is_taken);
        }
    }

    #[test]
    fn mutated_crypto_lines_are_read_within_bounds() {
        let seed = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20 WSH=64").into_bytes();
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
        let mut taken = 0;
        for _ in 0..100_000 {
            let mut bytes = seed.clone();
            for _ in 0..2 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                let place = (dice >> 8) as usize % bytes.len();
                bytes[place] = dice as u8;
            }
            taken +=
                usize::from(std::str::from_utf8(&bytes).is_ok_and(|t| crypto_line(t).is_some()));
        }
        assert!((1..90_000).contains(&taken), "{taken}");
    }
}
