//! What the formats of an `m=audio` line are: `a=rtpmap`, `a=fmtp` and the static payload types.

use sdp_types::{Attribute, Media};

use crate::media::codec::{Codec, Rate};
use crate::media::command::KeyEvents;

/// Static payload type of comfort noise (RFC 3389 §4), for codecs of 8 kHz.
pub const COMFORT_NOISE: u8 = 13;
/// Clock of Opus in RTP, whatever its audio (RFC 7587 §4.1).
const OPUS_CLOCK: u32 = 48_000;
const TELEPHONE_CLOCK: u32 = 8_000;

/// The formats that we know, each kind in the peer's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Formats {
    /// Of Opus, the rate is the lowest that the peer's audio loses nothing at.
    pub codecs: Vec<(u8, Codec)>,
    /// Payload types of telephone-event and their clocks (RFC 4733 §2.1).
    pub events: Vec<(u8, u32)>,
    pub has_comfort_noise: bool,
}

impl Formats {
    pub fn of(media: &Media) -> Self {
        let mut formats = Self::default();
        for text in media.fmt.split_ascii_whitespace() {
            let Ok(payload_type @ 0..=127) = text.parse::<u8>() else { continue };
            match Format::of(media, payload_type) {
                Some(Format::Speech(codec)) => formats.codecs.push((payload_type, codec)),
                Some(Format::Events(clock_hz)) => formats.events.push((payload_type, clock_hz)),
                Some(Format::ComfortNoise) => formats.has_comfort_noise = true,
                None => {}
            }
        }
        formats
    }

    /// The events that fit a codec: their timestamps are on its clock. Beside Opus some peers know those
    /// of 8 kHz only: these are better than none.
    pub fn events_for(&self, codec: Codec) -> Option<KeyEvents> {
        let of_clock = |wanted| self.events.iter().find(|(_, clock_hz)| *clock_hz == wanted);
        let of_telephones =
            || of_clock(TELEPHONE_CLOCK).filter(|_| matches!(codec, Codec::Opus(_)));
        let (payload_type, clock_hz) = *of_clock(codec.clock_hz()).or_else(of_telephones)?;
        Some(KeyEvents { payload_type, clock_hz })
    }
}

enum Format {
    Speech(Codec),
    Events(u32),
    ComfortNoise,
}

impl Format {
    /// By `a=rtpmap`, else by the static table of RFC 3551 §6.
    fn of(media: &Media, payload_type: u8) -> Option<Self> {
        let Some(map) = parameters(&media.attributes, "rtpmap", payload_type) else {
            return match payload_type {
                0 => Some(Self::Speech(Codec::Pcmu)),
                8 => Some(Self::Speech(Codec::Pcma)),
                9 => Some(Self::Speech(Codec::G722)),
                COMFORT_NOISE => Some(Self::ComfortNoise),
                _ => None,
            };
        };
        let map = map.to_ascii_lowercase();
        let mut parts = map.split('/');
        let name = parts.next()?;
        let clock_hz: u32 = parts.next()?.parse().ok()?;
        let channels = parts.next().unwrap_or("1");
        match (name, clock_hz, channels) {
            ("pcmu", 8_000, "1") => Some(Self::Speech(Codec::Pcmu)),
            ("pcma", 8_000, "1") => Some(Self::Speech(Codec::Pcma)),
            // Its clock was written wrongly once and stays so (RFC 3551 §4.5.2).
            ("g722", 8_000, "1") => Some(Self::Speech(Codec::G722)),
            ("l16", _, "1") => Rate::of(clock_hz).map(|rate| Self::Speech(Codec::L16(rate))),
            ("opus", OPUS_CLOCK, _) => {
                let format = parameters(&media.attributes, "fmtp", payload_type);
                Some(Self::Speech(Codec::Opus(opus_rate(format.unwrap_or_default()))))
            }
            ("telephone-event", 8_000 | 16_000 | OPUS_CLOCK, "1") => Some(Self::Events(clock_hz)),
            ("cn", 8_000, "1") if payload_type == COMFORT_NOISE => Some(Self::ComfortNoise),
            _ => None,
        }
    }
}

/// What an attribute of the form `PAYLOAD-TYPE VALUE` says of one.
fn parameters<'a>(attributes: &'a [Attribute], name: &str, payload_type: u8) -> Option<&'a str> {
    attributes.iter().filter(|a| a.attribute == name).find_map(|a| {
        let (number, value) = a.value.as_deref()?.trim().split_once(char::is_whitespace)?;
        (number.parse::<u8>().ok()? == payload_type).then(|| value.trim())
    })
}

/// From `maxplaybackrate` and `sprop-maxcapturerate` (RFC 7587 §6.1): what the peer neither plays nor
/// sends is not worth coding. `stereo` and `sprop-stereo` concern neither side of us: we send mono, and
/// decode both to mono. FEC and DTX a decoder takes as they come.
fn opus_rate(format: &str) -> Rate {
    let rate_of = |wanted: &str| {
        let value =
            format.split(';').filter_map(|each| each.split_once('=')).find_map(|(name, value)| {
                name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
            });
        value.and_then(|it| it.parse::<u32>().ok()).unwrap_or(OPUS_CLOCK)
    };
    let needed = rate_of("maxplaybackrate").max(rate_of("sprop-maxcapturerate"));
    Rate::ALL.into_iter().find(|rate| rate.hz() >= needed).unwrap_or(Rate::Full)
}

/// Encoding, clock rate and channels as `a=rtpmap` has them. Opus always says two channels
/// (RFC 7587 §7), whatever is inside.
pub fn encoding_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Pcmu => "PCMU/8000",
        Codec::Pcma => "PCMA/8000",
        Codec::G722 => "G722/8000",
        Codec::L16(Rate::Narrow) => "L16/8000",
        Codec::L16(Rate::Wide) => "L16/16000",
        Codec::L16(Rate::Full) => "L16/48000",
        Codec::Opus(_) => "opus/48000/2",
    }
}

