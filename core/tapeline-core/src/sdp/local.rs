//! Writing our session description.

use std::fmt::{self, Write};
use std::net::IpAddr;

use crate::media::command::{Agreement, Direction, RtcpPlace};
use crate::media::srtp::MasterKey;
use crate::sdp::choice::Agreed;
use crate::sdp::format::{
    COMFORT_NOISE, Formats, encoding_name, format_parameters, static_payload_type,
};
use crate::sdp::preference::{Preference, is_same_kind};
use crate::sdp::protection::write_crypto;
use crate::sdp::remote::RemoteDescription;

/// Where the payload types of our own offers begin: codecs and telephone-event.
const DYNAMIC: u8 = 96;
const EVENTS: u8 = 101;

/// Our side of one dialog: the session id stays, the version rises with each change
/// (RFC 3264 §8).
#[derive(Clone)]
pub struct LocalDescription {
    address: IpAddr,
    port: u16,
    session_id: u64,
    version: u64,
    /// All but the `o=` line of what was sent last.
    last: String,
    /// What our offers protect with, by tag; none: plain RTP.
    keys: Vec<(u32, MasterKey)>,
}

/// Without its text, which may hold keys.
impl fmt::Debug for LocalDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, port, version, .. } = self;
        write!(f, "LocalDescription({address} port {port}, version {version})")
    }
}

impl LocalDescription {
    /// `address` and `port` are where we receive RTP; `session_id` is any number, unlike for each
    /// dialog.
    pub fn new(address: IpAddr, port: u16, session_id: u64) -> Self {
        // RFC 4566 §5.2 wants digits; 63 bits suit parsers that read a signed number.
        let session_id = session_id >> 1;
        Self { address, port, session_id, version: 0, last: String::new(), keys: Vec::new() }
    }

    /// Our next offers are SRTP with these keys; none: plain RTP.
    pub fn protect(&mut self, keys: Vec<(u32, MasterKey)>) {
        self.keys = keys;
    }

    /// Of the last offer, by tag.
    pub fn keys(&self) -> &[(u32, MasterKey)] {
        &self.keys
    }

    /// The answer to `offer`: its streams in their order, all but the agreed one refused.
    pub fn answer(&mut self, offer: &RemoteDescription, agreed: Option<&Agreed>) -> String {
        let mut body = self.head(offer.active);
        for (place, stream) in offer.streams.iter().enumerate() {
            match agreed.filter(|a| a.stream == place) {
                Some(agreed) => self.write_audio(&mut body, &stream.proto, agreed),
                None => {
                    let (kind, proto, formats) = (&stream.kind, &stream.proto, &stream.formats);
                    let _ = write!(body, "m={kind} 0 {proto} {formats}\r\n");
                }
            }
        }
        self.publish(body)
    }

    /// Our offer; what is agreed already keeps its place and payload types (RFC 3264 §8.3.2).
    pub fn offer(&mut self, preference: &Preference, current: Option<&Agreement>) -> String {
        let mut body = self.head((0, 0));
        let formats = offered(preference, current);
        let packet_ms = current.map_or(20, |a| a.packet_ms);
        let proto = if self.keys.is_empty() { "RTP/AVP" } else { "RTP/SAVP" };
        self.write_stream(&mut body, proto, &formats, packet_ms);
        body.push_str("a=rtcp-mux\r\na=sendrecv\r\n");
        for (tag, key) in &self.keys {
            write_crypto(&mut body, *tag, key);
        }
        self.publish(body)
    }

    /// What was sent last, once more and as it was; None when nothing was.
    pub fn again(&mut self) -> Option<String> {
        let body = std::mem::take(&mut self.last);
        if body.is_empty() {
            return None;
        }
        self.last.clone_from(&body);
        Some(self.publish(body))
    }

    fn head(&self, active: (u64, u64)) -> String {
        let (family, address) = (family(self.address), self.address);
        format!("s=-\r\nc=IN {family} {address}\r\nt={} {}\r\n", active.0, active.1)
    }

