//! A room: everybody's sum, from which each listener takes itself away. Pure.

pub mod limiter;

use crate::boundary::handle::{Handle, RoomHandle};
use crate::media::beep::Beep;
use crate::media::frame::{FRAME_MAX, Frame, frame_length};
use limiter::Limiter;

/// Made off the tick. 65,536 full-scale talkers fit into its sum.
pub struct Room {
    pub handle: RoomHandle,
    pub members: u32,
    rate_hz: u32,
    sum: [i32; FRAME_MAX],
    /// What is recorded: the whole mix.
    mix: Frame,
    limiter: Limiter,
    /// Everybody hears it.
    pub beep: Beep,
}

impl Room {
    pub fn blank() -> Box<Self> {
        Box::new(Self {
            handle: RoomHandle(Handle { slot: 0, generation: 0 }),
            members: 0,
            rate_hz: 8_000,
            sum: [0; FRAME_MAX],
            mix: Frame::silence(8_000),
            limiter: Limiter::default(),
            beep: Beep::default(),
        })
    }

    pub fn open(&mut self, handle: RoomHandle, rate_hz: u32) {
        self.handle = handle;
        self.rate_hz = rate_hz;
        self.mix.set_rate(rate_hz);
    }

    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Start of a tick.
    pub fn clear(&mut self) {
        self.sum_mut().fill(0);
    }

    fn sum_mut(&mut self) -> &mut [i32] {
        let length = frame_length(self.rate_hz);
        self.sum.get_mut(..length).unwrap_or(&mut [])
    }

    fn sum(&self) -> &[i32] {
        self.sum.get(..frame_length(self.rate_hz)).unwrap_or(&[])
    }

    pub fn add(&mut self, frame: &[i16]) {
        for (sum, sample) in self.sum_mut().iter_mut().zip(frame) {
            *sum += i32::from(*sample);
        }
    }

    /// When all talkers are in: adds what the room itself sounds.
    pub fn sound(&mut self) {
        let Self { rate_hz, sum, beep, .. } = self;
        if beep.is_sounding() {
            beep.add_to(sum.get_mut(..frame_length(*rate_hz)).unwrap_or(&mut []));
        }
    }

    /// Makes the whole mix of this tick, once for all its recordings.
    pub fn blend(&mut self) {
        let Self { rate_hz, sum, mix, limiter, .. } = self;
        let length = frame_length(*rate_hz);
        limiter.apply(sum.get(..length).unwrap_or(&[]), mix.samples_mut());
    }

    /// What [`Room::blend`] made.
    pub fn mix(&self) -> &[i16] {
        self.mix.samples()
    }

    /// The sum of everyone but the talker of `own`.
    pub fn without(&self, own: &[i16], others: &mut [i32]) {
        for ((other, sum), own) in others.iter_mut().zip(self.sum()).zip(own) {
            *other = sum - i32::from(*own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_hears_all_the_others_exactly_and_not_itself() {
        let mut room = Room::blank();
        let frames: Vec<[i16; 160]> =
            (1..=3_i16).map(|who| std::array::from_fn(|n| (n as i16 - 80) * who * 10)).collect();
        room.clear();
        for frame in &frames {
            room.add(frame);
        }

        for (who, own) in frames.iter().enumerate() {
            let mut heard = [0; 160];
            room.without(own, &mut heard);
            for n in 0..160 {
                let others = frames.iter().enumerate().filter(|(other, _)| *other != who);
                let others: i32 = others.map(|(_, frame)| i32::from(frame[n])).sum();
                assert_eq!(heard[n], others);
            }
        }
        room.blend();
        let mix = room.mix();
        assert!((0..160).all(|n| mix[n] == frames.iter().map(|frame| frame[n]).sum::<i16>()));
    }
}