/// What `a=fmtp` says of a codec of ours.
pub fn format_parameters(codec: Codec) -> Option<String> {
    let Codec::Opus(rate) = codec else { return None };
    let hz = rate.hz();
    // Without DTX a recording has the room's own silence.
    Some(format!("useinbandfec=1;usedtx=0;maxplaybackrate={hz};sprop-maxcapturerate={hz}"))
}

/// `None`: the codec has no static payload type and takes a free one.
pub fn static_payload_type(codec: Codec) -> Option<u8> {
    match codec {
        Codec::Pcmu => Some(0),
        Codec::Pcma => Some(8),
        Codec::G722 => Some(9),
        Codec::L16(_) | Codec::Opus(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Codec::{G722, L16, Opus, Pcma, Pcmu};

    fn formats(line: &str, attributes: &[(&str, &str)]) -> Formats {
        let attribute = |(name, value): &(&str, &str)| Attribute {
            attribute: (*name).into(),
            value: Some((*value).into()),
        };
        Formats::of(&Media {
            media: "audio".into(),
            port: 4_000,
            num_ports: None,
            proto: "RTP/AVP".into(),
            fmt: line.into(),
            media_title: None,
            connections: Vec::new(),
            bandwidths: Vec::new(),
            key: None,
            attributes: attributes.iter().map(attribute).collect(),
        })
    }

    #[test]
    fn static_payload_types_need_no_map() {
        let formats = formats("18 9 13 3 0 8 10 11 5 x 300", &[]);
        assert_eq!(formats.codecs, [(9, G722), (0, Pcmu), (8, Pcma)]);
        assert!(formats.has_comfort_noise && formats.events.is_empty());
    }

    #[test]
    fn maps_name_every_codec() {
        let cases = [
            ("PCMU/8000", Some(Pcmu)),
            ("pcma/8000/1", Some(Pcma)),
            ("G722/8000", Some(G722)),
            ("g722/16000", None),
            ("L16/8000", Some(L16(Rate::Narrow))),
            ("L16/16000/1", Some(L16(Rate::Wide))),
            ("L16/48000", Some(L16(Rate::Full))),
            ("L16/44100", None),
            ("L16/16000/2", None),
            ("opus/48000/2", Some(Opus(Rate::Full))),
            ("OPUS/48000", Some(Opus(Rate::Full))),
            ("opus/16000/2", None),
            ("PCMU/16000", None),
            ("G729/8000", None),
            ("PCMU", None),
            ("PCMU/x", None),
            ("", None),
        ];
        for (map, expected) in cases {
            let found = formats("96", &[("rtpmap", &format!("96 {map}"))]).codecs;
            assert_eq!(found.first().map(|(_, codec)| *codec), expected, "{map}");
        }
    }

    #[test]
    fn opus_is_coded_at_what_the_peer_plays_and_captures() {
        let cases = [
            ("", Rate::Full),
            ("minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1", Rate::Full),
            ("maxplaybackrate=16000; sprop-maxcapturerate=16000; stereo=1", Rate::Wide),
            ("maxplaybackrate=8000;sprop-maxcapturerate=12000;usedtx=1", Rate::Wide),
            ("MaxPlaybackRate=8000;sprop-maxcapturerate=8000", Rate::Narrow),
            // It plays little but sends all.
            ("maxplaybackrate=8000", Rate::Full),
            ("maxplaybackrate=;sprop-maxcapturerate=0", Rate::Full),
            ("maxplaybackrate=99999999999;sprop-maxcapturerate=-1", Rate::Full),
        ];
        for (parameters, expected) in cases {
            let attributes = [
                ("rtpmap", "111 opus/48000/2"),
                ("fmtp", "110 maxplaybackrate=8000;sprop-maxcapturerate=8000"),
                ("fmtp", &format!("111 {parameters}")),
            ];
            let found = formats("111", &attributes).codecs;
            assert_eq!(found, [(111, Opus(expected))], "{parameters}");
        }
    }

    #[test]
    fn events_fit_by_their_clock() {
        let attributes = [
            ("rtpmap", "101 telephone-event/8000"),
            ("rtpmap", "110 telephone-event/48000"),
            ("rtpmap", "126 telephone-event/8000"),
            ("rtpmap", "113 telephone-event/32000"),
        ];
        let formats = formats("0 110 126 101 113", &attributes);
        assert_eq!(formats.events, [(110, 48_000), (126, 8_000), (101, 8_000)]);
        let events = |payload_type, clock_hz| Some(KeyEvents { payload_type, clock_hz });
        for (codec, expected) in [
            (Pcmu, events(126, 8_000)),
            (G722, events(126, 8_000)),
            (Opus(Rate::Wide), events(110, 48_000)),
            (L16(Rate::Full), events(110, 48_000)),
            (L16(Rate::Wide), None),
        ] {
            assert_eq!(formats.events_for(codec), expected, "{codec:?}");
        }
        let narrow = Formats { events: vec![(101, 8_000)], ..Formats::default() };
        assert_eq!(narrow.events_for(Opus(Rate::Full)), events(101, 8_000), "nothing better");
        assert_eq!(narrow.events_for(L16(Rate::Full)), None);
    }

    #[test]
    fn comfort_noise_has_its_static_type_only() {
        assert!(formats("13", &[("rtpmap", "13 CN/8000")]).has_comfort_noise);
        assert!(!formats("13", &[("rtpmap", "13 CN/16000")]).has_comfort_noise);
        assert!(!formats("98", &[("rtpmap", "98 CN/8000")]).has_comfort_noise);
    }
}