    fn write_audio(&self, body: &mut String, proto: &str, agreed: &Agreed) {
        let agreement = &agreed.agreement;
        let formats = Formats {
            codecs: vec![(agreement.payload_type, agreement.codec)],
            events: agreement
                .telephone_event
                .map(|events| (events.payload_type, events.clock_hz))
                .into_iter()
                .collect(),
            has_comfort_noise: agreed.has_comfort_noise,
        };
        self.write_stream(body, proto, &formats, agreement.packet_ms);
        if agreement.rtcp == RtcpPlace::Multiplexed {
            body.push_str("a=rtcp-mux\r\n");
        }
        let _ = write!(body, "a={}\r\n", direction_name(agreement.direction));
        if let Some(keys) = &agreement.srtp {
            write_crypto(body, keys.tag, &keys.ours);
        }
    }

    fn write_stream(&self, body: &mut String, proto: &str, formats: &Formats, packet_ms: u8) {
        let _ = write!(body, "m=audio {} {proto}", self.port);
        let noise = formats.has_comfort_noise.then_some(COMFORT_NOISE);
        let codecs = formats.codecs.iter().map(|(number, _)| *number);
        let events = formats.events.iter().map(|(number, _)| *number);
        for number in codecs.chain(noise).chain(events) {
            let _ = write!(body, " {number}");
        }
        body.push_str("\r\n");
        for (number, codec) in &formats.codecs {
            let _ = write!(body, "a=rtpmap:{number} {}\r\n", encoding_name(*codec));
            if let Some(parameters) = format_parameters(*codec) {
                let _ = write!(body, "a=fmtp:{number} {parameters}\r\n");
            }
        }
        if let Some(number) = noise {
            let _ = write!(body, "a=rtpmap:{number} CN/8000\r\n");
        }
        for (number, clock_hz) in &formats.events {
            let _ = write!(body, "a=rtpmap:{number} telephone-event/{clock_hz}\r\n");
            let _ = write!(body, "a=fmtp:{number} 0-16\r\n");
        }
        let _ = write!(body, "a=ptime:{packet_ms}\r\n");
    }

    fn publish(&mut self, body: String) -> String {
        if self.last != body {
            self.version += 1;
        }
        let (id, version, address) = (self.session_id, self.version, self.address);
        let origin = format!("o=tapeline {id} {version} IN {} {address}\r\n", family(address));
        let text = format!("v=0\r\n{origin}{body}");
        self.last = body;
        text
    }
}

