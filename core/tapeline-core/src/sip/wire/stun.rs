//! STUN keep-alives on the SIP port (RFC 5626 §3.5.2): a Binding request is told where it came from.

use std::net::{IpAddr, SocketAddr};

/// RFC 5389 §6.
const HEADER: usize = 20;
const MAGIC: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0, 1];
const BINDING_SUCCESS: [u8; 2] = [1, 1];
const XOR_MAPPED_ADDRESS: [u8; 2] = [0, 0x20];

/// The answer, hardly longer than the request; `None` when it is no Binding request.
pub(crate) fn stun_answer(datagram: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let header = datagram.get(..HEADER)?;
    let length = usize::from(u16::from_be_bytes(header.get(2..4)?.try_into().ok()?));
    let is_binding = header.starts_with(&BINDING_REQUEST) && header.get(4..8)? == MAGIC;
    if !is_binding || datagram.len() != HEADER + length {
        return None;
    }
    // The address is XORed with the cookie and the transaction's id, so that no router rewrites it.
    let mask = header.get(4..)?;
    let port = source.port().to_be_bytes();
    let (family, address) = match source.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let value_length = 4 + address.len() as u16;
    let mut answer = Vec::with_capacity(HEADER + 24);
    answer.extend(BINDING_SUCCESS);
    answer.extend((value_length + 4).to_be_bytes());
    answer.extend(mask);
    answer.extend(XOR_MAPPED_ADDRESS);
    answer.extend(value_length.to_be_bytes());
    answer.extend([0, family]);
    answer.extend(port.iter().zip(MAGIC).map(|(byte, mask)| byte ^ mask));
    answer.extend(address.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_of_rfc_5769_is_answered_with_its_address() {
        // §2.2 of RFC 5769: the transaction's id, the address 192.0.2.1:32853.
        let id = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];
        let request = [&[0, 1, 0, 0], &MAGIC[..], &id[..]].concat();
        let answer = stun_answer(&request, "192.0.2.1:32853".parse().unwrap()).unwrap();
        assert_eq!(answer[..4], [1, 1, 0, 12]);
        assert_eq!(answer[4..20], request[4..]);
        let expected = [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
        assert_eq!(answer[20..], expected);

        // §2.3: [2001:db8:1234:5678:11:2233:4455:6677]:32853.
        let six = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        let answer = stun_answer(&request, six).unwrap();
        assert_eq!(answer[28..32], [0x01, 0x13, 0xa9, 0xfa]);
    }

    #[test]
    fn anything_else_is_no_binding_request() {
        let source = "192.0.2.1:1".parse().unwrap();
        let good = [&[0, 1, 0, 0], &MAGIC[..], &[7; 12]].concat();
        assert!(stun_answer(&good, source).is_some());
        for length in 0..good.len() {
            assert_eq!(stun_answer(&good[..length], source), None);
        }
        for place in 0..8 {
            let mut other = good.clone();
            other[place] ^= 2;
            assert_eq!(stun_answer(&other, source), None, "byte {place}");
        }
    }
}
