//! The jitter buffer against networks written as letters.
//!
//! | letter | what happens |
//! |---|---|
//! | `p` | the next packet arrives, 5 ms before the next tick |
//! | `L` | the next packet is lost |
//! | `R` | the next two packets arrive in the wrong order |
//! | `D` | the last packet arrives again |
//! | `O` | the last lost packet arrives after all |
//! | `.` | the sender pauses for a packet time: its clock goes on, its sequence does not |
//! | `e` | a telephone-event takes the next sequence number, its clock goes on |
//! | `S` | the sender starts anew: other SSRC, sequence and clock |
//! | `J` | as `S`, but the same SSRC |
//! | `X` | one packet of another stream strays in |
//! | `g` | a tick pulls a frame |
//!
//! The result has a character per `g`: the number of the packet that is heard (0-9, a-v), `c` for
//! concealed (shown as `~` to tell it from packet 12), `-` for silence.

use super::*;

const RATE: u32 = 8_000;

struct Script {
    buffer: JitterBuffer,
    packet_samples: usize,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Number of the next packet, which is its content too.
    number: u8,
    lost: Option<(u16, u32, u8)>,
    last: (u16, u32, u8),
    now_ns: u64,
    heard: String,
}

impl Script {
    fn run(text: &str, packet_ms: u32) -> Self {
        let mut script = Self {
            buffer: JitterBuffer::new(RATE),
            packet_samples: (packet_ms * RATE / 1_000) as usize,
            ssrc: 1,
            sequence: 65_533,
            timestamp: u32::MAX - 300,
            number: 0,
            lost: None,
            last: (0, 0, 0),
            now_ns: 100 * TICK_NS,
            heard: String::new(),
        };
        for letter in text.chars() {
            script.step(letter);
        }
        script
    }

    fn take_number(&mut self) -> (u16, u32, u8) {
        let packet = (self.sequence, self.timestamp, self.number);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.packet_samples as u32);
        self.number += 1;
        packet
    }

    fn put(&mut self, (sequence, timestamp, number): (u16, u32, u8)) -> Insertion {
        let payload = vec![0x80 + number % 32; self.packet_samples];
        self.last = (sequence, timestamp, number);
        self.buffer.insert(&AudioPacket {
            ssrc: self.ssrc,
            sequence,
            timestamp,
            codec: Codec::Pcmu,
            payload: &payload,
            arrival_ns: self.now_ns - 5_000_000,
        })
    }

    fn step(&mut self, letter: char) {
        match letter {
            'p' => {
                let packet = self.take_number();
                self.put(packet);
            }
            'L' => self.lost = Some(self.take_number()),
            'R' => {
                let (first, second) = (self.take_number(), self.take_number());
                self.put(second);
                self.put(first);
            }
            'D' => assert_eq!(self.put(self.last), Insertion::Duplicate),
            'O' => {
                let lost = self.lost.take().unwrap();
                self.put(lost);
            }
            '.' => self.timestamp = self.timestamp.wrapping_add(self.packet_samples as u32),
            'e' => {
                let until = self.now_ns + 100_000_000;
                self.buffer.pass_event(self.ssrc, self.sequence, until);
                self.sequence = self.sequence.wrapping_add(1);
                self.timestamp = self.timestamp.wrapping_add(self.packet_samples as u32);
            }
            'S' | 'J' => {
                self.ssrc += u32::from(letter == 'S');
                self.sequence = self.sequence.wrapping_add(9_000);
                self.timestamp = self.timestamp.wrapping_add(77_777_777);
            }
            'X' => {
                let (ssrc, last) = (self.ssrc, self.last);
                self.ssrc = 999;
                assert_eq!(self.put((17, 42, 31)), Insertion::Probation);
                (self.ssrc, self.last) = (ssrc, last);
            }
            'g' => self.get(),
            _ => panic!("unknown letter {letter}"),
        }
    }

    fn get(&mut self) {
        let mut out = [0; 160];
        let pulled = self.buffer.pull(self.now_ns, &mut out);
        self.now_ns += TICK_NS;
        let middle = out[120];
        let number = (0..32_u8).find(|number| {
            let mut sample = [0];
            Codec::Pcmu.decode(&[0x80 + number], &mut sample);
            sample[0] == middle
        });
        self.heard.push(match number {
            _ if pulled.concealed > 0 => '~',
            Some(number) if pulled.has_audio => char::from_digit(number.into(), 32).unwrap(),
            _ if middle == 0 || !pulled.has_audio => '-',
            _ => '?',
        });
    }
}

