//! G.711 (ITU-T G.711, 1988): µ-law and A-law. Expanding is a table, compressing counts leading zeros.

/// 16-bit linear of each µ-law byte.
pub static ULAW_TO_LINEAR: [i16; 256] = ulaw_table();
/// 16-bit linear of each A-law byte.
pub static ALAW_TO_LINEAR: [i16; 256] = alaw_table();

/// Added before the segment is found, so that each segment starts at a power of two.
const ULAW_BIAS: i32 = 0x84;
const ULAW_CLIP: i32 = 32_635;
/// Every second bit of an A-law byte is inverted on the line (G.711 §3.2).
const ALAW_INVERT: u8 = 0x55;

/// The µ-law byte nearest to a sample.
#[inline]
pub fn ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(ULAW_CLIP) + ULAW_BIAS;
    // The bias puts the leading one at bit 7 (segment 0) to bit 14 (segment 7).
    let segment = 24 - (magnitude.leading_zeros() as i32);
    let mantissa = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | (segment << 4) as u8 | mantissa as u8)
}

/// The A-law byte nearest to a sample.
#[inline]
pub fn alaw(sample: i16) -> u8 {
    // Thirteen bits; negative values are mirrored so that -1 and 0 share a magnitude.
    let thirteen = i32::from(sample) >> 3;
    let (sign, magnitude) = if thirteen >= 0 { (0x80, thirteen) } else { (0, -thirteen - 1) };
    let segment = (27 - (magnitude | 0x1f).leading_zeros() as i32).max(0);
    let shift = if segment < 2 { 1 } else { segment };
    let mantissa = (magnitude >> shift) & 0x0f;
    (sign | (segment << 4) as u8 | mantissa as u8) ^ ALAW_INVERT
}

/// As many samples as both have room for; returns how many.
pub fn expand(table: &[i16; 256], payload: &[u8], out: &mut [i16]) -> usize {
    for (sample, byte) in out.iter_mut().zip(payload) {
        *sample = table.get(usize::from(*byte)).copied().unwrap_or(0);
    }
    payload.len().min(out.len())
}

/// As many bytes as both have room for; returns how many.
pub fn compress(law: impl Fn(i16) -> u8, samples: &[i16], payload: &mut [u8]) -> usize {
    payload.iter_mut().zip(samples).for_each(|(byte, sample)| *byte = law(*sample));
    samples.len().min(payload.len())
}

const fn ulaw_to_linear(byte: u8) -> i16 {
    let bits = !byte as i32;
    let magnitude = (((bits & 0x0f) << 3) + ULAW_BIAS) << ((bits & 0x70) >> 4);
    (if bits & 0x80 != 0 { ULAW_BIAS - magnitude } else { magnitude - ULAW_BIAS }) as i16
}

const fn alaw_to_linear(byte: u8) -> i16 {
    let bits = (byte ^ ALAW_INVERT) as i32;
    let segment = (bits & 0x70) >> 4;
    let step = (bits & 0x0f) << 4;
    let magnitude = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    (if bits & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

#[allow(clippy::indexing_slicing)] // evaluated by the compiler
const fn ulaw_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = ulaw_to_linear(byte as u8);
        byte += 1;
    }
    table
}

#[allow(clippy::indexing_slicing)] // evaluated by the compiler
const fn alaw_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = alaw_to_linear(byte as u8);
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G.711 table 2a: segment ends of the 14-bit magnitude, walked as the Recommendation draws them.
    fn ulaw_by_segments(sample: i16) -> u8 {
        let (magnitude, mask) = match i32::from(sample) >> 2 {
            value if value < 0 => (-value, 0x7f),
            value => (value, 0xff),
        };
        let biased = magnitude.min(8159) + 33;
        let ends = [0x3f, 0x7f, 0xff, 0x1ff, 0x3ff, 0x7ff, 0xfff, 0x1fff];
        let segment = ends.iter().position(|end| biased <= *end).unwrap_or(8);
        if segment >= 8 {
            return 0x7f ^ mask;
        }
        ((segment << 4) as u8 | ((biased >> (segment + 1)) & 0x0f) as u8) ^ mask
    }

    /// G.711 table 1a, the same way.
    fn alaw_by_segments(sample: i16) -> u8 {
        let (magnitude, mask) = match i32::from(sample) >> 3 {
            value if value >= 0 => (value, 0xd5),
            value => (-value - 1, 0x55),
        };
        let ends = [0x1f, 0x3f, 0x7f, 0xff, 0x1ff, 0x3ff, 0x7ff, 0xfff];
        let segment = ends.iter().position(|end| magnitude <= *end).unwrap();
        let shift = if segment < 2 { 1 } else { segment };
        ((segment << 4) as u8 | ((magnitude >> shift) & 0x0f) as u8) ^ mask
    }

    #[test]
    fn compression_follows_the_formula_for_every_sample() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(alaw(sample), alaw_by_segments(sample), "A-law of {sample}");
            // The 14-bit walk truncates negative values towards minus infinity; the 16-bit formula
            // does not, so it is compared on the samples that 14 bits can hold.
            if sample & 3 == 0 {
                assert_eq!(ulaw(sample), ulaw_by_segments(sample), "µ-law of {sample}");
            }
        }
    }

    #[test]
    fn every_byte_survives_expansion_and_compression() {
        for byte in 0..=255_u8 {
            let expanded = ULAW_TO_LINEAR[usize::from(byte)];
            let expected = if byte == 0x7f { 0xff } else { byte }; // negative zero
            assert_eq!(ulaw(expanded), expected, "µ-law {byte:#x}");
            assert_eq!(alaw(ALAW_TO_LINEAR[usize::from(byte)]), byte, "A-law {byte:#x}");
        }
    }

    #[test]
    fn compression_takes_the_nearest_value_and_keeps_the_order() {
        for sample in i16::MIN..i16::MAX {
            let (here, next) = (i32::from(sample), sample + 1);
            for (table, law, name) in [
                (&ULAW_TO_LINEAR, ulaw as fn(i16) -> u8, "µ-law"),
                (&ALAW_TO_LINEAR, alaw, "A-law"),
            ] {
                let value = i32::from(table[usize::from(law(sample))]);
                let after = i32::from(table[usize::from(law(next))]);
                assert!(value <= after, "{name}: {sample}");
                // Half a step of the segment; µ-law clips the last 509 values.
                let bound = (here.abs() / 32 + 8).max(if here.abs() > 32_635 { 700 } else { 0 });
                assert!((value - here).abs() <= bound, "{name}: {sample} became {value}");
            }
        }
    }

    #[test]
    fn known_values() {
        // G.711 tables 1 and 2: the ends of the scale and both zeros.
        for (byte, linear) in [(0x80, 32_124), (0x00, -32_124), (0xff, 0), (0x7f, 0)] {
            assert_eq!(ULAW_TO_LINEAR[byte], linear);
        }
        for (byte, linear) in [(0xaa, 32_256), (0x2a, -32_256), (0xd5, 8), (0x55, -8)] {
            assert_eq!(ALAW_TO_LINEAR[byte], linear);
        }
    }
}
