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
//! | `n` | comfort noise takes the next sequence number, the sender's clock goes on |
//! | `d` | as `n`, with the packet that Opus sends at the start of a pause |
//! | `1` `2` `3` `4` `6` | packets last 10, 20, 30, 40, 60 ms from now on |
//! | `h` | the sender is put on hold |
//! | `g` | a tick pulls a frame |
//!
//! The result has a character per `g`: the number of the packet that is heard (0-9, a-v), `~` for
//! concealed, `*` for noise, `-` for silence. In G.711 a packet is 32 values, in other codecs a pitch.

use super::*;
use crate::media::codec::{Encoder, PAYLOAD_MAX, Rate};
use crate::media::frame::TICK_NS;

/// Pitches of packets in codecs that are not G.711.
const PITCHES: u8 = 16;

struct Script {
    buffer: JitterBuffer,
    codec: Codec,
    encoder: Encoder,
    packet_ms: u32,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Number of the next packet, which is its content too.
    number: u8,
    lost: Option<Packet>,
    last: Option<Packet>,
    now_ns: u64,
    heard: String,
}

#[derive(Clone)]
struct Packet {
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

fn pitch(number: u8) -> f64 {
    400.0 + 200.0 * f64::from(number)
}

impl Script {
    fn run(text: &str, packet_ms: u32) -> Self {
        Self::run_in(Codec::Pcmu, text, packet_ms)
    }

    fn run_in(codec: Codec, text: &str, packet_ms: u32) -> Self {
        let mut encoder = Encoder::new(codec).unwrap();
        encoder.expect_loss(30);
        let mut script = Self {
            buffer: JitterBuffer::new(Decoder::new(codec).unwrap()),
            codec,
            encoder,
            packet_ms,
            ssrc: 1,
            sequence: 65_533,
            timestamp: u32::MAX - 300,
            number: 0,
            lost: None,
            last: None,
            now_ns: 100 * TICK_NS,
            heard: String::new(),
        };
        for letter in text.chars() {
            script.step(letter);
        }
        script
    }

    /// The next packet's content.
    fn payload(&mut self) -> Vec<u8> {
        let number = self.number;
        self.number += 1;
        if self.codec == Codec::Pcmu {
            return vec![0x80 + number % 32; self.packet_ms as usize * 8];
        }
        let rate_hz = self.codec.rate_hz();
        let step = std::f64::consts::TAU * pitch(number % PITCHES) / f64::from(rate_hz);
        let samples: Vec<i16> = (0..rate_hz / 1_000 * self.packet_ms)
            .map(|n| (8_000.0 * (step * f64::from(n)).sin()) as i16)
            .collect();
        let mut payload = vec![0; PAYLOAD_MAX * 3];
        let bytes = self.encoder.encode(&samples, &mut payload);
        payload.truncate(bytes);
        payload
    }

    fn pass_time(&mut self) {
        let units = self.codec.clock_hz() / 1_000 * self.packet_ms;
        self.timestamp = self.timestamp.wrapping_add(units);
    }

    fn take(&mut self, payload: Vec<u8>) -> Packet {
        let packet = Packet { sequence: self.sequence, timestamp: self.timestamp, payload };
        self.sequence = self.sequence.wrapping_add(1);
        self.pass_time();
        packet
    }

    fn next(&mut self) -> Packet {
        let payload = self.payload();
        self.take(payload)
    }

    fn put(&mut self, packet: Packet) -> Insertion {
        let insertion = self.buffer.insert(&AudioPacket {
            ssrc: self.ssrc,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            codec: self.codec,
            payload: &packet.payload,
            arrival_ns: self.now_ns - 5_000_000,
        });
        self.last = Some(packet);
        insertion
    }

    fn silent(&mut self) -> SilentPacket {
        let (ssrc, sequence, timestamp) = (self.ssrc, self.sequence, self.timestamp);
        self.sequence = self.sequence.wrapping_add(1);
        self.pass_time();
        SilentPacket { ssrc, sequence, timestamp }
    }

