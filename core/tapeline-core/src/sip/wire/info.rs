//! Digits in the body of an INFO request: what vendors agreed on, no RFC.
//!
//! `application/dtmf-relay` has lines `Signal=5` and `Duration=160`; `application/dtmf` has the digit
//! alone. Some write `*` and `#` as 10 and 11, `A` to `D` as 12 to 15 (the events of RFC 4733 §3.2).

/// Nobody holds a key for longer.
const MAX_DURATION_MS: u32 = 60_000;
/// What a body that names no duration stands for.
const USUAL_DURATION_MS: u32 = 100;

/// The digit, as ASCII, and how long its key was held, milliseconds.
pub(crate) fn digit(content_type: &str, body: &[u8]) -> Option<(u8, u32)> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_relay = media_type.eq_ignore_ascii_case("application/dtmf-relay");
    if !is_relay && !media_type.eq_ignore_ascii_case("application/dtmf") {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    if !is_relay && !text.contains('=') {
        return Some((key(text)?, USUAL_DURATION_MS));
    }
    let value = |wanted: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    let duration = value("Duration").and_then(|ms| ms.parse().ok()).unwrap_or(USUAL_DURATION_MS);
    Some((key(value("Signal")?)?, duration.min(MAX_DURATION_MS)))
}

fn key(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [key @ (b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D')] => Some(*key),
        [key @ b'a'..=b'd'] => Some(key.to_ascii_uppercase()),
        [b'1', event @ b'0'..=b'5'] => b"*#ABCD".get(usize::from(event - b'0')).copied(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_from_both_kinds_of_body() {
        let relay = "application/dtmf-relay";
        let plain = "Application/DTMF; charset=utf-8";
        let cases = [
            (relay, "Signal=5\r\nDuration=160\r\n", Some((b'5', 160))),
            (relay, "Signal= *\nDuration= 250", Some((b'*', 250))),
            (relay, "duration=99999999\r\nsignal=d", Some((b'D', MAX_DURATION_MS))),
            (relay, "Signal=11\r\n", Some((b'#', USUAL_DURATION_MS))),
            (relay, "Signal=15\r\nDuration=x", Some((b'D', USUAL_DURATION_MS))),
            (plain, "7", Some((b'7', USUAL_DURATION_MS))),
            (plain, " #\r\n", Some((b'#', USUAL_DURATION_MS))),
            (plain, "Signal=1\r\nDuration=80", Some((b'1', 80))),
            (relay, "5", None),
            (relay, "Signal=16", None),
            (relay, "Signal=", None),
            (relay, "Signal=!", None),
            (plain, "", None),
            (plain, "12345", None),
            ("application/sdp", "5", None),
            ("", "5", None),
        ];
        for (content_type, body, expected) in cases {
            assert_eq!(digit(content_type, body.as_bytes()), expected, "{content_type} {body:?}");
        }
        assert_eq!(digit(plain, b"\xff"), None);
    }

    #[test]
    fn mutated_bodies_are_read_within_bounds() {
        let seeds =
            [&b"Signal=5\r\nDuration=160\r\n"[..], b"#", b"Signal= 11\nDuration=99999999999"];
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
        let mut heard = 0;
        for round in 0..100_000_usize {
            let mut body = seeds[round % seeds.len()].to_vec();
            for _ in 0..1 + round % 4 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                let place = (dice >> 8) as usize % body.len();
                body[place] = dice as u8;
            }
            body.truncate((dice >> 40) as usize % (body.len() + 1));
            for kind in ["application/dtmf-relay", "application/dtmf"] {
                if let Some((key, duration_ms)) = digit(kind, &body) {
                    assert!(b"0123456789*#ABCD".contains(&key) && duration_ms <= MAX_DURATION_MS);
                    heard += 1;
                }
            }
        }
        assert!(heard > 1_000, "{heard}");
    }
}
