//! telephone-event (RFC 4733): each key once, at its end. Pure.

/// A segment that is not renewed for so long has lost its end packets.
const TIMEOUT_NS: u64 = 200_000_000;
/// An older packet than the last finished event by less than this is a straggler.
const STRAGGLER_S: i32 = 5;
/// Keys told by one way that the other may still tell, and how long it has for that.
const UNMATCHED: usize = 8;
const MATCH_NS: u64 = 2_000_000_000;

/// A key that was pressed and released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// ASCII.
    pub digit: u8,
    pub duration_ms: u32,
}

#[derive(Clone, Copy, Debug)]
struct Pressed {
    timestamp: u32,
    digit: u8,
    duration: u16,
    last_ns: u64,
}

#[derive(Clone, Debug, Default)]
pub struct DigitReceiver {
    pressed: Option<Pressed>,
    finished: Option<u32>,
    /// Units of timestamps and durations per second.
    clock_hz: u32,
}

impl DigitReceiver {
    /// One event packet. An event without its end is reported when the next begins.
    pub fn receive(
        &mut self,
        timestamp: u32,
        payload: &[u8],
        clock_hz: u32,
        now_ns: u64,
    ) -> Option<Digit> {
        let [event, flags, high, low, ..] = *payload else { return None };
        let digit = ascii(event)?;
        self.clock_hz = clock_hz;
        if self.is_old(timestamp) {
            return None;
        }
        let duration = u16::from_be_bytes([high, low]);
        let mut reported = None;
        match &mut self.pressed {
            Some(pressed) if pressed.timestamp == timestamp => {
                pressed.duration = pressed.duration.max(duration);
                pressed.last_ns = now_ns;
            }
            _ => {
                reported = self.finish();
                self.pressed = Some(Pressed { timestamp, digit, duration, last_ns: now_ns });
            }
        }
        let is_end = flags & 0x80 != 0;
        // Both at once (a lost end, then a key whose only packet is its end): the second has its
        // retransmissions or the time-out to be reported by.
        if is_end && reported.is_none() { self.finish() } else { reported }
    }

    /// Once a tick: reports an event whose end packets were lost.
    pub fn tick(&mut self, now_ns: u64) -> Option<Digit> {
        let pressed = self.pressed?;
        if now_ns.saturating_sub(pressed.last_ns) >= TIMEOUT_NS { self.finish() } else { None }
    }

    pub fn is_pressed(&self) -> bool {
        self.pressed.is_some()
    }

    /// The far end began a new stream: its timestamps say nothing about the old ones.
    pub fn restart(&mut self) {
        self.finished = None;
    }

    fn is_old(&self, timestamp: u32) -> bool {
        self.finished.is_some_and(|finished| {
            let ahead = timestamp.wrapping_sub(finished) as i32;
            (-STRAGGLER_S * self.clock_hz.min(192_000) as i32..=0).contains(&ahead)
        })
    }

    fn finish(&mut self) -> Option<Digit> {
        let pressed = self.pressed.take()?;
        self.finished = Some(pressed.timestamp);
        let duration_ms = u32::from(pressed.duration) * 1_000 / self.clock_hz.max(1);
        Some(Digit { digit: pressed.digit, duration_ms })
    }
}

/// How a key was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Rtp,
    Info,
}

/// Makes one key press of what some phones tell both in RTP and by SIP INFO, in either order.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyMerger {
    told: [Option<(u8, Way, u64)>; UNMATCHED],
}

impl KeyMerger {
    /// False when the other way has told this press already.
    pub fn is_news(&mut self, digit: u8, way: Way, now_ns: u64) -> bool {
        for place in &mut self.told {
            place.take_if(|(_, _, at_ns)| now_ns.saturating_sub(*at_ns) >= MATCH_NS);
        }
        let twin = self
            .told
            .iter_mut()
            .filter(|place| place.is_some_and(|(other, by, _)| other == digit && by != way));
        if let Some(twin) = twin.min_by_key(|place| place.map_or(0, |(_, _, at_ns)| at_ns)) {
            *twin = None;
            return false;
        }
        let oldest = self.told.iter_mut().min_by_key(|place| place.map_or(0, |told| told.2));
        if let Some(place) = oldest {
            *place = Some((digit, way, now_ns));
        }
        true
    }
}

