//! Twenty milliseconds of linear audio.

/// Length of a tick.
pub const TICK_MS: u32 = 20;
pub const TICK_NS: u64 = 20_000_000;
pub const TICKS_PER_SECOND: u32 = 1_000 / TICK_MS;
/// A tick at 48 kHz, the highest rate a room will have.
pub const FRAME_MAX: usize = 960;

/// Samples of one tick at `rate_hz`, at most [`FRAME_MAX`].
pub const fn frame_length(rate_hz: u32) -> usize {
    let length = (rate_hz / TICKS_PER_SECOND) as usize;
    match length {
        0 => 1,
        1..=FRAME_MAX => length,
        _ => FRAME_MAX,
    }
}

/// The samples of one tick. Made off the tick, for the highest rate that it will have.
pub struct Frame {
    length: usize,
    samples: Box<[i16]>,
}

impl Frame {
    /// Silence of one tick at `rate_hz`; allocates.
    pub fn silence(rate_hz: u32) -> Self {
        let length = frame_length(rate_hz);
        Self { length, samples: vec![0; length].into_boxed_slice() }
    }

    pub fn samples(&self) -> &[i16] {
        self.samples.get(..self.length).unwrap_or(&[])
    }

    pub fn samples_mut(&mut self) -> &mut [i16] {
        self.samples.get_mut(..self.length).unwrap_or(&mut [])
    }

    /// At most the rate that it was made for.
    pub fn set_rate(&mut self, rate_hz: u32) {
        self.length = frame_length(rate_hz).min(self.samples.len());
    }

    pub fn silence_it(&mut self) {
        self.samples_mut().fill(0);
    }
}

/// Sum of squares, from which level and silence follow.
pub fn energy(samples: &[i16]) -> u64 {
    samples.iter().map(|sample| (i64::from(*sample) * i64::from(*sample)) as u64).sum()
}

/// True below `threshold_cdb` hundredths of dBov (a full-scale square wave is 0).
pub fn is_below(energy: u64, samples: usize, threshold: f32) -> bool {
    (energy as f32) < threshold * samples as f32
}

/// Mean square at -45 dBov: what counts as talking above, as silence below.
pub const MEAN_SQUARE_45: f32 = 33_954.0;