/// The current codec first, then the others of the node's, and events for the clock of each.
fn offered(preference: &Preference, current: Option<&Agreement>) -> Formats {
    let mut formats = Formats::default();
    let mut taken: Vec<u8> = Vec::new();
    if let Some(current) = current {
        let events = current.telephone_event.map(|events| events.payload_type);
        taken.extend([Some(current.payload_type), events].into_iter().flatten());
        formats.codecs.push((current.payload_type, current.codec));
        let events = current.telephone_event.map(|it| (it.payload_type, it.clock_hz));
        formats.events.extend(events);
    }
    let mut free = |wished: u8, from: u8| {
        let number = std::iter::once(wished).chain(from..=127).find(|it| !taken.contains(it));
        taken.extend(number);
        number
    };
    for codec in preference.offered() {
        if current.is_none_or(|current| !is_same_kind(current.codec, codec)) {
            let number = free(static_payload_type(codec).unwrap_or(DYNAMIC), DYNAMIC);
            formats.codecs.extend(number.map(|number| (number, codec)));
        }
    }
    let mut clocks: Vec<u32> = formats.codecs.iter().map(|(_, codec)| codec.clock_hz()).collect();
    clocks.sort_unstable();
    clocks.dedup();
    for clock_hz in clocks {
        if formats.events.iter().all(|(_, known_hz)| *known_hz != clock_hz) {
            formats.events.extend(free(EVENTS, EVENTS).map(|number| (number, clock_hz)));
        }
    }
    formats
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IP4" } else { "IP6" }
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::{Codec, Rate};
    use crate::media::command::KeyEvents;
    use crate::sdp::{Terms, agree, offered_keys, parse, settle_answer, settle_offer};

    fn local() -> LocalDescription {
        LocalDescription::new("192.0.2.7".parse().unwrap(), 20_000, 84)
    }

    #[test]
    fn an_answer_repeats_every_stream_in_its_place() {
        let offer = parse(
            b"v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=5 9\r\n\
              m=video 5000 RTP/AVP 31 32\r\nm=audio 4000 RTP/AVP 8 0 96\r\n\
              a=rtpmap:96 telephone-event/8000\r\na=sendonly\r\nm=image 6000 udptl t38\r\n",
        )
        .unwrap();
        let agreed = agree(&offer, &Preference::default(), false, None).unwrap();

        let text = local().answer(&offer, Some(&agreed));

        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "v=0",
                "o=tapeline 42 1 IN IP4 192.0.2.7",
                "s=-",
                "c=IN IP4 192.0.2.7",
                "t=5 9",
                "m=video 0 RTP/AVP 31 32",
                "m=audio 20000 RTP/AVP 8 96",
                "a=rtpmap:8 PCMA/8000",
                "a=rtpmap:96 telephone-event/8000",
                "a=fmtp:96 0-16",
                "a=ptime:20",
                "a=recvonly",
                "m=image 0 udptl t38",
            ]
        );
        assert!(text.ends_with("\r\n"));
    }

    #[test]
    fn the_version_rises_only_with_a_change() {
        let mut ours = local();
        let offer = |rest: &str| {
            let head = "v=0\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
            parse(format!("{head}{rest}").as_bytes()).unwrap()
        };
        let mut version = |offer: &RemoteDescription| {
            let agreed = agree(offer, &Preference::default(), false, None);
            let text = ours.answer(offer, agreed.as_ref());
            text.split(' ').nth(2).unwrap().to_owned()
        };

        let versions = ["", "", "a=sendonly\r\n", ""].map(|rest| version(&offer(rest)));

        assert_eq!(versions, ["1", "1", "2", "3"]);
    }

    #[test]
    fn an_answer_says_of_opus_what_we_take() {
        let offer = parse(
            b"v=0\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 111 13 0 110 126\r\n\
              a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1;stereo=1\r\n\
              a=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n\
              a=ptime:40\r\n",
        )
        .unwrap();
        let answer = |names: &[&str], limit| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let preference = Preference::new(&names, limit).unwrap();
            let agreed = agree(&offer, &preference, false, None).unwrap();
            let text = local().answer(&offer, Some(&agreed));
            text.lines().skip_while(|line| !line.starts_with("m=")).map(str::to_owned).collect()
        };

        let of_opus: Vec<String> = answer(&["PCMU", "opus"], Rate::Wide);
        assert_eq!(
            of_opus,
            [
                "m=audio 20000 RTP/AVP 111 110",
                "a=rtpmap:111 opus/48000/2",
                "a=fmtp:111 useinbandfec=1;usedtx=0;maxplaybackrate=16000;\
                 sprop-maxcapturerate=16000",
                "a=rtpmap:110 telephone-event/48000",
                "a=fmtp:110 0-16",
                "a=ptime:40",
                "a=sendrecv",
            ]
        );
        let of_pcmu: Vec<String> = answer(&["PCMU"], Rate::Wide);
        assert_eq!(
            of_pcmu,
            [
                "m=audio 20000 RTP/AVP 0 13 126",
                "a=rtpmap:0 PCMU/8000",
                "a=rtpmap:13 CN/8000",
                "a=rtpmap:126 telephone-event/8000",
                "a=fmtp:126 0-16",
                "a=ptime:40",
                "a=sendrecv",
            ]
        );
    }

    #[test]
    fn our_offer_can_be_answered_by_ourselves() {
        let preference = Preference::default();
        let first = local().offer(&preference, None);
        assert!(first.contains("m=audio 20000 RTP/AVP 96 9 0 8 101 102\r\n"), "{first}");
        assert!(first.contains("a=rtpmap:101 telephone-event/8000\r\n"), "{first}");
        assert!(first.contains("a=rtpmap:102 telephone-event/48000\r\n"), "{first}");
        let parsed = parse(first.as_bytes()).unwrap();
        for (keep, expected, event) in [
            (None, (96, Codec::Opus(Rate::Wide)), 102),
            (Some(Codec::G722), (9, Codec::G722), 101),
            (Some(Codec::Pcma), (8, Codec::Pcma), 101),
        ] {
            let agreed = agree(&parsed, &preference, false, keep).unwrap().agreement;
            assert_eq!((agreed.payload_type, agreed.codec), expected);
            assert_eq!(agreed.telephone_event.unwrap().payload_type, event);
            assert_eq!(agreed.remote, "192.0.2.7:20000".parse().unwrap());
        }
    }

    #[test]
    fn what_is_agreed_keeps_its_payload_types_and_takes_nobody_elses() {
        let preference = Preference::default();
        let parsed = parse(local().offer(&preference, None).as_bytes()).unwrap();
        let agreed = agree(&parsed, &preference, false, None).unwrap().agreement;
        for (codec, payload_type, telephone_event, expected) in [
            (Codec::Pcma, 97, Some(101), "97 96 9 0 101 102"),
            (Codec::Pcma, 96, Some(97), "96 98 9 0 97 101"),
            (Codec::Opus(Rate::Narrow), 101, Some(102), "101 9 0 8 102 103"),
            (Codec::G722, 0, None, "0 96 97 8 101 102"),
            (Codec::L16(Rate::Wide), 98, None, "98 96 9 0 8 101 102 103"),
        ] {
            let clock_hz = codec.clock_hz();
            let telephone_event =
                telephone_event.map(|payload_type| KeyEvents { payload_type, clock_hz });
            let current = Agreement { codec, payload_type, telephone_event, ..agreed.clone() };
            let again = local().offer(&preference, Some(&current));
            let line = format!("m=audio 20000 RTP/AVP {expected}\r\n");
            assert!(again.contains(&line), "{codec:?} {again}");
            let answered = agree(&parse(again.as_bytes()).unwrap(), &preference, false, None);
            let first = answered.unwrap().agreement;
            assert_eq!((first.payload_type, first.codec), (payload_type, codec));
        }
    }

    #[test]
    fn a_protected_offer_is_answered_with_a_key_of_our_own_and_a_protected_one_is_ours() {
        let preference = Preference::default();
        let mut ours = local();
        ours.protect(offered_keys(None));
        let text = ours.offer(&preference, None);
        assert!(text.contains("m=audio 20000 RTP/SAVP "), "{text}");
        let mut offer = parse(text.as_bytes()).unwrap();
        settle_offer(&mut offer, Terms::Either, None);
        let agreed = agree(&offer, &preference, false, None).unwrap();
        let theirs = agreed.agreement.srtp.clone().unwrap();
        assert_eq!((theirs.tag, agreed.agreement.rtcp), (1, RtcpPlace::Multiplexed));

        let text = local().answer(&offer, Some(&agreed));
        let line = format!("a=crypto:1 AEAD_AES_128_GCM inline:{}\r\n", theirs.ours.to_base64());
        assert!(text.contains(&line) && text.contains("a=rtcp-mux\r\n"), "{text}");
        let mut answer = parse(text.as_bytes()).unwrap();
        settle_answer(&mut answer, ours.keys());
        let settled = agree(&answer, &preference, false, None).unwrap().agreement.srtp.unwrap();
        assert_eq!((settled.ours, settled.theirs), (theirs.theirs, theirs.ours.clone()));
        assert!(!format!("{ours:?}").contains(&theirs.ours.to_base64()));
    }

    #[test]
    fn ipv6_is_written_as_such() {
        let mut ours = LocalDescription::new("2001:db8::7".parse().unwrap(), 20_000, 2);
        let text = ours.offer(&Preference::default(), None);
        assert!(text.contains("c=IN IP6 2001:db8::7\r\n"), "{text}");
        assert!(text.contains("IN IP6 2001:db8::7\r\ns="), "{text}");
    }
}
