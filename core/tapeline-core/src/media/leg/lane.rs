//! Between a leg and a room of another rate. Made off the tick; [`Lane::open`] allocates nothing.

use crate::media::codec::Rate;
use crate::media::frame::Frame;
use crate::media::resample::Resampler;

pub struct Lane {
    /// From the leg to the room, and back.
    up: Resampler,
    down: Resampler,
    /// What the leg says in this tick, at the room's rate.
    said: Frame,
    /// Ticks in a row without a sound.
    silent_ticks: u8,
}

impl Lane {
    pub fn blank() -> Box<Self> {
        let same = Resampler::new(Rate::Narrow, Rate::Narrow);
        let said = Frame::silence(Rate::Full.hz());
        Box::new(Self { up: same.clone(), down: same, said, silent_ticks: 0 })
    }

    /// Begins anew, with silence before.
    pub fn open(&mut self, leg: Rate, room: Rate) {
        self.up = Resampler::new(leg, room);
        self.down = Resampler::new(room, leg);
        self.said.set_rate(room.hz());
        self.said.silence_it();
        self.silent_ticks = 0;
    }

    pub fn room_rate(&self) -> Rate {
        self.up.to()
    }

    /// One tick of the leg; silence costs nothing once the filter has run out.
    pub fn speak(&mut self, rx: &[i16], is_silent: bool) {
        self.silent_ticks = if is_silent { self.silent_ticks.saturating_add(1) } else { 0 };
        match self.silent_ticks {
            0 | 1 => self.up.process(rx, self.said.samples_mut()),
            2 => {
                self.up.reset();
                self.said.silence_it();
            }
            _ => {}
        }
    }

    pub fn said(&self) -> &[i16] {
        self.said.samples()
    }

    /// One tick of the room.
    pub fn hear(&mut self, mixed: &[i16], heard: &mut [i16]) {
        self.down.process(mixed, heard);
    }

    /// Goes on hearing where `other` is, which has the same rates.
    pub fn hear_on_from(&mut self, other: &Resampler) {
        self.down.clone_from(other);
    }
}
