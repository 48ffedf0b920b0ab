//! Protecting our own packets. Pure.

use crate::media::srtp::cipher::{RTCP_HEADER, RtpIndex, SessionKeys};
use crate::media::srtp::header::{rtcp_ssrc, rtp_header};
use crate::media::srtp::keys::MasterKey;

/// One stream of ours: its packets come in order.
#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    sequence: u16,
    roll_over: u32,
}

pub(super) struct Outbound {
    keys: SessionKeys,
    stream: Option<Stream>,
    rtcp_index: u32,
}

impl Outbound {
    pub fn new(master: &MasterKey) -> Self {
        Self { keys: SessionKeys::new(master), stream: None, rtcp_index: 0 }
    }

    /// Protects the packet in the first `length` bytes; the length that it has then. `None`: it is no
    /// RTP, or there is no room.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let (header, ssrc, sequence) = rtp_header(buffer.get(..length)?)?;
        let roll_over = match self.stream {
            Some(stream) if stream.ssrc == ssrc => {
                let is_wrapped = sequence < 0x4000 && stream.sequence >= 0xc000;
                stream.roll_over.wrapping_add(u32::from(is_wrapped))
            }
            _ => 0,
        };
        self.stream = Some(Stream { ssrc, sequence, roll_over });
        let length = length + self.keys.suite().tag_bytes();
        let index = RtpIndex { ssrc, roll_over, sequence };
        self.keys.protect_rtp(buffer.get_mut(..length)?, header, index)?;
        Some(length)
    }

    /// As [`Outbound::protect_rtp`], for a compound RTCP packet.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let ssrc = rtcp_ssrc(buffer.get(..length)?).filter(|_| length >= RTCP_HEADER)?;
        // 31 bits; at one report in five seconds they last for 340 years.
        self.rtcp_index = (self.rtcp_index + 1) & 0x7fff_ffff;
        let length = length + self.keys.rtcp_growth();
        self.keys.protect_rtcp(buffer.get_mut(..length)?, ssrc, self.rtcp_index)?;
        Some(length)
    }
}
