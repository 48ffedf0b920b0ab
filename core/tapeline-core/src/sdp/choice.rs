//! Choosing from a peer's description (RFC 3264 §6).

use crate::media::command::{Agreement, Codec, Direction};
use crate::sdp::remote::{Audio, RemoteDescription};

/// A tick; we send a whole number of them per packet.
const TICK_MS: u32 = 20;
/// Longer packets would make one lost packet heard.
const MAX_PACKET_MS: u32 = 60;

/// The stream that was chosen and what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreed {
    /// Place of its `m=` line.
    pub stream: usize,
    pub agreement: Agreement,
}

/// The first audio stream that has a codec of ours and our address family. `keep` is the codec in
/// use: it stays if the peer still lists it, else the peer's order decides.
///
/// A remote port of an unspecified address means: send nothing until the peer's audio shows where
/// it is.
pub fn agree(remote: &RemoteDescription, is_ipv6: bool, keep: Option<Codec>) -> Option<Agreed> {
    remote.streams.iter().enumerate().find_map(|(stream, described)| {
        let audio = described.audio.as_ref()?;
        let is_reachable = audio.remote.ip().is_unspecified() || audio.remote.is_ipv6() == is_ipv6;
        let kept = audio.codecs.iter().find(|(_, codec)| Some(*codec) == keep);
        let &(payload_type, codec) = kept.or(audio.codecs.first())?;
        is_reachable.then(|| Agreed { stream, agreement: agreement(audio, payload_type, codec) })
    })
}

fn agreement(audio: &Audio, payload_type: u8, codec: Codec) -> Agreement {
    Agreement {
        remote: audio.remote,
        codec,
        payload_type,
        telephone_event: audio.telephone_event,
        packet_ms: packet_ms(audio.packet_ms),
        direction: ours(audio.direction),
    }
}

/// The peer's direction seen from us.
fn ours(theirs: Direction) -> Direction {
    match theirs {
        Direction::SendOnly => Direction::RecvOnly,
        Direction::RecvOnly => Direction::SendOnly,
        both => both,
    }
}

fn packet_ms(asked: Option<u32>) -> u8 {
    let asked = asked.unwrap_or(TICK_MS).clamp(TICK_MS, MAX_PACKET_MS);
    (asked / TICK_MS * TICK_MS) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::parse;

    fn offer(formats: &str, rest: &str) -> RemoteDescription {
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP {formats}\r\n{rest}"
        );
        parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn the_peers_order_decides_unless_a_codec_is_in_use() {
        use Codec::{Pcma, Pcmu};
        let cases = [
            ("0 8", None, Some((0, Pcmu))),
            ("8 0", None, Some((8, Pcma))),
            ("9 3 8", None, Some((8, Pcma))),
            ("8 0", Some(Pcmu), Some((0, Pcmu))),
            ("8", Some(Pcmu), Some((8, Pcma))),
            ("9 3 18", None, None),
        ];
        for (formats, keep, expected) in cases {
            let agreed = agree(&offer(formats, ""), false, keep);
            let chosen = agreed.map(|a| (a.agreement.payload_type, a.agreement.codec));
            assert_eq!(chosen, expected, "{formats} {keep:?}");
        }
    }

    #[test]
    fn hold_and_packet_time_are_seen_from_us() {
        let cases = [
            ("a=sendonly\r\n", Direction::RecvOnly, 20),
            ("a=recvonly\r\na=ptime:40\r\n", Direction::SendOnly, 40),
            ("a=inactive\r\na=ptime:30\r\n", Direction::Inactive, 20),
            ("a=ptime:10\r\n", Direction::SendRecv, 20),
            ("a=ptime:4000000000\r\n", Direction::SendRecv, 60),
            ("a=ptime:x\r\nc=IN IP4 0.0.0.0\r\n", Direction::RecvOnly, 20),
        ];
        for (rest, direction, packet_ms) in cases {
            let agreed = agree(&offer("0", rest), false, None).unwrap().agreement;
            assert_eq!((agreed.direction, agreed.packet_ms), (direction, packet_ms), "{rest}");
        }
    }

    #[test]
    fn an_address_of_the_other_family_is_not_taken() {
        assert!(agree(&offer("0", ""), true, None).is_none());
        assert!(agree(&offer("0", "c=IN IP6 2001:db8::1\r\n"), true, None).is_some());
        assert!(agree(&offer("0", "c=IN IP4 host.example\r\n"), true, None).is_some());
    }
}
