//! A room: everybody's sum, from which each listener takes itself away. Pure.
//!
//! Only what is said to everyone is in the sum, and so in the mix that is recorded; whispers are added
//! to what their listeners hear ([`whispers`]). [`participant`] says who hears whom.

pub(super) mod hearing;
pub mod limiter;
pub(super) mod mixer;
pub mod participant;
pub mod whispers;

use crate::boundary::handle::{Handle, RoomHandle};
use crate::media::beep::Beep;
use crate::media::codec::{Codec, Rate};
use crate::media::frame::{FRAME_MAX, TICKS_PER_SECOND};
use crate::media::phases::Phase;
use limiter::Limiter;
use mixer::Mixer;

/// The rate goes up at once, down when it has been too high for 5 s: no flapping when somebody calls again.
const LOWER_TICKS: u32 = 5 * TICKS_PER_SECOND;
/// As many kinds of streams as there are codecs and rates.
const STREAMS: usize = 9;

/// In the tick in which a room changes its rate it is there twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Now,
    Former,
}

/// Made off the tick.
pub struct Room {
    pub handle: RoomHandle,
    pub members: u32,
    /// When in the tick it is run.
    pub phase: Phase,
    now: Mixer,
    former: Mixer,
    is_changing: bool,
    /// In this tick everybody hears the same: what is played instead of them.
    is_replaced: bool,
    /// It never has less.
    least: Rate,
    /// Members by the rate of their codec.
    rates: [u32; Rate::ALL.len()],
    surplus_ticks: u32,
    /// Slots of the legs that encode the whole mix, one for each codec, and how many take it.
    leads: [Option<u32>; STREAMS],
    pub sharers: u32,
    /// Everybody hears it.
    pub beep: Beep,
}

impl Room {
    pub fn blank() -> Box<Self> {
        Box::new(Self {
            handle: RoomHandle(Handle { slot: 0, generation: 0 }),
            members: 0,
            phase: Phase::FIRST,
            now: Mixer::new(),
            former: Mixer::new(),
            is_changing: false,
            is_replaced: false,
            least: Rate::Narrow,
            rates: [0; Rate::ALL.len()],
            surplus_ticks: 0,
            leads: [None; STREAMS],
            sharers: 0,
            beep: Beep::default(),
        })
    }

    pub fn open(&mut self, handle: RoomHandle, least: Rate) {
        self.handle = handle;
        self.least = least;
        self.now.open(least, Limiter::default());
    }

    pub fn rate(&self, view: View) -> Rate {
        self.at(view).rate()
    }

    pub fn rate_hz(&self) -> u32 {
        self.now.rate().hz()
    }

    fn at(&self, view: View) -> &Mixer {
        match view {
            View::Now => &self.now,
            View::Former => &self.former,
        }
    }

    fn at_mut(&mut self, view: View) -> &mut Mixer {
        match view {
            View::Now => &mut self.now,
            View::Former => &mut self.former,
        }
    }

    /// Its rate changes in this tick: [`View::Former`] is what it was.
    pub fn is_changing(&self) -> bool {
        self.is_changing
    }

    /// A member with a codec of that rate came, or went.
    pub fn enter(&mut self, rate: Rate) {
        if let Some(count) = self.rates.get_mut(rate as usize) {
            *count += 1;
        }
    }

    pub fn exit(&mut self, rate: Rate) {
        if let Some(count) = self.rates.get_mut(rate as usize) {
            *count = count.saturating_sub(1);
        }
    }

    /// Once a tick: the rate that it shall have from now on, when it is another.
    pub fn due_rate(&mut self) -> Option<Rate> {
        let members = Rate::ALL.into_iter().zip(self.rates).filter(|(_, count)| *count > 0);
        let wanted = members.map(|(rate, _)| rate).fold(self.least, Rate::max);
        let is_lower = wanted < self.now.rate();
        self.surplus_ticks = if is_lower { self.surplus_ticks + 1 } else { 0 };
        let is_due = wanted > self.now.rate() || self.surplus_ticks > LOWER_TICKS;
        is_due.then_some(wanted)
    }

    /// At the start of a tick, which is heard in both rates.
    pub fn change_rate(&mut self, rate: Rate) {
        std::mem::swap(&mut self.now, &mut self.former);
        self.now.open(rate, self.former.limiter());
        self.is_changing = true;
        self.surplus_ticks = 0;
    }

