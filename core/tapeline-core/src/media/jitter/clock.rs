//! The RTP clock of a stream beside the rate of its samples: they differ for G.722 and Opus. Pure.

use crate::media::frame::TICKS_PER_SECOND;

/// Converts between units of the RTP clock, samples and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    hz: u32,
    rate_hz: u32,
    /// Nanoseconds of a unit: `ns_numerator / ns_denominator`, in lowest terms so that no span of a
    /// call overflows.
    ns_numerator: i64,
    ns_denominator: i64,
}

impl Clock {
    /// `hz` units a second, of a signal decoded at `rate_hz`. Neither is 0.
    pub fn new(hz: u32, rate_hz: u32) -> Self {
        let divisor = gcd(1_000_000_000, i64::from(hz));
        Self {
            hz,
            rate_hz,
            ns_numerator: 1_000_000_000 / divisor,
            ns_denominator: (i64::from(hz) / divisor).max(1),
        }
    }

    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    pub fn span_ns(&self, units: i64) -> i64 {
        units * self.ns_numerator / self.ns_denominator
    }

    /// Whole units in a span.
    pub fn units_in(&self, span_ns: i64) -> i64 {
        (span_ns * self.ns_denominator).div_euclid(self.ns_numerator)
    }

    /// Units of a tick.
    pub fn tick(&self) -> i64 {
        i64::from(self.hz / TICKS_PER_SECOND)
    }

    /// Whole samples in so many units.
    pub fn samples_in(&self, units: i64) -> usize {
        if self.hz == self.rate_hz {
            return units.max(0) as usize;
        }
        (units.max(0) as u64 * u64::from(self.rate_hz) / u64::from(self.hz)) as usize
    }

    /// Whole units in so many samples.
    pub fn units_of(&self, samples: usize) -> i64 {
        if self.hz == self.rate_hz {
            return samples as i64;
        }
        (samples as u64 * u64::from(self.hz) / u64::from(self.rate_hz)) as i64
    }
}

/// Greatest common divisor; 1 for two zeros.
pub fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_samples_and_spans_agree() {
        // G.711, G.722, Opus at three rates.
        let pairs =
            [(8_000, 8_000), (8_000, 16_000), (48_000, 8_000), (48_000, 16_000), (48_000, 48_000)];
        for (hz, rate_hz) in pairs {
            let clock = Clock::new(hz, rate_hz);
            assert_eq!(clock.span_ns(clock.tick()), 20_000_000);
            assert_eq!(clock.units_in(20_000_000), clock.tick());
            assert_eq!(clock.units_in(-1), -1);
            let samples = clock.samples_in(clock.tick());
            assert_eq!(samples as u32, rate_hz / 50);
            assert_eq!(clock.units_of(samples), clock.tick());
            // Ten years, which a product of units and 10^9 would not hold.
            let long = i64::from(hz) * 315_360_000;
            assert_eq!(clock.span_ns(long), 315_360_000_000_000_000);
            assert_eq!(clock.units_in(clock.span_ns(long)), long);
        }
    }
}