    fn step(&mut self, letter: char) {
        match letter {
            'p' => {
                let packet = self.next();
                self.put(packet);
            }
            'L' => self.lost = Some(self.next()),
            'R' => {
                let (first, second) = (self.next(), self.next());
                self.put(second);
                self.put(first);
            }
            'D' => {
                let last = self.last.clone().unwrap();
                assert_eq!(self.put(last), Insertion::Duplicate);
            }
            'O' => {
                let lost = self.lost.take().unwrap();
                self.put(lost);
            }
            '1'..='6' => self.packet_ms = letter.to_digit(10).unwrap() * 10,
            'h' => self.buffer.hush(),
            'n' => {
                let silent = self.silent();
                self.buffer.pass_noise(silent, &[40]);
            }
            'd' => {
                // SILK, 16 kHz, 20 ms, and nothing inside.
                let packet = self.take(vec![9 << 3]);
                self.put(packet);
            }
            '.' => self.pass_time(),
            'e' => {
                let until = self.now_ns + 100_000_000;
                let silent = self.silent();
                self.buffer.pass_event(silent, until);
            }
            'S' | 'J' => {
                self.ssrc += u32::from(letter == 'S');
                self.sequence = self.sequence.wrapping_add(9_000);
                self.timestamp = self.timestamp.wrapping_add(77_777_777);
            }
            'X' => {
                let payload = self.last.clone().unwrap().payload;
                let (ssrc, last) = (self.ssrc, self.last.clone());
                self.ssrc = 999;
                let stray = Packet { sequence: 17, timestamp: 42, payload };
                assert_eq!(self.put(stray), Insertion::Probation);
                (self.ssrc, self.last) = (ssrc, last);
            }
            'g' => self.get(),
            _ => panic!("unknown letter {letter}"),
        }
    }

    fn get(&mut self) {
        let mut out = vec![0; self.codec.rate().frame()];
        let pulled = self.buffer.pull(self.now_ns, &mut out);
        self.now_ns += TICK_NS;
        let is_silent = out[out.len() * 3 / 4] == 0;
        self.heard.push(match pulled {
            Pulled { concealed: 1.., .. } => '~',
            Pulled { has_audio: true, .. } => self.recognise(&out),
            _ if self.buffer.pause.is_some() && !is_silent => '*',
            _ => '-',
        });
    }

    /// The packet that fills the second half of a frame.
    fn recognise(&self, frame: &[i16]) -> char {
        let half = &frame[frame.len() / 2..];
        let number = if self.codec == Codec::Pcmu {
            (0..32_u8).find(|number| {
                let mut sample = [0];
                Codec::Pcmu.decode(&[0x80 + number], &mut sample);
                sample[0] == half[40]
            })
        } else {
            let rate_hz = f64::from(self.codec.rate_hz());
            let levels = (0..PITCHES).map(|number| (level(half, pitch(number) / rate_hz), number));
            levels.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, number)| number)
        };
        number.and_then(|number| char::from_digit(number.into(), 32)).unwrap_or('?')
    }
}

/// Power at a frequency given in turns per sample (Goertzel).
fn level(samples: &[i16], turns: f64) -> f64 {
    let step = 2.0 * (std::f64::consts::TAU * turns).cos();
    let (mut before, mut last) = (0.0, 0.0);
    for sample in samples {
        (before, last) = (last, f64::from(*sample) + step * last - before);
    }
    before * before + last * last - step * before * last
}

const CODECS: [Codec; 6] = [
    Codec::Pcmu,
    Codec::G722,
    Codec::L16(Rate::Full),
    Codec::Opus(Rate::Narrow),
    Codec::Opus(Rate::Wide),
    Codec::Opus(Rate::Full),
];

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
        for codec in CODECS {
            let script = Script::run_in(codec, text, 20);
            assert_eq!(script.heard, expected, "{name}, {codec:?}: {text}");
        }
    }
}

#[test]
fn a_pause_that_was_said_is_noise_and_no_loss() {
    let cases = [
        (Codec::Pcmu, "noise until speech comes again", "pgpgng.g.g.g.g.gpgpg", "01******23"),
        (Codec::G722, "a second packet of noise goes on with it", "pgpgng.gng.gpgpg", "01****23"),
        (Codec::Pcma, "without a stream there is nothing to pause", "ngng", "--"),
        (Codec::Pcmu, "hold ends it", "pgpgng.gh.g.g.gpgpg", "01**---23"),
        (Codec::Pcmu, "hold is silence at once", "pgpgpgh.g.g.g.gpgpg", "012----34"),
        (Codec::Opus(Rate::Wide), "in Opus too", "pgpgpgh.g.g.g.gpgpg", "012----34"),
        // What the empty packet becomes has no pitch.
        (Codec::Opus(Rate::Wide), "Opus makes its own", "pgpgdg.g.g.g.g.gpgpg", "01?-----23"),
    ];
    for (codec, name, text, expected) in cases {
        let heard = Script::run_in(codec, text, 20).heard;
        let is_as_expected = |(heard, expected): (char, char)| heard == expected || expected == '?';
        let is_same = heard.chars().zip(expected.chars()).all(is_as_expected);
        assert!(is_same && heard.len() == expected.len(), "{name}: {text}: {heard}");
    }
}