    /// The tick of the change is over.
    pub fn end_change(&mut self) {
        self.is_changing = false;
    }

    /// Start of a tick.
    pub fn clear(&mut self) {
        self.is_replaced = false;
        self.now.clear();
        if self.is_changing {
            self.former.clear();
        }
    }

    /// What somebody says to all.
    pub fn add(&mut self, view: View, frame: &[i16]) {
        self.at_mut(view).add(frame);
    }

    /// When all talkers are in: takes them away, everybody hears the frame.
    pub fn replace(&mut self, frame: &[i16], former: &[i16]) {
        self.clear();
        self.add(View::Now, frame);
        self.add(View::Former, former);
        self.is_replaced = true;
    }

    /// Nobody in it is heard in this tick.
    pub fn is_replaced(&self) -> bool {
        self.is_replaced
    }

    /// When all talkers are in: adds what the room itself sounds.
    pub fn sound(&mut self) {
        if self.is_changing {
            let mut beep = self.beep;
            beep.add_to(self.former.sum_mut());
            self.beep.change_rate(self.now.rate().hz());
        }
        self.beep.add_to(self.now.sum_mut());
    }

    /// Makes the whole mix of this tick at its own rate, at its members' and at those wanted by
    /// recordings.
    pub fn blend(&mut self, mut wanted: [bool; Rate::ALL.len()]) {
        for (wanted, members) in wanted.iter_mut().zip(self.rates) {
            *wanted |= self.sharers > 0 && members > 0;
        }
        self.now.blend(wanted);
        if self.is_changing {
            self.former.blend(wanted_by(wanted, self.now.rate()));
            self.now.blend_in(&self.former);
        }
    }

    /// What [`Room::blend`] made at one of these rates.
    pub fn mix_at(&self, rate: Rate) -> &[i16] {
        self.now.mix(rate)
    }

    /// Sum of squares of [`Room::mix_at`].
    pub fn energy_at(&self, rate: Rate) -> u64 {
        self.now.energy(rate)
    }

    /// This tick's mix without the beep that everybody hears, at a rate that [`Room::blend`] made.
    pub fn plain_mix_at(&self, rate: Rate, limiter: &mut Limiter, out: &mut [i16]) {
        let (mut sum, mut mixed) = ([0; FRAME_MAX], [0; FRAME_MAX]);
        let length = self.now.rate().frame();
        let (Some(sum), Some(mixed)) = (sum.get_mut(..length), mixed.get_mut(..length)) else {
            return;
        };
        self.others(View::Now, None, sum);
        self.beep.take_from(sum);
        limiter.apply(sum, mixed);
        self.now.variant(mixed, rate, out);
    }

    pub fn mixer(&self, view: View) -> &Mixer {
        self.at(view)
    }

    /// What there is to hear for somebody of whose voice `own` is in the sum; `None`: nothing is.
    pub fn others(&self, view: View, own: Option<&[i16]>, others: &mut [i32]) {
        let own = own.filter(|_| !self.is_replaced);
        for (other, sum) in others.iter_mut().zip(self.at(view).sum()) {
            *other = *sum;
        }
        for (other, own) in others.iter_mut().zip(own.unwrap_or(&[])) {
            *other -= i32::from(*own);
        }
    }

    /// The leg that encodes the whole mix with this codec.
    pub fn lead(&self, codec: Codec) -> Option<u32> {
        self.leads.get(stream(codec)).copied().flatten()
    }

    pub fn set_lead(&mut self, codec: Codec, lead: Option<u32>) {
        if let Some(place) = self.leads.get_mut(stream(codec)) {
            *place = lead;
        }
    }
}

fn stream(codec: Codec) -> usize {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 1,
        Codec::G722 => 2,
        Codec::L16(rate) => 3 + rate as usize,
        Codec::Opus(rate) => 6 + rate as usize,
    }
}

