//! Reading a peer's session description (RFC 8866) within bounds.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sdp_types::{Attribute, Connection, Media, Session};

use crate::media::command::{Direction, RtcpPlace};
use crate::media::srtp::SrtpKeys;
use crate::sdp::format::Formats;
use crate::sdp::protection::{Protection, protection};

/// Bytes; a browser's offer with ten streams has about 8,000.
pub const MAX_BODY: usize = 32 * 1024;
const MAX_LINES: usize = 1_024;
const MAX_STREAMS: usize = 16;
const MAX_FORMATS: usize = 64;
const PROFILES: [&str; 4] = ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"];

/// Why a body is no session description we can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdpError {
    TooLarge,
    /// What the parser said, or which line is missing.
    Malformed(String),
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the SDP exceeds {MAX_BODY} bytes, {MAX_STREAMS} streams"),
            Self::Malformed(what) => write!(f, "malformed SDP: {what}"),
        }
    }
}

impl std::error::Error for SdpError {}

/// What the peer described, as far as it concerns us.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteDescription {
    pub streams: Vec<Stream>,
    /// Start and stop of `t=`; an answer repeats them (RFC 3264 §6).
    pub active: (u64, u64),
}

/// One `m=` line.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    pub kind: String,
    /// 0: switched off (RFC 3264 §8.2).
    pub port: u16,
    pub proto: String,
    /// Formats as written, for refusing the stream in an answer.
    pub formats: String,
    /// Set when it is RTP or SRTP audio with a port and an address that we could talk to.
    pub audio: Option<Audio>,
}

/// An audio stream that may be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// Unspecified address: the peer gave a name, or `0.0.0.0` for hold (RFC 2543).
    pub remote: SocketAddr,
    /// As the peer wrote it.
    pub direction: Direction,
    pub formats: Formats,
    /// Milliseconds in a packet that the peer would like, and the most that it takes.
    pub packet_ms: Option<u32>,
    pub packet_ms_max: Option<u32>,
    pub rtcp: RtcpPlace,
    pub protection: Protection,
    /// Settled by [`settle_offer`](crate::sdp::settle_offer) and its like.
    pub srtp: Option<SrtpKeys>,
}

/// Reads an offer or an answer.
pub fn parse(body: &[u8]) -> Result<RemoteDescription, SdpError> {
    if body.len() > MAX_BODY || body.iter().filter(|&&byte| byte == b'\n').count() > MAX_LINES {
        return Err(SdpError::TooLarge);
    }
    let session = Session::parse(body).map_err(|e| SdpError::Malformed(e.to_string()))?;
    if session.medias.len() > MAX_STREAMS {
        return Err(SdpError::TooLarge);
    }
    if session.medias.is_empty() {
        return Err(SdpError::Malformed("no m= line".into()));
    }
    let streams = session.medias.iter().map(|m| stream(&session, m)).collect::<Result<_, _>>()?;
    let active = session.times.first().map_or((0, 0), |t| (t.start_time, t.stop_time));
    Ok(RemoteDescription { streams, active })
}

fn stream(session: &Session, media: &Media) -> Result<Stream, SdpError> {
    if media.fmt.split_ascii_whitespace().count() > MAX_FORMATS {
        return Err(SdpError::TooLarge);
    }
    Ok(Stream {
        kind: media.media.clone(),
        port: media.port,
        proto: media.proto.clone(),
        formats: media.fmt.clone(),
        audio: audio(session, media)?,
    })
}

fn audio(session: &Session, media: &Media) -> Result<Option<Audio>, SdpError> {
    let is_rtp = PROFILES.iter().any(|profile| profile.eq_ignore_ascii_case(&media.proto));
    if !media.media.eq_ignore_ascii_case("audio") || !is_rtp || media.port == 0 {
        return Ok(None);
    }
    let Some(connection) = media.connections.first().or(session.connection.as_ref()) else {
        return Err(SdpError::Malformed("no c= line for an audio stream".into()));
    };
    let Some(address) = address(connection) else { return Ok(None) };
    let direction = direction(&media.attributes)
        .or_else(|| direction(&session.attributes))
        .unwrap_or(Direction::SendRecv);
    Ok(Some(Audio {
        remote: SocketAddr::new(address, media.port),
        direction: if is_old_hold(connection) { without_receiving(direction) } else { direction },
        formats: Formats::of(media),
        packet_ms: milliseconds(media, "ptime"),
        packet_ms_max: milliseconds(media, "maxptime"),
        rtcp: rtcp_place(&media.attributes, address),
        protection: protection(&media.proto, &media.attributes),
        srtp: None,
    }))
}

