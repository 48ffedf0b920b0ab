//! Writing our session description.

use std::fmt::Write;
use std::net::IpAddr;

use crate::media::command::{Agreement, Codec, Direction};
use crate::sdp::choice::Agreed;
use crate::sdp::remote::RemoteDescription;

/// Payload type of telephone-event in our own offers.
const OUR_TELEPHONE_EVENT: u8 = 101;

/// Our side of one dialog: the session id stays, the version rises with each change
/// (RFC 3264 §8).
#[derive(Clone, Debug)]
pub struct LocalDescription {
    address: IpAddr,
    port: u16,
    session_id: u64,
    version: u64,
    /// All but the `o=` line of what was sent last.
    last: String,
}

impl LocalDescription {
    /// `address` and `port` are where we receive RTP; `session_id` is any number, unlike for each
    /// dialog.
    pub fn new(address: IpAddr, port: u16, session_id: u64) -> Self {
        // RFC 4566 §5.2 wants digits; 63 bits suit parsers that read a signed number.
        let session_id = session_id >> 1;
        Self { address, port, session_id, version: 0, last: String::new() }
    }

    /// The answer to `offer`: its streams in their order, all but the agreed one refused.
    pub fn answer(&mut self, offer: &RemoteDescription, agreed: Option<&Agreed>) -> String {
        let mut body = self.head(offer.active);
        for (place, stream) in offer.streams.iter().enumerate() {
            match agreed.filter(|a| a.stream == place) {
                Some(agreed) => self.write_audio(&mut body, &stream.proto, &agreed.agreement),
                None => {
                    let (kind, proto, formats) = (&stream.kind, &stream.proto, &stream.formats);
                    let _ = write!(body, "m={kind} 0 {proto} {formats}\r\n");
                }
            }
        }
        self.publish(body)
    }

    /// Our offer; what is agreed already keeps its place and payload types (RFC 3264 §8.3.2).
    pub fn offer(&mut self, current: Option<&Agreement>) -> String {
        let mut body = self.head((0, 0));
        let mut codecs = vec![(0, Codec::Pcmu), (8, Codec::Pcma)];
        if let Some(agreement) = current {
            codecs.retain(|(_, codec)| *codec != agreement.codec);
            codecs.insert(0, (agreement.payload_type, agreement.codec));
        }
        let event = current.and_then(|a| a.telephone_event).unwrap_or(OUR_TELEPHONE_EVENT);
        let packet_ms = current.map_or(20, |a| a.packet_ms);
        self.write_stream(&mut body, "RTP/AVP", &codecs, Some(event), packet_ms);
        body.push_str("a=sendrecv\r\n");
        self.publish(body)
    }

    fn head(&self, active: (u64, u64)) -> String {
        let (family, address) = (family(self.address), self.address);
        format!("s=-\r\nc=IN {family} {address}\r\nt={} {}\r\n", active.0, active.1)
    }

    fn write_audio(&self, body: &mut String, proto: &str, agreed: &Agreement) {
        let codecs = [(agreed.payload_type, agreed.codec)];
        self.write_stream(body, proto, &codecs, agreed.telephone_event, agreed.packet_ms);
        let _ = write!(body, "a={}\r\n", direction_name(agreed.direction));
    }

    fn write_stream(
        &self,
        body: &mut String,
        proto: &str,
        codecs: &[(u8, Codec)],
        telephone_event: Option<u8>,
        packet_ms: u8,
    ) {
        let _ = write!(body, "m=audio {} {proto}", self.port);
        for (payload_type, _) in codecs {
            let _ = write!(body, " {payload_type}");
        }
        if let Some(event) = telephone_event {
            let _ = write!(body, " {event}");
        }
        body.push_str("\r\n");
        for (payload_type, codec) in codecs {
            let _ = write!(body, "a=rtpmap:{payload_type} {}/8000\r\n", codec_name(*codec));
        }
        if let Some(event) = telephone_event {
            let _ = write!(body, "a=rtpmap:{event} telephone-event/8000\r\n");
            let _ = write!(body, "a=fmtp:{event} 0-16\r\n");
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

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IP4" } else { "IP6" }
}

fn codec_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Pcmu => "PCMU",
        Codec::Pcma => "PCMA",
    }
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
    use crate::sdp::{agree, parse};

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
        let agreed = agree(&offer, false, None).unwrap();

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
            let text = ours.answer(offer, agree(offer, false, None).as_ref());
            text.split(' ').nth(2).unwrap().to_owned()
        };

        let versions = ["", "", "a=sendonly\r\n", ""].map(|rest| version(&offer(rest)));

        assert_eq!(versions, ["1", "1", "2", "3"]);
    }

    #[test]
    fn our_offer_can_be_answered_by_ourselves() {
        let first = local().offer(None);
        let parsed = parse(first.as_bytes()).unwrap();
        let agreed = agree(&parsed, false, None).unwrap().agreement;
        assert_eq!((agreed.payload_type, agreed.telephone_event), (0, Some(101)));
        assert_eq!(agreed.remote, "192.0.2.7:20000".parse().unwrap());

        let current = Agreement { codec: Codec::Pcma, payload_type: 97, ..agreed };
        let again = local().offer(Some(&current));
        assert!(again.contains("m=audio 20000 RTP/AVP 97 0 101\r\n"), "{again}");
    }

    #[test]
    fn ipv6_is_written_as_such() {
        let mut ours = LocalDescription::new("2001:db8::7".parse().unwrap(), 20_000, 2);
        let text = ours.offer(None);
        assert!(text.contains("c=IN IP6 2001:db8::7\r\n"), "{text}");
        assert!(text.contains("IN IP6 2001:db8::7\r\ns="), "{text}");
    }
}