#[test]
fn a_network_in_letters() {
    let cases = [
        ("a clean network plays each packet at the next tick", "gpgpgpgpg", "-0123"),
        ("a lost packet is concealed and what follows keeps its time", "pgpgLgpgpg", "01~34"),
        ("three lost packets are concealed in full", "pgLgLgLgpgpg", "0~~~45"),
        ("a pause becomes silence, its first 60 ms a fade", "pgpg.g.g.g.g.gpgpg", "01~~~--23"),
        ("swapped packets are played in order", "pgppgRggpgg", "012345"),
        ("a packet that comes after its time is not played", "pgLgOpgpgpg", "0~234"),
        ("a duplicate changes nothing", "pgpDgDpgDpg", "0123"),
        ("a stray packet of another stream changes nothing", "pgXpgXpgpg", "0123"),
        ("two packets at once are played one after the other", "pgppggpg", "0123"),
        ("digits instead of speech are no loss", "pgpgegegpgpg", "01--23"),
        ("a new stream is believed at its second packet", "pgpgSpgpgpg", "01~34"),
        ("so is one that kept its SSRC", "pgpgJpgpgpg", "01~34"),
        ("a stream that follows silence is believed at once", "pg.g.g.g.g.g.gSpgpg", "0~~~---12"),
    ];
    for (name, text, expected) in cases {
        let script = Script::run(text, 20);
        assert_eq!(script.heard, expected, "{name}: {text}");
    }
}

#[test]
fn every_packet_time_plays_without_a_gap() {
    // As many samples arrive as are played, in the grid of each packet time; the first frame may wait.
    for (packet_ms, text, expected) in [
        (10, "ppgppgppgppg", "1357"),
        (20, "pgpgpgpg", "0123"),
        (30, "pgpgpgg pgpgg pgpgg", ""),
        (40, "pggpggpggpgg", "00112233"),
        (60, "pgggpgggpggg", "000111222"),
    ] {
        let script = Script::run(&text.replace(' ', ""), packet_ms);
        if packet_ms == 30 {
            // 30 ms do not divide into ticks: the buffer takes what it needs to bridge the phase.
            assert!(!script.heard.trim_start_matches('-').contains('~'), "{}", script.heard);
        } else {
            assert_eq!(script.heard, expected, "{packet_ms} ms");
        }
    }
}

#[test]
fn late_packets_are_counted_and_duplicates_are_known() {
    let mut script = Script::run("pgpgLgpg", 20);
    let lost = script.lost.unwrap();
    assert_eq!(script.put(lost), Insertion::Late);
    assert_eq!(script.put(lost), Insertion::Duplicate);
}

#[test]
fn unusable_payloads_are_refused() {
    let mut buffer = JitterBuffer::new(RATE);
    for length in [0, 801, 5_000] {
        let payload = vec![0xff; length];
        let packet = AudioPacket {
            ssrc: 1,
            sequence: 1,
            timestamp: 1,
            codec: Codec::Pcma,
            payload: &payload,
            arrival_ns: 1,
        };
        assert_eq!(buffer.insert(&packet), Insertion::Unusable);
    }
    let mut out = [7; 160];
    assert_eq!(buffer.pull(TICK_NS, &mut out), Pulled::default());
    assert_eq!(out, [0; 160]);
}

#[test]
fn a_path_that_became_slower_costs_two_frames() {
    // From packet 3 on everything arrives one tick later than before.
    let script = Script::run("pgpgpggpgpgpgpgpg", 20);
    assert_eq!(script.heard, "012~~4567");
}