/// What the former mixer makes: also the rate that is the room's own now.
fn wanted_by(wanted: [bool; Rate::ALL.len()], own: Rate) -> [bool; Rate::ALL.len()] {
    let mut wanted = wanted;
    if let Some(own) = wanted.get_mut(own as usize) {
        *own = true;
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::frame_length;

    #[test]
    fn everyone_hears_all_the_others_exactly_and_not_itself() {
        let mut room = Room::blank();
        let frames: Vec<[i16; 160]> =
            (1..=3_i16).map(|who| std::array::from_fn(|n| (n as i16 - 80) * who * 10)).collect();
        room.clear();
        for frame in &frames {
            room.add(View::Now, frame);
        }

        for (who, own) in frames.iter().enumerate() {
            let mut heard = [0; 160];
            room.others(View::Now, Some(own), &mut heard);
            for n in 0..160 {
                let others = frames.iter().enumerate().filter(|(other, _)| *other != who);
                let others: i32 = others.map(|(_, frame)| i32::from(frame[n])).sum();
                assert_eq!(heard[n], others);
            }
        }
        room.blend([false; 3]);
        let mix = room.mix_at(Rate::Narrow);
        assert!((0..160).all(|n| mix[n] == frames.iter().map(|frame| frame[n]).sum::<i16>()));
    }

    /// The next tick of a tone of full scale.
    fn tone(rate_hz: u32, hz: f64, tick: usize) -> Vec<i16> {
        let length = frame_length(rate_hz);
        let turn = std::f64::consts::TAU * hz / f64::from(rate_hz);
        (tick * length..(tick + 1) * length)
            .map(|n| (32_767.0 * (turn * n as f64).sin()).round() as i16)
            .collect()
    }

    /// Of `out` against `sum` times the gain that fits best, in dB.
    fn signal_to_noise(sum: &[f64], out: &[f64]) -> f64 {
        let product: f64 = sum.iter().zip(out).map(|(a, b)| a * b).sum();
        let power: f64 = sum.iter().map(|it| it * it).sum();
        let gain = product / power;
        let noise: f64 = sum.iter().zip(out).map(|(a, b)| (b - gain * a).powi(2)).sum();
        10.0 * (gain * gain * power / noise).log10()
    }

    #[test]
    fn r25_three_full_scale_talkers_do_not_clip_and_stay_undistorted() {
        let triples = [[440.0, 620.0, 970.0], [300.0, 1_000.0, 3_000.0], [210.0, 333.0, 1_234.0]];
        for (rate_hz, tones) in
            [8_000, 16_000, 48_000].into_iter().flat_map(|rate| triples.map(|it| (rate, it)))
        {
            let mut room = Room::blank();
            let rate = Rate::of(rate_hz).unwrap();
            room.open(RoomHandle::from_u64(1), rate);
            let mut listener = Limiter::default();
            let (mut sums, mut mixes, mut rests, mut hearings) = (vec![], vec![], vec![], vec![]);
            for tick in 0..100 {
                let frames = tones.map(|hz| tone(rate_hz, hz, tick));
                room.clear();
                frames.iter().for_each(|frame| room.add(View::Now, frame));
                room.blend([false; 3]);
                let (mut rest, mut heard) = (vec![0; frames[0].len()], vec![0; frames[0].len()]);
                room.others(View::Now, Some(&frames[0]), &mut rest);
                listener.apply(&rest, &mut heard);
                let sum = (0..rest.len()).map(|n| rest[n] + i32::from(frames[0][n]));
                sums.extend(sum.map(f64::from));
                mixes.extend(room.mix_at(rate).iter().map(|it| f64::from(*it)));
                rests.extend(rest.iter().map(|it| f64::from(*it)));
                hearings.extend(heard.iter().map(|it| f64::from(*it)));
            }

            let settled = 10 * frame_length(rate_hz);
            for (expected, out) in [(&sums, &mixes), (&rests, &hearings)] {
                let flat = out.windows(3).filter(|top| top.iter().all(|it| it.abs() >= 32_766.0));
                assert_eq!(flat.count(), 0, "{tones:?} at {rate_hz} Hz");
                let pieces =
                    || expected[settled..].chunks(settled).zip(out[settled..].chunks(settled));
                let worst = pieces().map(|(a, b)| signal_to_noise(a, b)).fold(f64::MAX, f64::min);
                assert!(worst >= 30.0, "{tones:?} at {rate_hz} Hz: {worst} dB");
                let peak = out[settled..].iter().fold(0.0_f64, |peak, it| peak.max(it.abs()));
                assert!(peak > 30_000.0, "{tones:?} at {rate_hz} Hz: only {peak}");
            }
        }
    }
}
