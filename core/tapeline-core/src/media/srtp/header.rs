//! The parts of RTP and RTCP that stay readable. Pure.

const RTP_HEADER: usize = 12;

/// Length of the header with CSRCs and extension (RFC 3550 §5.1, §5.3.1), SSRC and sequence number;
/// `None`: it is no RTP, or shorter than its header says.
pub(super) fn rtp_header(packet: &[u8]) -> Option<(usize, u32, u16)> {
    let [first, _, s1, s0, _, _, _, _, c3, c2, c1, c0] = *packet.first_chunk::<RTP_HEADER>()?;
    if first >> 6 != 2 {
        return None;
    }
    let mut header = RTP_HEADER + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let [_, _, high, low] = *packet.get(header..)?.first_chunk::<4>()?;
        header += 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
    }
    let ssrc = u32::from_be_bytes([c3, c2, c1, c0]);
    (header <= packet.len()).then_some((header, ssrc, u16::from_be_bytes([s1, s0])))
}

/// SSRC of an RTCP packet's sender.
pub(super) fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    let [first, _, _, _, c3, c2, c1, c0] = *packet.first_chunk::<8>()?;
    (first >> 6 == 2).then_some(u32::from_be_bytes([c3, c2, c1, c0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_ends_behind_its_sources_and_extension() {
        let mut packet = [0; 64];
        packet[0] = 0x80;
        packet[2..4].copy_from_slice(&[0x12, 0x34]);
        packet[8..12].copy_from_slice(&[0, 0, 0, 7]);
        assert_eq!(rtp_header(&packet), Some((12, 7, 0x1234)));
        packet[0] = 0x83;
        assert_eq!(rtp_header(&packet), Some((24, 7, 0x1234)));
        packet[0] = 0x92; // two sources, an extension of three words
        packet[22..24].copy_from_slice(&[0, 3]);
        assert_eq!(rtp_header(&packet), Some((36, 7, 0x1234)));
        packet[22..24].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(rtp_header(&packet), None);
        assert_eq!(rtp_header(&packet[..22]), None);
        assert_eq!(rtp_header(&packet[..11]), None);
        packet[0] = 0x40;
        assert_eq!((rtp_header(&packet), rtcp_ssrc(&packet)), (None, None));
    }
}