/// RFC 4733 §3.2, table 3; flash and the rest are no digits.
fn ascii(event: u8) -> Option<u8> {
    b"0123456789*#ABCD".get(usize::from(event)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1`: an update of key 1, `1!`: its end, `/`: the next key (new timestamp), `.`: 100 ms.
    fn run(script: &str) -> String {
        let (mut receiver, mut heard) = (DigitReceiver::default(), String::new());
        let (mut timestamp, mut now, mut duration) = (160_u32, 0_u64, 0_u16);
        let letters: Vec<char> = script.chars().collect();
        for (index, letter) in letters.iter().enumerate() {
            let digit = match letter {
                '!' => continue,
                '.' => {
                    now += 100_000_000;
                    receiver.tick(now)
                }
                '/' => {
                    timestamp = timestamp.wrapping_add(1_600);
                    duration = 0;
                    None
                }
                key => {
                    now += 20_000_000;
                    duration += 160;
                    let event = b"0123456789*#ABCD".iter().position(|b| *b as char == *key);
                    let end = if letters.get(index + 1) == Some(&'!') { 0x80 } else { 0 };
                    let [high, low] = duration.to_be_bytes();
                    receiver.receive(timestamp, &[event.unwrap() as u8, end, high, low], 8_000, now)
                }
            };
            heard.extend(digit.map(|digit| digit.digit as char));
        }
        heard
    }

    #[test]
    fn each_key_is_heard_once() {
        let cases = [
            ("111!1!1!", "1"),   // end three times (RFC 4733 §2.5.1.4)
            ("1!", "1"),         // only an end arrived
            ("11/22!2!", "12"),  // end of 1 lost: heard when 2 begins
            ("11...", "1"),      // end lost: heard by time-out
            ("11..11!", "1"),    // what comes after the time-out is a straggler
            ("5!/5!/5!", "555"), // the same key again
            ("*#!", "*"),        // a wrong key under the same timestamp changes nothing
            ("A!/D!", "AD"),
            ("", ""),
        ];
        for (script, expected) in cases {
            assert_eq!(run(script), expected, "{script}");
        }
    }

    /// `r5`: key 5 by RTP, `i5`: by INFO, `.` half a second; upper case when it is news.
    #[test]
    fn a_key_told_both_ways_is_one_press() {
        let scripts = [
            "R5i5",
            "I5r5",
            "R5i5R5i5",
            "R5R5i5i5",
            "R1R2i1i2",
            "I1I2r2r1",
            "R5R5R5",
            "I5I5",
            "R5....I5",
            "R5...i5",
            "R5I6",
            "R1i1I1r1",
            "R0R1R2R3R4R5R6R7R8R9i9i8i7",
        ];
        for script in scripts {
            let (mut merger, mut now) = (KeyMerger::default(), 5_000_000_000);
            let mut letters = script.chars();
            while let Some(letter) = letters.next() {
                if letter == '.' {
                    now += 500_000_000;
                    continue;
                }
                let is_rtp = letter.eq_ignore_ascii_case(&'r');
                let way = if is_rtp { Way::Rtp } else { Way::Info };
                let digit = letters.next().unwrap() as u8;
                now += 1;
                let expected = letter.is_uppercase();
                assert_eq!(merger.is_news(digit, way, now), expected, "{script} {digit}");
            }
        }
    }

    #[test]
    fn mutated_events_never_panic_and_never_tell_a_key_twice() {
        let (mut receiver, mut dice) = (DigitReceiver::default(), 88_172_645_463_325_252_u64);
        for round in 0..100_000_u64 {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let bytes = dice.to_be_bytes();
            let length = usize::from(bytes[7] % 7);
            let clock_hz = [0, 8_000, 48_000, u32::MAX][usize::from(bytes[6] % 4)];
            receiver.receive((dice >> 20) as u32, &bytes[..length], clock_hz, round * 1_000_000);
            receiver.tick(round * 1_000_000);
        }
        let before = receiver.finished;
        assert!(before.is_some(), "some of it were keys");
    }

    #[test]
    fn the_duration_is_the_longest_that_was_said() {
        let mut receiver = DigitReceiver::default();
        receiver.receive(0, &[5, 10, 0x03, 0x20], 8_000, 0);
        let digit = receiver.receive(0, &[5, 0x8a, 0x02, 0x80], 8_000, 0);
        assert_eq!(digit, Some(Digit { digit: b'5', duration_ms: 100 }));

        let digit = receiver.receive(96_000, &[7, 0x8a, 0x12, 0xc0], 48_000, 0);
        assert_eq!(digit, Some(Digit { digit: b'7', duration_ms: 100 }));
        assert_eq!(receiver.receive(96_000, &[7, 0x8a, 0x12, 0xc0], 48_000, 0), None);
    }

    #[test]
    fn short_and_unknown_payloads_are_ignored() {
        let mut receiver = DigitReceiver::default();
        for payload in [&[][..], &[1], &[1, 0x80, 0], &[16, 0x80, 0, 160], &[255, 0x80, 0, 160]] {
            assert_eq!(receiver.receive(0, payload, 8_000, 0), None);
        }
        assert!(!receiver.is_pressed());
    }
}
