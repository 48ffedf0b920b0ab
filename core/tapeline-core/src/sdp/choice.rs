//! Choosing from a peer's description (RFC 3264 §6).

use crate::media::codec::Rate;
use crate::media::command::{Agreement, Codec, Direction};
use crate::sdp::preference::{Preference, is_same_kind};
use crate::sdp::remote::{Audio, RemoteDescription};

/// What is sent when nothing is asked for: a tick.
const TICK_MS: u32 = 20;
/// Packets have whole multiples of it.
const PACKET_STEP_MS: u32 = 10;
/// Longer packets would make one lost packet heard.
const PACKET_MAX_MS: u32 = 60;
/// Longer ones are torn apart on many ways.
const PAYLOAD_MAX: u32 = 1_400;

/// The stream that was chosen and what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreed {
    /// Place of its `m=` line.
    pub stream: usize,
    pub agreement: Agreement,
    /// The peer may send comfort noise (RFC 3389) instead of silence.
    pub has_comfort_noise: bool,
}

/// The first audio stream that has a codec of ours and our address family. `keep` is the codec in
/// use: it stays if the peer still lists it, else the peer's order decides.
///
/// A remote port of an unspecified address means: send nothing until the peer's audio shows where
/// it is.
pub fn agree(
    remote: &RemoteDescription,
    preference: &Preference,
    is_ipv6: bool,
    keep: Option<Codec>,
) -> Option<Agreed> {
    remote.streams.iter().enumerate().find_map(|(stream, described)| {
        let audio = described.audio.as_ref()?;
        let is_reachable = audio.remote.ip().is_unspecified() || audio.remote.is_ipv6() == is_ipv6;
        let (payload_type, codec) = chosen(audio, preference, keep)?;
        let is_narrow = codec.rate() == Rate::Narrow && codec.clock_hz() == Rate::Narrow.hz();
        is_reachable.then(|| Agreed {
            stream,
            agreement: agreement(audio, payload_type, codec),
            has_comfort_noise: audio.formats.has_comfort_noise && is_narrow,
        })
    })
}

fn chosen(audio: &Audio, preference: &Preference, keep: Option<Codec>) -> Option<(u8, Codec)> {
    let settled = |(number, theirs): &(u8, Codec)| Some((*number, preference.settle(*theirs)?));
    let common = || audio.formats.codecs.iter().filter_map(settled);
    let same = common().find(|(_, codec)| Some(*codec) == keep);
    // Its rate may have changed: Opus has no other way to say so.
    let kind = || common().find(|(_, codec)| keep.is_some_and(|keep| is_same_kind(keep, *codec)));
    same.or_else(kind).or_else(|| common().next())
}