/// The address of a `c=` line: unspecified for a host name, `None` for a group.
fn address(connection: &Connection) -> Option<IpAddr> {
    let bare = connection.connection_address.split('/').next().unwrap_or_default();
    match bare.trim().parse::<IpAddr>() {
        Ok(address) if address.is_multicast() => None,
        Ok(address) => Some(address),
        // Resolving it would let a call wait for DNS; symmetric RTP finds the peer without.
        Err(_) => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    }
}

/// RFC 5761 §5.1.1, RFC 3605.
fn rtcp_place(attributes: &[Attribute], address: IpAddr) -> RtcpPlace {
    if attributes.iter().any(|a| a.attribute == "rtcp-mux") {
        return RtcpPlace::Multiplexed;
    }
    let place = || {
        let rtcp = attributes.iter().find(|a| a.attribute == "rtcp")?;
        let mut words = rtcp.value.as_deref()?.split_ascii_whitespace();
        let port = words.next()?.parse::<u16>().ok().filter(|port| *port != 0)?;
        let address = match words.nth(2) {
            Some(text) => text.parse::<IpAddr>().ok()?,
            None => address,
        };
        let is_place = !address.is_unspecified() && !address.is_multicast();
        is_place.then_some(RtcpPlace::At(SocketAddr::new(address, port)))
    };
    place().unwrap_or_default()
}

/// `c=IN IP4 0.0.0.0`: do not send to me (RFC 3264 §8.4).
fn is_old_hold(connection: &Connection) -> bool {
    let parsed = connection.connection_address.trim().parse::<IpAddr>();
    parsed.is_ok_and(|address| address.is_unspecified())
}

fn without_receiving(direction: Direction) -> Direction {
    match direction {
        Direction::SendRecv | Direction::SendOnly => Direction::SendOnly,
        Direction::RecvOnly | Direction::Inactive => Direction::Inactive,
    }
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    attributes.iter().find_map(|a| match a.attribute.as_str() {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    })
}

