//! Keys that a leg presses: which tick of which key it is, and how one sounds in-band. Pure.
//!
//! ```text
//! tick      1    2    3    4    5    6    7    8
//! key       ├──── pressed ────┤├────── gap ──────┤
//! RFC 4733  mark  .    .   end  end  end
//! ```
//!
//! The audio stops for keys and gaps and goes on in pauses (`w`, `W`).

use crate::boundary::command::CommandId;
use crate::boundary::digits::DigitString;
use crate::media::frame::TICK_MS;

/// Commands that wait for a leg, the one under way included.
const COMMANDS: usize = 4;
const TONE_MS: std::ops::RangeInclusive<u16> = 40..=1_000;
/// Shorter gaps have no room for the repeated end.
const GAP_MS: std::ops::RangeInclusive<u16> = 40..=2_000;
/// The end of an event is sent three times (RFC 4733 §2.5.1.4).
const REPEATS: u32 = 2;

/// What a leg sends in this tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    Audio,
    Nothing,
    Pressed(Pressed),
}

/// One tick of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// RFC 4733 §3.2: 0 to 15.
    pub event: u8,
    /// How long it has been pressed at the end of this tick.
    pub ticks: u32,
    pub is_start: bool,
    pub is_end: bool,
    /// Released already: the end is told again.
    pub is_repeated: bool,
}

#[derive(Clone, Copy, Debug)]
struct Wish {
    command: CommandId,
    digits: DigitString,
    tone_ticks: u32,
    gap_ticks: u32,
}

/// Inline and bounded.
#[derive(Clone, Debug, Default)]
pub struct Keying {
    wishes: [Option<Wish>; COMMANDS],
    /// Of the first wish: the key, and ticks of it that are over.
    key: usize,
    ticks: u32,
}

/// As many commands as a leg keeps wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyingFull;

impl Keying {
    /// Milliseconds are rounded to ticks and kept within 40 ms and a second (two for gaps).
    pub fn push(
        &mut self,
        command: CommandId,
        digits: DigitString,
        tone_ms: u16,
        gap_ms: u16,
    ) -> Result<(), KeyingFull> {
        let ticks = |ms: u16, range: std::ops::RangeInclusive<u16>| {
            u32::from(ms.clamp(*range.start(), *range.end())).div_ceil(TICK_MS)
        };
        let place = self.wishes.iter_mut().find(|wish| wish.is_none()).ok_or(KeyingFull)?;
        let (tone_ticks, gap_ticks) = (ticks(tone_ms, TONE_MS), ticks(gap_ms, GAP_MS));
        *place = Some(Wish { command, digits, tone_ticks, gap_ticks });
        Ok(())
    }

    /// The next tick; the command that is done with it.
    pub fn tick(&mut self) -> (Keyed, Option<CommandId>) {
        let Some(wish) = self.wishes.first().copied().flatten() else {
            return (Keyed::Audio, None);
        };
        let key = wish.digits.keys().get(self.key).copied().unwrap_or(b'w');
        self.ticks += 1;
        let (keyed, length) = match event(key) {
            None => (Keyed::Audio, if key == b'W' { 1_000 } else { 500 } / TICK_MS),
            Some(event) => (pressed(event, self.ticks, wish), wish.tone_ticks + wish.gap_ticks),
        };
        if self.ticks < length {
            return (keyed, None);
        }
        (self.key, self.ticks) = (self.key + 1, 0);
        let is_done = self.key >= wish.digits.keys().len();
        (keyed, is_done.then(|| self.finish()).flatten())
    }

    /// Nothing waits and nothing is pressed.
    pub fn is_idle(&self) -> bool {
        self.wishes.iter().all(Option::is_none)
    }

    fn finish(&mut self) -> Option<CommandId> {
        let done = self.wishes.first_mut()?.take();
        self.wishes.rotate_left(1);
        (self.key, self.ticks) = (0, 0);
        Some(done?.command)
    }

    /// The leg ends: commands that will never be done.
    pub fn give_up(&mut self) -> impl Iterator<Item = CommandId> + use<> {
        std::mem::take(self).wishes.into_iter().flatten().map(|wish| wish.command)
    }
}

fn pressed(event: u8, tick: u32, wish: Wish) -> Keyed {
    let ticks = tick.min(wish.tone_ticks);
    if tick > wish.tone_ticks + REPEATS {
        return Keyed::Nothing;
    }
    Keyed::Pressed(Pressed {
        event,
        ticks,
        is_start: tick == 1,
        is_end: tick >= wish.tone_ticks,
        is_repeated: tick > wish.tone_ticks,
    })
}

/// RFC 4733 §3.2; `None` for a pause.
fn event(key: u8) -> Option<u8> {
    let place = b"0123456789*#ABCD".iter().position(|known| *known == key)?;
    Some(place as u8)
}

impl Pressed {
    /// Payload of RFC 4733 §2.3: event, end and volume, duration in units of the clock.
    pub fn payload(&self, units_per_tick: u32) -> [u8; 4] {
        const VOLUME: u8 = 10; // -10 dBm0
        let duration = (self.ticks * units_per_tick).min(0xffff) as u16;
        let [high, low] = duration.to_be_bytes();
        [self.event, if self.is_end { 0x80 } else { 0 } | VOLUME, high, low]
    }