#[test]
fn a_lost_packet_is_taken_from_its_successor() {
    // One more packet waits than is needed, so that 4 is there when 3 is due.
    let text = "pgppgLpgpgpgpg";
    assert_eq!(Script::run_in(Codec::Opus(Rate::Wide), text, 20).heard, "012345");
    assert_eq!(Script::run_in(Codec::G722, text, 20).heard, "012~45");
}

#[test]
fn packet_times_change_in_mid_call() {
    for codec in CODECS {
        let cases = [
            ("2pgpg4pggpgg6pgggpggg2pgpg", "01223344455567"),
            ("6pgggpggg4pggpgg2pgpg", "000111223345"),
            ("2pgpg1ppgppg2pgpg", "013567"),
            ("4pggpgg1ppgppgppg", "0011357"),
        ];
        for (text, expected) in cases {
            let heard = Script::run_in(codec, text, 20).heard;
            if matches!(codec, Codec::Opus(_)) && text.contains('1') {
                // Opus speaks 6.5 ms late: half a frame holds two packets of 10 ms.
                assert!(!heard.contains(['~', '-']), "{codec:?}: {text}: {heard}");
            } else {
                assert_eq!(heard, expected, "{codec:?}: {text}");
            }
        }
    }
    // 30 ms do not divide into ticks: what it takes to bridge the phase is put in where it is quiet.
    for codec in CODECS.into_iter().filter(|codec| !matches!(codec, Codec::Opus(_))) {
        let text = "2pgpg3pgpggpgpggpgpgg2pgpg";
        let heard = Script::run_in(codec, text, 20).heard;
        assert!(!heard.contains('-') && heard.matches('~').count() <= 1, "{codec:?}: {heard}");
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
    let lost = script.lost.clone().unwrap();
    assert_eq!(script.put(lost.clone()), Insertion::Late);
    assert_eq!(script.put(lost), Insertion::Duplicate);
}

#[test]
fn unusable_payloads_are_refused() {
    let mut buffer = JitterBuffer::new(Decoder::new(Codec::Pcmu).unwrap());
    for length in [0, 961, 5_000] {
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
fn a_path_that_became_slower_costs_one_frame() {
    // From packet 3 on everything arrives one tick later than before.
    let script = Script::run("pgpgpggpgpgpgpgpg", 20);
    assert_eq!(script.heard, "012~34567");
}

#[test]
fn a_storm_of_packets_leaves_nothing_behind() {
    for codec in CODECS {
        let mut script = Script::run_in(codec, "pgpgpg", 20);
        let mut random = super::oracle::Random::new(u64::from(codec.rate_hz()));
        let good = script.last.clone().unwrap().payload;
        let mut out = vec![0; codec.rate().frame()];
        for _ in 0..10_000 {
            let mut number = |limit: u32| (random.next() * f64::from(limit)) as u32;
            let (sequence, timestamp) = (script.sequence, script.timestamp);
            let mut payload = good.clone();
            for _ in 0..number(4) {
                let at = number(payload.len() as u32) as usize;
                payload[at] = number(256) as u8;
            }
            payload.truncate(number(2 * payload.len() as u32) as usize);
            let packet = Packet {
                sequence: [sequence, number(65_536) as u16][number(8) as usize / 7],
                timestamp: [timestamp, timestamp.wrapping_add(number(9_000)), number(u32::MAX)]
                    [number(9) as usize / 4],
                payload,
            };
            script.ssrc = 1 + number(9) / 8;
            script.put(packet);
            script.sequence = script.sequence.wrapping_add(1);
            script.pass_time();
            if number(3) > 0 {
                script.buffer.pull(script.now_ns, &mut out);
                script.now_ns += TICK_NS;
            }
        }
        script.heard.clear();
        (script.ssrc, script.number) = (1, 0);
        for letter in "pg".repeat(200).chars() {
            script.number %= 8;
            script.step(letter);
        }
        // One packet after the other, wherever the storm has left the edges of frames in them.
        let heard = &script.heard[script.heard.len() - 24..];
        let numbers: Vec<u32> = heard.chars().filter_map(|letter| letter.to_digit(8)).collect();
        let goes_on = |pair: &[u32]| (pair[1] + 8 - pair[0]) % 8 <= 2;
        assert_eq!(numbers.len(), 24, "{codec:?}: {}", script.heard);
        assert!(numbers.windows(2).all(goes_on), "{codec:?}: {}", script.heard);
    }
}
