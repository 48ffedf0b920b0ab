//! What a playback gives its ring: a source as often as it shall be heard, at the playback's rate.

use crate::media::codec::Rate;
use crate::play::resample::Resampler;
use crate::play::source::{Fault, Origin, Source};

/// Of one pass; a stream may be without end.
const SECONDS_LIMIT: u64 = 2 * 3_600;

/// Samples made at once: a quarter of a second.
pub fn slice_length(rate: Rate) -> usize {
    rate.hz() as usize / 4
}

/// A source's audio as often as it shall be heard.
pub struct Program {
    origin: Origin,
    rate: Rate,
    /// Multiplies each sample; at most 1.
    gain: f32,
    /// Passes that have not begun; `None`: no end of them.
    passes_left: Option<u32>,
    pass: Option<Pass>,
    fault: Option<Fault>,
    /// Made but not taken yet.
    ready: Vec<i16>,
    mono: Vec<f32>,
    resampled: Vec<f32>,
}

struct Pass {
    source: Source,
    resampler: Option<Resampler>,
    /// Samples of the source so far.
    heard: u64,
}

impl Program {
    /// `loops` 0: without end. `level_cdb`: hundredths of dB, at most 0.
    pub fn new(origin: Origin, loops: u32, rate: Rate, level_cdb: i16) -> Self {
        Self {
            origin,
            rate,
            gain: 10.0_f32.powf(f32::from(level_cdb.min(0)) / 2_000.0),
            passes_left: (loops > 0).then_some(loops),
            pass: None,
            fault: None,
            ready: Vec::new(),
            mono: Vec::new(),
            resampled: Vec::new(),
        }
    }

    /// What comes next, at most a quarter of a second; the error is the end, good or bad.
    pub fn slice(&mut self) -> Result<&[i16], Result<(), Fault>> {
        let slice = slice_length(self.rate);
        while self.ready.len() < slice {
            match self.make_more() {
                Ok(true) => {}
                Ok(false) if self.ready.is_empty() => return Err(Ok(())),
                Ok(false) => break,
                Err(fault) if self.ready.is_empty() => return Err(Err(fault)),
                // What could be decoded before the fault is heard first.
                Err(fault) => {
                    self.fault = Some(fault);
                    break;
                }
            }
        }
        Ok(self.ready.get(..slice.min(self.ready.len())).unwrap_or(&[]))
    }

    pub fn taken(&mut self, samples: usize) {
        self.ready.drain(..samples.min(self.ready.len()));
    }

    /// False when all passes are over.
    fn make_more(&mut self) -> Result<bool, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let Some(pass) = &mut self.pass else { return self.begin_pass() };
        self.mono.clear();
        self.resampled.clear();
        let has_more = pass.source.read(&mut self.mono)?;
        pass.heard += self.mono.len() as u64;
        let is_too_long = !matches!(self.origin, Origin::Stream(..))
            && pass.heard > SECONDS_LIMIT * u64::from(pass.source.rate_hz());
        if is_too_long {
            return Err(Fault("the file is longer than two hours"));
        }
        let samples = match &mut pass.resampler {
            None => &self.mono,
            Some(resampler) => {
                resampler.process(&self.mono, &mut self.resampled);
                if !has_more {
                    resampler.finish(&mut self.resampled);
                }
                &self.resampled
            }
        };
        let scale = 32_768.0 * self.gain;
        self.ready.extend(samples.iter().map(|it| (it * scale).round() as i16));
        if !has_more {
            if pass.heard == 0 {
                return Err(Fault("the file holds no audio"));
            }
            // A file of a few samples that is repeated shall not be opened thousands of times a second.
            let missing = (self.rate.frame() as u64).saturating_sub(pass.heard);
            self.ready.extend(std::iter::repeat_n(0, missing as usize));
            self.pass = None;
        }
        Ok(true)
    }

    fn begin_pass(&mut self) -> Result<bool, Fault> {
        match &mut self.passes_left {
            Some(0) => return Ok(false),
            Some(passes) => *passes -= 1,
            None => {}
        }
        let source = self.origin.open(self.rate)?;
        let resampler = Resampler::new(source.rate_hz(), self.rate.hz());
        self.pass = Some(Pass { source, resampler, heard: 0 });
        Ok(true)
    }
}