fn agreement(audio: &Audio, payload_type: u8, codec: Codec) -> Agreement {
    Agreement {
        remote: audio.remote,
        codec,
        payload_type,
        telephone_event: audio.formats.events_for(codec),
        packet_ms: packet_ms(codec, audio.packet_ms, audio.packet_ms_max),
        direction: ours(audio.direction),
        rtcp: audio.rtcp,
        srtp: audio.srtp.clone(),
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

fn packet_ms(codec: Codec, asked: Option<u32>, at_most: Option<u32>) -> u8 {
    let fits = match codec {
        Codec::L16(rate) => PAYLOAD_MAX * 1_000 / (rate.hz() * 2),
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus(_) => PACKET_MAX_MS,
    };
    let at_most = at_most.unwrap_or(PACKET_MAX_MS).min(fits).min(PACKET_MAX_MS);
    let wanted = asked.unwrap_or(TICK_MS).min(at_most).max(PACKET_STEP_MS);
    match codec {
        // Half a tick, or whole ones.
        Codec::Opus(_) if wanted >= TICK_MS => (wanted / TICK_MS * TICK_MS) as u8,
        _ => (wanted / PACKET_STEP_MS * PACKET_STEP_MS) as u8,
    }
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

    fn agreed(offer: &RemoteDescription, keep: Option<Codec>) -> Option<Agreed> {
        agree(offer, &Preference::default(), false, keep)
    }

    #[test]
    fn the_peers_order_decides_unless_a_codec_is_in_use() {
        use Codec::{G722, L16, Opus, Pcma, Pcmu};
        use Rate::{Narrow, Wide};
        let maps = "a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 L16/48000\r\n\
                    a=rtpmap:98 L16/16000\r\na=rtpmap:99 opus/48000/2\r\n\
                    a=fmtp:99 maxplaybackrate=8000;sprop-maxcapturerate=8000\r\n";
        let cases = [
            ("0 8", None, Some((0, Pcmu))),
            ("8 0", None, Some((8, Pcma))),
            ("18 9 8", None, Some((9, G722))),
            ("96 9 0", None, Some((96, Opus(Wide)))),
            ("0 9 96", Some(Opus(Wide)), Some((96, Opus(Wide)))),
            ("9 99", Some(Opus(Wide)), Some((99, Opus(Narrow)))),
            ("97 98 0", None, Some((98, L16(Wide)))),
            ("8 0", Some(Pcmu), Some((0, Pcmu))),
            ("8", Some(Pcmu), Some((8, Pcma))),
            ("97 3 18", None, None),
        ];
        for (formats, keep, expected) in cases {
            let chosen = agreed(&offer(formats, maps), keep)
                .map(|a| (a.agreement.payload_type, a.agreement.codec));
            assert_eq!(chosen, expected, "{formats} {keep:?}");
        }
    }

    #[test]
    fn hold_and_packet_time_are_seen_from_us() {
        let cases = [
            ("a=sendonly\r\n", Direction::RecvOnly, 20),
            ("a=recvonly\r\na=ptime:40\r\n", Direction::SendOnly, 40),
            ("a=inactive\r\na=ptime:30\r\n", Direction::Inactive, 30),
            ("a=ptime:10\r\n", Direction::SendRecv, 10),
            ("a=ptime:4000000000\r\n", Direction::SendRecv, 60),
            ("a=ptime:x\r\nc=IN IP4 0.0.0.0\r\n", Direction::RecvOnly, 20),
        ];
        for (rest, direction, packet_ms) in cases {
            let agreed = agreed(&offer("0", rest), None).unwrap().agreement;
            assert_eq!((agreed.direction, agreed.packet_ms), (direction, packet_ms), "{rest}");
        }
    }

    #[test]
    fn an_address_of_the_other_family_is_not_taken() {
        let ipv6 = |rest| agree(&offer("0", rest), &Preference::default(), true, None);
        assert!(ipv6("").is_none());
        assert!(ipv6("c=IN IP6 2001:db8::1\r\n").is_some());
        assert!(ipv6("c=IN IP4 host.example\r\n").is_some());
    }

    #[test]
    fn packet_times_are_kept_where_they_can_be_sent() {
        let maps = "a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 L16/8000\r\na=rtpmap:98 L16/16000\r\n";
        let cases = [
            ("0", "", 20),
            ("0", "a=ptime:10\r\n", 10),
            ("9", "a=ptime:30\r\n", 30),
            ("8", "a=ptime:40\r\n", 40),
            ("0", "a=ptime:60\r\n", 60),
            ("0", "a=ptime:25\r\n", 20),
            ("0", "a=ptime:0\r\n", 10),
            ("0", "a=ptime:200\r\n", 60),
            ("0", "a=ptime:40\r\na=maxptime:30\r\n", 30),
            ("0", "a=maxptime:15\r\n", 10),
            ("0", "a=maxptime:2\r\n", 10),
            ("0", "a=ptime:20\r\na=maxptime:4294967295\r\n", 20),
            ("96", "a=ptime:60\r\na=maxptime:120\r\n", 60),
            ("96", "", 20),
            ("96", "a=ptime:120\r\n", 60),
            ("96", "a=ptime:40\r\n", 40),
            ("96", "a=ptime:30\r\n", 20),
            ("96", "a=ptime:60\r\na=maxptime:50\r\n", 40),
            ("96", "a=ptime:10\r\n", 10),
            ("96", "a=maxptime:10\r\n", 10),
            ("96", "a=ptime:3\r\n", 10),
            ("97", "a=ptime:60\r\n", 60),
            // 1,280 bytes.
            ("98", "a=ptime:60\r\n", 40),
        ];
        for (formats, rest, expected) in cases {
            let agreed = agreed(&offer(formats, &format!("{maps}{rest}")), None).unwrap();
            assert_eq!(agreed.agreement.packet_ms, expected, "{formats} {rest}");
        }
        let full = Preference::new(&["L16".into()], Rate::Full).unwrap();
        let offer = offer("96", "a=rtpmap:96 L16/48000\r\na=ptime:20\r\n");
        assert_eq!(agree(&offer, &full, false, None).unwrap().agreement.packet_ms, 10);
    }

    #[test]
    fn the_events_clock_is_the_codecs() {
        let maps = "a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n\
                    a=rtpmap:102 telephone-event/48000\r\n";
        for (formats, expected) in [
            ("96 0 101 102", Some((102, 48_000))),
            ("0 96 102 101", Some((101, 8_000))),
            ("9 101 102", Some((101, 8_000))),
            ("96 0 101", Some((101, 8_000))),
            ("0 102", None),
            ("96", None),
        ] {
            let agreed = agreed(&offer(formats, maps), None).unwrap();
            let events = agreed.agreement.telephone_event;
            let events = events.map(|events| (events.payload_type, events.clock_hz));
            assert_eq!(events, expected, "{formats}");
        }
    }

    #[test]
    fn comfort_noise_goes_with_codecs_of_8_khz() {
        for (formats, expected) in [("0 13", true), ("0", false), ("9 13", false)] {
            let agreed = agreed(&offer(formats, ""), None).unwrap();
            assert_eq!(agreed.has_comfort_noise, expected, "{formats}");
        }
    }
}
