//! Where on the clock speech is heard: onsets after pauses and stalls, and speech around digits.

use super::oracle::Random;
use super::*;
use crate::media::frame::TICK_NS;

const FRAME: usize = 160;
const MS: u64 = 1_000_000;
const SAMPLES_PER_MS: usize = 8;

/// A packet's share of speech that never repeats, so that a shift of it would show.
fn speech(index: usize) -> Vec<u8> {
    (0..FRAME)
        .map(|n| {
            let at = (index * FRAME + n) as f64 / 8_000.0;
            let pitch = 150.0 + 40.0 * (at * 1.7).sin();
            let loud = 6_000.0 * (0.6 + 0.4 * (at * 9.1).sin());
            let wave = (std::f64::consts::TAU * pitch * at).sin();
            crate::media::codec::g711::ulaw((loud * wave) as i16)
        })
        .collect()
}

fn packet(sequence: u16, index: usize, payload: &[u8], arrival_ns: u64) -> AudioPacket<'_> {
    let timestamp = (index * FRAME) as u32;
    AudioPacket { ssrc: 7, sequence, timestamp, codec: Codec::Pcmu, payload, arrival_ns }
}

fn buffer() -> JitterBuffer {
    JitterBuffer::new(Decoder::new(Codec::Pcmu).unwrap())
}

#[test]
fn r12_every_onset_is_heard_at_its_time_through_pauses_and_a_stall() {
    for (seed, says_noise) in [(1, false), (2, true), (3, false)] {
        let mut random = Random::new(seed);
        // Spurts of 0.4 to 2 s, then pauses that make a fifth of the time; nothing is sent in them.
        let (mut spurts, mut at) = (Vec::new(), 50);
        while at < 5_900 {
            let length = 20 + (random.next() * 80.0) as usize;
            spurts.push((at, at + length));
            at += length + length / 4;
        }
        let stall = 2_500..3_500; // 20 s without a packet
        let speaks = |index: usize| spurts.iter().any(|(from, to)| (*from..*to).contains(&index));
        let tone = vec![0x90; FRAME];

        let (mut jitter, mut sequence, mut heard) = (buffer(), 0_u16, Vec::new());
        let mut arrived: std::collections::VecDeque<(u64, usize, u16, bool)> = Default::default();
        for tick in 0..6_000_u64 {
            let index = tick as usize;
            // Sent in the middle of the tick before, 1 to 13 ms on the way.
            let sent_ns = 100 * TICK_NS + tick * TICK_NS - 10 * MS;
            let arrival_ns = sent_ns + MS + (random.exponential(3.0).min(12.0) * MS as f64) as u64;
            let is_pause_start = index > 0 && speaks(index - 1) && !speaks(index);
            if speaks(index) || is_pause_start && says_noise {
                if !stall.contains(&index) {
                    arrived.push_back((arrival_ns, index, sequence, speaks(index)));
                }
                sequence = sequence.wrapping_add(1);
            }
            let now_ns = 100 * TICK_NS + tick * TICK_NS;
            while let Some((arrival_ns, index, sequence, is_speech)) =
                arrived.pop_front_if(|(arrival_ns, ..)| *arrival_ns <= now_ns)
            {
                if is_speech {
                    jitter.insert(&packet(sequence, index, &tone, arrival_ns));
                } else {
                    let timestamp = (index * FRAME) as u32;
                    jitter.pass_noise(SilentPacket { ssrc: 7, sequence, timestamp }, &[60]);
                }
            }
            let mut frame = [0; FRAME];
            jitter.pull(now_ns, &mut frame);
            heard.extend(frame);
        }

        let loud = |samples: &[i16]| samples.iter().any(|sample| sample.unsigned_abs() > 2_000);
        let grain = SAMPLES_PER_MS;
        let onsets: Vec<i64> = (10..heard.len() / grain)
            .filter(|at| {
                let before = &heard[(at - 10) * grain..at * grain];
                loud(&heard[at * grain..(at + 1) * grain]) && !loud(before)
            })
            .map(|at| at as i64)
            .collect();
        let expected = spurts.iter().map(|(from, _)| *from).filter(|from| !stall.contains(from));
        // A spurt that the stall cut begins where packets come again.
        let resumed = speaks(stall.end).then_some(stall.end);
        let mut expected: Vec<i64> = expected.chain(resumed).map(|from| from as i64 * 20).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(onsets.len(), expected.len(), "seed {seed}");
        let mut offsets: Vec<i64> = onsets.iter().zip(&expected).map(|(a, b)| a - b).collect();
        offsets.sort_unstable();
        let middle = offsets[offsets.len() / 2];
        let span = (offsets[0] - middle, offsets[offsets.len() - 1] - middle);
        assert!(span.0 >= -20 && span.1 <= 20, "seed {seed}: {span:?} around {middle}");
        assert!((0..60).contains(&middle), "seed {seed}: {middle}");
    }
}

/// What is heard of speech with 50 digits in it; `replaces`: their packets stand in the place of speech.
fn with_digits(replaces: bool, has_digits: bool) -> Vec<Vec<i16>> {
    let (mut jitter, mut sequence) = (buffer(), 65_000_u16);
    (0..2_000)
        .map(|index| {
            let now_ns = 100 * TICK_NS + index as u64 * TICK_NS;
            let arrival_ns = now_ns - 7 * MS;
            // Each key is pressed for 100 ms, and its end is sent three times.
            let is_pressed = has_digits && index >= 100 && (index - 100) % 36 < 8 && index < 1_900;
            if !is_pressed || !replaces {
                jitter.insert(&packet(sequence, index, &speech(index), arrival_ns));
                sequence = sequence.wrapping_add(1);
            }
            if is_pressed {
                let timestamp = ((index - (index - 100) % 36) * FRAME) as u32;
                let silent = SilentPacket { ssrc: 7, sequence, timestamp };
                jitter.pass_event(silent, arrival_ns + 100 * MS);
                sequence = sequence.wrapping_add(1);
            }
            let mut frame = vec![0; FRAME];
            assert_eq!(jitter.pull(now_ns, &mut frame).concealed, 0);
            frame
        })
        .collect()
}

#[test]
fn r26_fifty_digits_leave_the_speech_around_them_untouched() {
    let plain = with_digits(false, false);

    let between = with_digits(false, true);
    assert!(plain == between, "packets of digits between those of speech");
    let instead = with_digits(true, true);
    let mut digits = 0;
    for (index, (plain, heard)) in plain.iter().zip(&instead).enumerate() {
        let is_pressed = index >= 100 && (index - 100) % 36 < 8 && index < 1_900;
        digits += usize::from(is_pressed && (index - 100) % 36 == 0);
        assert!(is_pressed || plain == heard, "frame {index}");
    }
    assert_eq!(digits, 50);
}
