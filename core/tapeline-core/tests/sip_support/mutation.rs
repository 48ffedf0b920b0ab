//! Good messages made bad, by seed.

/// xorshift64* (Vigna 2016).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

const TOKENS: [&[u8]; 26] = [
    b"\r\n",
    b"\r\n\r\n",
    b":",
    b";",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"%",
    b"%00",
    b"@",
    b"=",
    b",",
    b" ",
    b"\0",
    b"\xff\xfe",
    b"sip:",
    b"tel:",
    b"SIP/2.0",
    b"z9hG4bK",
    b";tag=",
    b"99999999999999999999",
    b"-1",
    b"[::1]",
    b"m=audio 0 RTP/AVP 0\r\n",
    b"Content-Length: 5\r\n",
];

/// One to four changes.
pub fn mutated(seed: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(40)).min(bytes.len());
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, random.pick(&TOKENS).iter().copied())),
            3 => drop(bytes.splice(at..end, random.pick(&TOKENS).iter().copied())),
            4 => {
                let again = bytes[at..end].repeat(1 + random.below(20));
                bytes.splice(at..at, again);
            }
            5 => bytes.truncate(at),
            6 => {
                let other = &others[random.below(others.len())];
                let cut = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[cut..]);
            }
            _ => swap_lines(&mut bytes, random),
        }
    }
    bytes.truncate(60_000);
    bytes
}

fn swap_lines(bytes: &mut Vec<u8>, random: &mut Random) {
    let mut lines: Vec<Vec<u8>> = bytes.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
    let (a, b) = (random.below(lines.len()), random.below(lines.len()));
    lines.swap(a, b);
    *bytes = lines.join(&b'\n');
}
