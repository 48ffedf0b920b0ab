//! Comfort noise (RFC 3389): a payload says how loud and of what colour the background is, and noise
//! like it stands in for the packets that a sender spares.

/// Orders beyond it are cut; senders use ten or fewer.
const ORDER_MAX: usize = 12;
/// Keeps the filter stable, whatever the payload says.
const REFLECTION_MAX: f32 = 0.98;
/// No background is coloured more strongly (33 dB), and single precision still carries it.
const EXCITATION_MIN: f32 = 5e-4;
/// Root mean square of 0 dBov, a square wave of full scale.
const FULL_SCALE: f32 = 32_767.0;

/// One stream's background. Pure but for its own random numbers; allocates nothing.
#[derive(Clone, Debug)]
pub struct ComfortNoise {
    random: u32,
    /// Of the white noise that excites the filter; `target` is where the next stretch ends.
    amplitude: f32,
    target: f32,
    reflections: [f32; ORDER_MAX],
    /// The lattice's backward errors, one sample ago.
    backward: [f32; ORDER_MAX],
    is_known: bool,
}

impl ComfortNoise {
    /// Silence, until a payload says what it shall be.
    pub fn new() -> Self {
        Self {
            random: 0x9e37_79b9,
            amplitude: 0.0,
            target: 0.0,
            reflections: [0.0; ORDER_MAX],
            backward: [0.0; ORDER_MAX],
            is_known: false,
        }
    }

    /// A payload of type CN: the level in -dBov, then reflection coefficients of an all-pole filter,
    /// none for white noise (RFC 3389 §3). An empty one says nothing.
    pub fn update(&mut self, payload: &[u8]) {
        let Some((level, colour)) = payload.split_first() else { return };
        let mut excitation = 1.0;
        let mut reflections = [0.0; ORDER_MAX];
        for (place, byte) in reflections.iter_mut().zip(colour) {
            let reflection = 258.0 * (f32::from(*byte) - 127.0) / 32_768.0;
            let reflection = reflection.clamp(-REFLECTION_MAX, REFLECTION_MAX);
            // The filter makes white noise louder by the inverse of this.
            let quieter = excitation * (1.0 - reflection * reflection);
            if quieter < EXCITATION_MIN {
                break;
            }
            (*place, excitation) = (reflection, quieter);
        }
        if reflections != self.reflections {
            self.reflections = reflections;
            // What is in it belongs to the former filter and might be a blow to this one.
            self.backward = [0.0; ORDER_MAX];
        }
        let rms = FULL_SCALE * 10_f32.powf(-f32::from(level & 0x7f) / 20.0);
        // Evenly distributed numbers have a third of their range's square as their mean square.
        self.target = rms * (3.0 * excitation).sqrt();
        if !self.is_known {
            self.amplitude = self.target;
            self.is_known = true;
        }
    }

    /// The next stretch of it, at any rate; what an update changed is reached at its end.
    pub fn fill(&mut self, out: &mut [i16]) {
        let step = (self.target - self.amplitude) / out.len().max(1) as f32;
        for sample in out.iter_mut() {
            self.amplitude += step;
            let excited = self.white() * self.amplitude;
            *sample = self.coloured(excited) as i16;
        }
        self.amplitude = self.target;
    }

    /// The stream that this was the background of has ended.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Between -1 and 1 (xorshift32).
    fn white(&mut self) -> f32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random as i32 as f32 / 2_147_483_648.0
    }

    /// The all-pole lattice: from the highest order's forward error down to the sample.
    fn coloured(&mut self, excited: f32) -> f32 {
        let mut forward = excited;
        let mut above: Option<&mut f32> = None;
        for (reflection, backward) in self.reflections.iter().zip(&mut self.backward).rev() {
            forward -= reflection * *backward;
            if let Some(above) = above {
                *above = *backward + reflection * forward;
            }
            above = Some(backward);
        }
        if let Some(lowest) = above {
            *lowest = forward;
        }
        forward
    }
}

impl Default for ComfortNoise {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(payload: &[u8]) -> Vec<i16> {
        let mut noise = ComfortNoise::new();
        noise.update(payload);
        let mut out = vec![0; 80_000];
        out.chunks_mut(160).for_each(|tick| noise.fill(tick));
        out
    }

    fn dbov(samples: &[i16]) -> f64 {
        let sum: f64 = samples.iter().map(|it| f64::from(*it).powi(2)).sum();
        10.0 * (sum / samples.len() as f64 / 32_767.0_f64.powi(2)).log10()
    }

    /// How alike neighbouring samples are: above 0 the low frequencies prevail.
    fn likeness(samples: &[i16]) -> f64 {
        let pairs = samples.windows(2).map(|pair| f64::from(pair[0]) * f64::from(pair[1]));
        let squares = samples.iter().map(|it| f64::from(*it).powi(2));
        pairs.sum::<f64>() / squares.sum::<f64>()
    }

    #[test]
    fn noise_has_the_level_of_its_payload() {
        for level in [10, 30, 45, 60, 70] {
            for colour in [&[][..], &[90], &[40, 180, 120], &[127; 10]] {
                let payload = [&[level][..], colour].concat();
                let heard = dbov(&filled(&payload));
                let error = (heard + f64::from(level)).abs();
                assert!(error < 0.7, "{payload:?}: {heard:.2} dBov");
            }
        }
    }

    #[test]
    fn the_first_reflection_is_the_colour() {
        // k1 is the negative of neighbouring samples' correlation.
        for (byte, expected) in [(127, 0.0), (27, 0.787), (227, -0.787)] {
            let heard = likeness(&filled(&[40, byte]));
            assert!((heard - expected).abs() < 0.03, "{byte}: {heard}");
        }
    }

    #[test]
    fn changes_glide_and_nothing_known_is_silence() {
        let mut noise = ComfortNoise::new();
        let mut out = [1; 320];
        noise.fill(&mut out);
        assert_eq!(out, [0; 320]);
        noise.update(&[]);
        noise.update(&[30]);
        noise.fill(&mut out);
        noise.update(&[70]);
        noise.fill(&mut out);
        let (start, end) = (dbov(&out[..40]), dbov(&out[300..]));
        assert!(start > -36.0 && end < -50.0, "{start} {end}");
        noise.fill(&mut out);
        assert!((dbov(&out) + 70.0).abs() < 1.5);
        noise.reset();
        noise.fill(&mut out);
        assert_eq!(out, [0; 320]);
    }

    #[test]
    fn no_payload_makes_it_run_away() {
        let mut noise = ComfortNoise::new();
        for byte in 0..=255 {
            for length in [1, 2, 5, 13, 40] {
                noise.update(&vec![byte; length]);
                noise.fill(&mut [0; 160]);
                assert!(noise.backward.iter().all(|it| it.abs() < 1e7), "{byte} {length}");
            }
        }
        noise.update(&[70]);
        let mut out = [0; 1_600];
        (0..4).for_each(|_| noise.fill(&mut out));
        assert!((dbov(&out) + 70.0).abs() < 1.5);
    }
}
