//! WAV, PCM16: an 80-byte header with room for RF64.
//!
//! `RIFF size WAVE · JUNK 28 · fmt 16 · data size`. The JUNK chunk becomes `ds64` (EBU Tech 3306) when
//! the file passes 4 GiB, so the header keeps its length and can be patched in place for ever.

use crate::record::format::Shape;

pub const HEADER_BYTES: u64 = 80;
const HEADER_LENGTH: usize = HEADER_BYTES as usize;
const UNKNOWN: u32 = u32::MAX;

/// The header of a file with `data_bytes` of samples behind it.
pub fn header(shape: Shape, data_bytes: u64) -> [u8; HEADER_LENGTH] {
    let riff_bytes = data_bytes.saturating_add(HEADER_BYTES - 8);
    let is_long = riff_bytes >= u64::from(UNKNOWN);
    let short = |bytes: u64| if is_long { UNKNOWN } else { bytes as u32 };
    let frame_bytes = shape.block_align();
    let mut header = Vec::with_capacity(HEADER_LENGTH);
    header.extend(if is_long { b"RF64" } else { b"RIFF" });
    header.extend(short(riff_bytes).to_le_bytes());
    header.extend(b"WAVE");
    header.extend(if is_long { b"ds64" } else { b"JUNK" });
    header.extend(28_u32.to_le_bytes());
    let (riff64, data64) = if is_long { (riff_bytes, data_bytes) } else { (0, 0) };
    header.extend(riff64.to_le_bytes());
    header.extend(data64.to_le_bytes());
    header.extend((data64 / frame_bytes).to_le_bytes());
    header.extend(0_u32.to_le_bytes());
    header.extend(b"fmt ");
    header.extend(16_u32.to_le_bytes());
    header.extend(1_u16.to_le_bytes());
    header.extend(u16::from(shape.channels).to_le_bytes());
    header.extend(shape.rate_hz.to_le_bytes());
    header.extend((u64::from(shape.rate_hz) * frame_bytes).to_le_bytes().iter().take(4));
    header.extend((frame_bytes as u16).to_le_bytes());
    header.extend(16_u16.to_le_bytes());
    header.extend(b"data");
    header.extend(short(data_bytes).to_le_bytes());
    let mut fixed = [0; HEADER_LENGTH];
    for (slot, byte) in fixed.iter_mut().zip(header) {
        *slot = byte;
    }
    fixed
}

/// Appends samples as PCM16, little-endian.
pub fn encode(samples: &[i16], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.resize(start + samples.len() * 2, 0);
    let slots = bytes.get_mut(start..).unwrap_or_default().chunks_exact_mut(2);
    for (slot, sample) in slots.zip(samples) {
        slot.copy_from_slice(&sample.to_le_bytes());
    }
}

/// What a header of ours says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WavHeader {
    pub shape: Shape,
    pub data_bytes: u64,
}

/// Reads a header that [`header`] made; `None` for any other bytes.
pub fn parse(bytes: &[u8]) -> Option<WavHeader> {
    let is_long = match bytes.get(..4)? {
        b"RIFF" => false,
        b"RF64" => true,
        _ => return None,
    };
    let channels = u16_at(bytes, 58)?;
    let shape = Shape { rate_hz: u32_at(bytes, 60)?, channels: u8::try_from(channels).ok()? };
    let data_bytes = if is_long { u64_at(bytes, 28)? } else { u64::from(u32_at(bytes, 76)?) };
    let is_sound = (1..=2).contains(&shape.channels) && (1..=384_000).contains(&shape.rate_hz);
    // The header we would have written is the best check of all its other fields.
    let is_ours = is_sound && bytes.get(..HEADER_LENGTH)? == header(shape, data_bytes).as_slice();
    is_ours.then_some(WavHeader { shape, data_bytes })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONO: Shape = Shape { rate_hz: 8000, channels: 1 };
    const STEREO: Shape = Shape { rate_hz: 16_000, channels: 2 };

    #[test]
    fn a_header_is_read_back() {
        let last_short = u64::from(u32::MAX) - 73;
        for data_bytes in [0, 2, 320, last_short, last_short + 1, 4 << 30, 1 << 40] {
            for shape in [MONO, STEREO] {
                let data_bytes = data_bytes / shape.block_align() * shape.block_align();
                let bytes = header(shape, data_bytes);
                assert_eq!(parse(&bytes), Some(WavHeader { shape, data_bytes }));
            }
        }
    }

    #[test]
    fn past_four_gibibytes_the_junk_chunk_becomes_ds64() {
        let below = header(MONO, u64::from(u32::MAX) - 73);
        assert_eq!(&below[..4], b"RIFF");
        assert_eq!(&below[12..16], b"JUNK");
        assert_eq!(&below[4..8], (u32::MAX - 1).to_le_bytes());

        let data_bytes = (4 << 30) + 1000_u64;
        let above = header(MONO, data_bytes);
        assert_eq!(&above[..4], b"RF64");
        assert_eq!(&above[4..8], &[0xff; 4]);
        assert_eq!(&above[12..16], b"ds64");
        assert_eq!(&above[20..28], (data_bytes + 72).to_le_bytes());
        assert_eq!(&above[28..36], data_bytes.to_le_bytes());
        assert_eq!(&above[36..44], (data_bytes / 2).to_le_bytes());
        assert_eq!(&above[72..76], b"data");
        assert_eq!(&above[76..80], &[0xff; 4]);
    }

    #[test]
    fn other_bytes_are_not_a_header() {
        let sound = header(STEREO, 4096);
        assert_eq!(parse(&sound[..79]), None);
        assert_eq!(parse(&[0; 80]), None);
        for at in 0..72 {
            let mut bent = sound;
            bent[at] ^= 0x55;
            assert_ne!(parse(&bent), parse(&sound), "byte {at}");
        }
    }
}
