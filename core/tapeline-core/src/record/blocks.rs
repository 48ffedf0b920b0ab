//! The hash of every second of a file, made while it is written: `blocks.sha256`.
//!
//! One line per block, `first-byte end-byte sha256`, in file order; block *n* (from 0) is second *n* as
//! [`SecondBlocks`] cuts it. The head of the file changes until the end, so it comes last, as a line of
//! its own that starts with `0`. Memory does not grow with the recording.

use sha2::{Digest, Sha256};

use crate::record::format::SecondBlocks;

pub struct BlockHasher {
    blocks: SecondBlocks,
    second: u64,
    /// Where the next byte goes in the file.
    offset: u64,
    hash: Sha256,
}

impl BlockHasher {
    pub fn new(blocks: SecondBlocks) -> Self {
        Self::resume(blocks, 0)
    }

    /// Starts with the first byte of a later block.
    pub fn resume(blocks: SecondBlocks, second: u64) -> Self {
        Self { blocks, second, offset: blocks.range(second).start, hash: Sha256::new() }
    }

    /// The block that the next byte goes into.
    pub fn second(&self) -> u64 {
        self.second
    }

    /// Takes the next bytes of the body; appends to `lines` each block that they complete.
    pub fn add(&mut self, mut bytes: &[u8], lines: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let room = self.blocks.range(self.second).end.saturating_sub(self.offset);
            let take = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            let (now, later) = bytes.split_at(take);
            self.hash.update(now);
            self.offset += take as u64;
            if take as u64 == room {
                self.end_block(lines);
            }
            bytes = later;
        }
    }

    /// The last, shorter block and the head.
    pub fn finish(mut self, head: &[u8], lines: &mut Vec<u8>) {
        if self.offset > self.blocks.range(self.second).start {
            self.end_block(lines);
        }
        line(0, head.len() as u64, &Sha256::digest(head), lines);
    }

    fn end_block(&mut self, lines: &mut Vec<u8>) {
        let digest = std::mem::take(&mut self.hash).finalize();
        line(self.blocks.range(self.second).start, self.offset, &digest, lines);
        self.second += 1;
    }
}

fn line(start: u64, end: u64, digest: &[u8], lines: &mut Vec<u8>) {
    lines.extend(format!("{start} {end} {}\n", hex(digest)).into_bytes());
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |value: u8| DIGITS.get(usize::from(value & 15)).copied().unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::format::Shape;

    #[test]
    fn blocks_do_not_depend_on_how_the_bytes_came() {
        let blocks = SecondBlocks::Wav(Shape { rate_hz: 8000, channels: 1 });
        let body: Vec<u8> = (0..40_001_u32).map(|at| (at * 7 % 251) as u8).collect();
        let all_at_once = lines_of(blocks, &body, body.len());
        for step in [1, 320, 15_999, 16_000, 16_001] {
            assert_eq!(lines_of(blocks, &body, step), all_at_once);
        }

        let text = String::from_utf8(all_at_once).unwrap();
        let starts: Vec<&str> = text.lines().map(|line| line.rsplit_once(' ').unwrap().0).collect();
        assert_eq!(starts, ["80 16080", "16080 32080", "32080 40081", "0 4"]);
        assert!(text.contains(&hex(&Sha256::digest(&body[..16_000]))));
        assert!(text.contains(&hex(&Sha256::digest(&body[32_000..]))));
    }

    fn lines_of(blocks: SecondBlocks, body: &[u8], step: usize) -> Vec<u8> {
        let mut lines = Vec::new();
        let mut hasher = BlockHasher::new(blocks);
        for bytes in body.chunks(step) {
            hasher.add(bytes, &mut lines);
        }
        hasher.finish(b"head", &mut lines);
        lines
    }
}