/// Whole ones; some write fractions, which are cut.
fn milliseconds(media: &Media, name: &str) -> Option<u32> {
    let attribute = media.attributes.iter().find(|a| a.attribute == name)?;
    let whole = attribute.value.as_deref()?.trim().split('.').next()?;
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(body: &str) -> RemoteDescription {
        parse(body.replace('\n', "\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn an_ordinary_offer_is_understood() {
        let offer = offer(
            "v=0\no=a 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n\
             m=audio 4000 RTP/AVP 9 8 0 96 101\na=rtpmap:9 G722/8000\na=rtpmap:96 pcmu/8000/1\n\
             a=rtpmap:101 telephone-event/8000\na=ptime:30.0\na=maxptime:40\n",
        );

        let audio = offer.streams[0].audio.as_ref().unwrap();
        assert_eq!(audio.remote, "192.0.2.1:4000".parse().unwrap());
        use crate::media::codec::Codec::{G722, Pcma, Pcmu};
        assert_eq!(audio.formats.codecs, [(9, G722), (8, Pcma), (0, Pcmu), (96, Pcmu)]);
        assert_eq!(audio.formats.events, [(101, 8_000)]);
        assert_eq!((audio.packet_ms, audio.packet_ms_max), (Some(30), Some(40)));
        assert_eq!(audio.direction, Direction::SendRecv);
    }

    #[test]
    fn the_nearer_connection_and_direction_count() {
        use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
        let cases = [
            ("192.0.2.1", "", "", "192.0.2.1", SendRecv),
            ("192.0.2.1", "sendonly", "", "192.0.2.1", SendOnly),
            ("192.0.2.1", "sendonly", "a=recvonly\n", "192.0.2.1", RecvOnly),
            ("192.0.2.1", "", "c=IN IP4 192.0.2.9\na=inactive\n", "192.0.2.9", Inactive),
            ("0.0.0.0", "", "", "0.0.0.0", SendOnly),
            ("0.0.0.0", "recvonly", "", "0.0.0.0", Inactive),
            ("phone.example", "", "", "0.0.0.0", SendRecv),
            ("192.0.2.1/127", "", "", "192.0.2.1", SendRecv),
        ];
        for (address, session, media, expected, direction) in cases {
            let session = if session.is_empty() { String::new() } else { format!("a={session}\n") };
            let body = format!(
                "v=0\no=- 1 1 IN IP4 1.1.1.1\ns=-\nc=IN IP4 {address}\nt=0 0\n{session}\
                 m=audio 4000 RTP/AVP 0\n{media}"
            );

            let audio = offer(&body).streams[0].audio.clone().unwrap();

            assert_eq!(audio.remote.ip().to_string(), expected, "{body}");
            assert_eq!(audio.direction, direction, "{body}");
        }
    }

    #[test]
    fn streams_we_cannot_take_stay_in_their_place() {
        let offer = offer(
            "v=0\no=- 1 1 IN IP6 ::1\ns=-\nc=IN IP6 ::1\nt=0 0\n\
             m=video 5000 RTP/AVP 31\nm=audio 0 RTP/AVP 0\nm=audio 5002 UDP/TLS/RTP/SAVP 0\n\
             m=audio 5004 RTP/AVP 0\nc=IN IP4 239.1.1.1/9\nm=audio 5006 RTP/AVP 0\n",
        );

        let usable: Vec<_> = offer.streams.iter().map(|s| s.audio.is_some()).collect();
        assert_eq!(usable, [false, false, false, false, true]);
        let audio = offer.streams[4].audio.as_ref().unwrap();
        assert_eq!(audio.remote, "[::1]:5006".parse().unwrap());
    }

    #[test]
    fn the_place_of_rtcp_is_read() {
        let at = |text: &str| RtcpPlace::At(text.parse().unwrap());
        let cases = [
            ("", RtcpPlace::NextPort),
            ("a=rtcp-mux\n", RtcpPlace::Multiplexed),
            ("a=rtcp:4009\na=rtcp-mux\n", RtcpPlace::Multiplexed),
            ("a=rtcp:4009\n", at("192.0.2.1:4009")),
            ("a=rtcp:4009 IN IP4 192.0.2.7\n", at("192.0.2.7:4009")),
            ("a=rtcp:4009 IN IP6 2001:db8::7\n", at("[2001:db8::7]:4009")),
            ("a=rtcp:0\n", RtcpPlace::NextPort),
            ("a=rtcp:x\n", RtcpPlace::NextPort),
            ("a=rtcp:4009 IN IP4 224.0.0.1\n", RtcpPlace::NextPort),
            ("a=rtcp:4009 IN IP4 host.example\n", RtcpPlace::NextPort),
        ];
        for (line, expected) in cases {
            let offer = offer(&format!(
                "v=0\no=- 1 1 IN IP4 1.1.1.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n\
                 m=audio 4000 RTP/AVP 0\n{line}"
            ));
            assert_eq!(offer.streams[0].audio.as_ref().unwrap().rtcp, expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_description_is_refused() {
        let many = format!("v=0\r\nc=IN IP4 1.1.1.1\r\n{}", "m=audio 1 RTP/AVP 0\r\n".repeat(17));
        let formats =
            format!("v=0\r\nc=IN IP4 1.1.1.1\r\nm=audio 1 RTP/AVP{}\r\n", " 0".repeat(65));
        let long = format!("v=0\r\ns={}\r\n", "x".repeat(MAX_BODY));
        let lines = format!("v=0\r\n{}", "a=x\r\n".repeat(1_100));
        for body in [many, formats, long, lines] {
            assert_eq!(parse(body.as_bytes()), Err(SdpError::TooLarge));
        }
        for body in [
            "",
            "hello",
            "v=1\r\n",
            "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\n",
            "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
            "v=0\r\nc=IN IP4 1.1.1.1\r\nm=audio 99999 RTP/AVP 0\r\n",
            "v=0\r\nc=IN IP4 1.1.1.1\r\nm=audio\r\n",
        ] {
            let refused = parse(body.as_bytes());
            assert!(matches!(refused, Err(SdpError::Malformed(_))), "{body:?} {refused:?}");
        }
    }
}
