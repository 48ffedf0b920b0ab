//! Several frames of Opus in one packet (RFC 6716 §3.2.5): a packet time beyond a tick without another
//! encoder state, so that legs of any packet time share one encoding. Pure.

/// Frames in a packet: 60 ms.
const FRAMES: usize = 3;
/// What goes before the frames: the first byte, their number, and the lengths of all but the last.
const HEAD: usize = 2 + 2 * (FRAMES - 1);
/// Sum of the frames' lengths. A single one can be so long (RFC 6716 §3.2.1), the first byte apart.
const BYTES: usize = 1_275;
/// Room for a bundle.
pub const BUNDLE_BYTES: usize = HEAD + BYTES;
/// The longest length that is written in one byte is one less.
const LONG: usize = 252;

/// Frames that wait, of one kind: what their first bytes say is the same. Small, because every leg has
/// one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bundle {
    kind: u8,
    count: u8,
    lengths: [u16; FRAMES],
}

impl Bundle {
    pub fn count(&self) -> usize {
        self.count.into()
    }

    fn frames(&self) -> impl Iterator<Item = usize> {
        self.lengths.iter().take(self.count()).map(|length| usize::from(*length))
    }

    fn bytes(&self) -> usize {
        self.frames().sum()
    }

    /// Takes one encoded tick. False when it does not go with those that wait: they have to go first.
    pub fn push(&mut self, payload: &[u8], room: &mut [u8]) -> bool {
        let Some((kind, frame)) = payload.split_first() else { return false };
        let from = HEAD + self.bytes();
        let fits = self.count == 0 || (self.kind == *kind && self.bytes() + frame.len() <= BYTES);
        let (true, Some(place)) = (fits, room.get_mut(from..from + frame.len())) else {
            return false;
        };
        let Some(length) = self.lengths.get_mut(usize::from(self.count)) else { return false };
        place.copy_from_slice(frame);
        // At most BYTES, or `room` would not have had it.
        (*length, self.kind) = (frame.len() as u16, *kind);
        self.count += 1;
        true
    }

    /// Whether another frame could be added to those that wait. A packet of several frames cannot be
    /// bundled with more: its last two bits say so.
    pub fn is_open(&self) -> bool {
        self.count() < FRAMES && self.kind & 3 == 0
    }

    /// Writes the head in front of the frames; where in `room` the payload is. Nothing waits any more.
    pub fn close(&mut self, room: &mut [u8]) -> std::ops::Range<usize> {
        let taken = std::mem::take(self);
        let Self { kind, count, .. } = taken;
        let end = HEAD + taken.bytes();
        let mut head = [0; HEAD];
        let mut length = 1;
        head[0] = kind;
        if count > 1 {
            // Code 3, lengths of their own, no padding.
            head[0] = kind | 3;
            head[1] = 0x80 | count;
            length = 2;
            for frame in taken.frames().take(usize::from(count) - 1) {
                let bytes = length_bytes(frame);
                for byte in bytes.into_iter().flatten() {
                    if let Some(place) = head.get_mut(length) {
                        *place = byte;
                    }
                    length += 1;
                }
            }
        }
        let start = HEAD.saturating_sub(length);
        for (place, byte) in room.iter_mut().skip(start).zip(head.iter().take(length)) {
            *place = *byte;
        }
        start..end
    }
}

/// RFC 6716 §3.2.1: one byte up to 251, else two.
fn length_bytes(length: usize) -> [Option<u8>; 2] {
    match length {
        0..LONG => [Some(length as u8), None],
        _ => {
            let first = LONG + (length & 3);
            [Some(first as u8), Some(((length - first) / 4) as u8)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::{Codec, Decoder, Encoder, PACKET_MAX, Rate};

    fn bundled(frames: &[&[u8]]) -> Option<Vec<u8>> {
        let (mut bundle, mut room) = (Bundle::default(), [0; BUNDLE_BYTES]);
        for frame in frames {
            if !bundle.push(frame, &mut room) {
                return None;
            }
        }
        let range = bundle.close(&mut room);
        assert_eq!(bundle.count(), 0);
        Some(room[range].to_vec())
    }

    #[test]
    fn lengths_are_written_as_the_rfc_has_them() {
        let long = [vec![0x48], vec![7; 700]].concat();
        let edge = [vec![0x48], vec![8; 252]].concat();
        assert_eq!(bundled(&[&[0x48, 1, 2]]).unwrap(), [0x48, 1, 2]);
        assert_eq!(bundled(&[&[0x48, 1, 2], &[0x48, 3]]).unwrap(), [0x4b, 0x82, 2, 1, 2, 3]);
        let packet = bundled(&[&edge, &long, &[0x48]]).unwrap();
        // 252 is 252 + 4 * 0, 700 is 252 + 4 * 112.
        assert_eq!(packet[..6], [0x4b, 0x83, 252, 0, 252, 112]);
        assert_eq!(packet.len(), 6 + 252 + 700);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let long = [vec![0x48], vec![7; 700]].concat();
        assert_eq!(bundled(&[&[0x48, 1], &[0x50, 1]]), None, "of another kind");
        assert_eq!(bundled(&[&long, &long]), None, "too long");
        assert_eq!(bundled(&[&[0x48_u8, 1][..]; 4]), None, "too many");
        assert_eq!(bundled(&[&[]]), None);
    }

    #[test]
    fn a_decoder_hears_in_a_bundle_what_it_hears_in_single_packets() {
        let codec = Codec::Opus(Rate::Wide);
        let mut encoder = Encoder::new(codec).unwrap();
        let [mut alone, mut together] = [0; 2].map(|_| Decoder::new(codec).unwrap());
        let (mut bundle, mut room) = (Bundle::default(), [0; BUNDLE_BYTES]);
        let [mut single, mut several] = [0; 2].map(|_| Vec::<i16>::new());
        for tick in 0..60_usize {
            let samples: Vec<i16> = (tick * 320..(tick + 1) * 320)
                .map(|at| ((at as f64 * 0.17).sin() * 9_000.0) as i16)
                .collect();
            let (mut payload, mut out) = ([0; 1_920], [0; PACKET_MAX]);
            let length = encoder.encode(&samples, &mut payload);
            let count = alone.decode(&payload[..length], &mut out);
            single.extend(&out[..count]);
            if !bundle.push(&payload[..length], &mut room) {
                let range = bundle.close(&mut room);
                let count = together.decode(&room[range], &mut out);
                several.extend(&out[..count]);
                assert!(bundle.push(&payload[..length], &mut room));
            }
            if bundle.count() == 3 {
                let range = bundle.close(&mut room);
                assert_eq!(codec.duration_of(&room[range.clone()]), 3 * 960);
                let count = together.decode(&room[range], &mut out);
                several.extend(&out[..count]);
            }
        }
        assert!(several.len() >= 57 * 320);
        assert_eq!(several, single[..several.len()]);
    }
}
