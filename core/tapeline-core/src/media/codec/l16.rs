//! Linear samples of 16 bits, the high byte first (RFC 3551 §4.5.11).

/// As many samples as both have room for; returns how many. Half a sample at the end makes it none.
pub fn decode(payload: &[u8], out: &mut [i16]) -> usize {
    let (pairs, []) = payload.as_chunks() else { return 0 };
    out.iter_mut().zip(pairs).for_each(|(sample, pair)| *sample = i16::from_be_bytes(*pair));
    pairs.len().min(out.len())
}

/// As many samples as both have room for; returns the bytes written.
pub fn encode(samples: &[i16], payload: &mut [u8]) -> usize {
    let (pairs, _) = payload.as_chunks_mut();
    pairs.iter_mut().zip(samples).for_each(|(pair, sample)| *pair = sample.to_be_bytes());
    pairs.len().min(samples.len()) * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_samples_have_their_high_byte_first() {
        let mut payload = [0; 6];
        assert_eq!(encode(&[0x0102, -2, i16::MIN], &mut payload), 6);
        assert_eq!(payload, [1, 2, 0xff, 0xfe, 0x80, 0]);
        let mut samples = [7; 4];
        assert_eq!(decode(&payload, &mut samples), 3);
        assert_eq!(samples, [0x0102, -2, i16::MIN, 7]);
    }

    #[test]
    fn half_samples_are_refused_and_missing_room_is_left_alone() {
        assert_eq!(decode(&[1, 2, 3], &mut [0; 4]), 0);
        assert_eq!(decode(&[1, 2, 3, 4], &mut [0; 1]), 1);
        assert_eq!(encode(&[1, 2], &mut [0; 3]), 2);
    }
}