    /// The two tones of ITU-T Q.23 in this tick; nothing once the key is released.
    pub fn sound(&self, rate_hz: u32, out: &mut [i16]) {
        out.fill(0);
        if self.is_repeated {
            return;
        }
        let (low, high) = tones(self.event);
        let from = (self.ticks - 1) as usize * out.len();
        let ramp = (rate_hz / 200) as usize; // 5 ms, so that it does not click
        let length = out.len();
        for (n, sample) in out.iter_mut().enumerate() {
            let wave = |hz: f32| {
                (std::f32::consts::TAU * (hz * (from + n) as f32 / rate_hz as f32).fract()).sin()
            };
            let rise = if self.is_start { n.min(ramp) } else { ramp };
            let fall = if self.is_end { (length - n).min(ramp) } else { ramp };
            let gain = rise.min(fall) as f32 / ramp as f32;
            // -11 and -9 dBm0: the higher tone is a little louder (Q.23 allows for its loss).
            *sample = (gain * (6_400.0 * wave(low) + 8_000.0 * wave(high))) as i16;
        }
    }
}

fn tones(event: u8) -> (f32, f32) {
    const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
    const HIGH: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
    let (row, column) = match event {
        0 => (3, 1),
        1..=9 => ((event - 1) / 3, (event - 1) % 3),
        10 => (3, 0),
        11 => (3, 2),
        _ => (event.saturating_sub(12), 3),
    };
    let tone = |table: [f32; 4], place: u8| table.get(usize::from(place)).copied().unwrap_or(0.0);
    (tone(LOW, row), tone(HIGH, column))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keying(digits: &str, tone_ms: u16, gap_ms: u16) -> Keying {
        let mut keying = Keying::default();
        keying.push(7, DigitString::parse(digits).unwrap(), tone_ms, gap_ms).unwrap();
        keying
    }

    /// A letter a tick: the key, `!` behind its end, `+` for a repeated end, `.` nothing, `~` audio.
    fn script(keying: &mut Keying) -> String {
        let mut text = String::new();
        loop {
            let (keyed, done) = keying.tick();
            match keyed {
                Keyed::Audio => text.push('~'),
                Keyed::Nothing => text.push('.'),
                Keyed::Pressed(pressed) if pressed.is_repeated => text.push('+'),
                Keyed::Pressed(pressed) => {
                    text.push(char::from(b"0123456789*#ABCD"[usize::from(pressed.event)]));
                    text.push_str(if pressed.is_end { "!" } else { "" });
                }
            }
            if done.is_some() {
                return text;
            }
        }
    }

    #[test]
    fn keys_are_pressed_one_after_the_other() {
        assert_eq!(script(&mut keying("5", 80, 80)), "5555!++..");
        assert_eq!(script(&mut keying("1#", 100, 60)), "11111!++.#####!++.");
        assert_eq!(script(&mut keying("9", 0, 0)), "99!++", "never shorter than 40 ms");
        assert_eq!(script(&mut keying("9", 60_000, 40)).len(), 50 + 1 + 2, "nor longer than 1 s");
        let waiting = script(&mut keying("1wW2", 40, 40));
        assert_eq!(waiting, format!("11!++{}22!++", "~".repeat(75)));
    }

    #[test]
    fn commands_wait_their_turn_and_are_bounded() {
        let mut keying = Keying::default();
        let one = DigitString::parse("1").unwrap();
        for command in 0..COMMANDS as u64 {
            keying.push(command, one, 40, 40).unwrap();
        }
        assert_eq!(keying.push(9, one, 40, 40), Err(KeyingFull));
        let done: Vec<_> = (0..8).filter_map(|_| keying.tick().1).collect();
        assert_eq!(done, [0, 1]);
        assert_eq!(keying.give_up().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(keying.tick(), (Keyed::Audio, None));
    }

    #[test]
    fn durations_count_in_the_clock_of_the_stream() {
        let mut keying = keying("D", 60, 40);
        for (units, expected) in [(160, [15, 10, 0, 160]), (960, [15, 10, 7, 128])] {
            let (Keyed::Pressed(pressed), _) = keying.tick() else { panic!() };
            assert_eq!(pressed.payload(units), expected);
        }
        let (Keyed::Pressed(pressed), _) = keying.tick() else { panic!() };
        assert_eq!(pressed.payload(960), [15, 0x8a, 11, 64]);
    }

    #[test]
    fn each_key_has_its_two_tones() {
        let level = |hz: f32, samples: &[i16], rate: u32| {
            let turn = |n: usize| std::f32::consts::TAU * hz * n as f32 / rate as f32;
            let (mut re, mut im) = (0.0, 0.0);
            for (n, sample) in samples.iter().enumerate() {
                re += f32::from(*sample) * turn(n).cos();
                im += f32::from(*sample) * turn(n).sin();
            }
            2.0 * re.hypot(im) / samples.len() as f32
        };
        for (rate, frame) in [(8_000, 160), (16_000, 320), (48_000, 960)] {
            for (key, low, high) in
                [("1", 697.0, 1_209.0), ("0", 941.0, 1_336.0), ("D", 941.0, 1_633.0)]
            {
                let (mut keying, mut heard) = (keying(key, 100, 40), Vec::new());
                for _ in 0..5 {
                    let (Keyed::Pressed(pressed), _) = keying.tick() else { panic!() };
                    let mut out = vec![0; frame];
                    pressed.sound(rate, &mut out);
                    heard.extend(out);
                }
                assert!(heard[..4].iter().all(|sample| sample.abs() < 2_000), "no click");
                for hz in [697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0, 1_633.0] {
                    let is_there = hz == low || hz == high;
                    let level = level(hz, &heard, rate);
                    assert_eq!(level > 5_000.0, is_there, "{key} at {rate}: {hz} Hz {level}");
                    assert!(is_there || level < 1_500.0, "{key} at {rate}: {hz} Hz {level}");
                }
            }
        }
    }
}
