//! One sub-band of G.722: adaptive quantiser scale (blocks 3L, 3H) and adaptive predictor (block 4),
//! in the fixed-point arithmetic of ITU-T G.722 §6.2. Both ends run it and stay in step.

/// What the two sub-bands differ in.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Highest logarithmic scale factor.
    log_scale_max: i32,
    /// Shift from the logarithmic table to the scale.
    scale_shift: i32,
    first_scale: i32,
}

pub const LOW: Shape = Shape { log_scale_max: 18_432, scale_shift: 8, first_scale: 32 };
pub const HIGH: Shape = Shape { log_scale_max: 22_528, scale_shift: 10, first_scale: 8 };

/// ILB: powers of two in steps of 1/32.
const INVERSE_LOG: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
    2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

#[derive(Clone, Debug)]
pub struct Band {
    shape: Shape,
    /// Prediction of the next sample (S), and the share of the zeros in it (SZ).
    estimate: i32,
    zero_estimate: i32,
    poles: [i32; 2],
    zeros: [i32; 6],
    /// The last quantised differences, doubled and limited as the zeros' filter wants them.
    differences: [i32; 6],
    /// The last reconstructed samples, doubled and limited.
    reconstructed: [i32; 2],
    /// Signs of the last two partial reconstructions.
    partial_signs: [bool; 2],
    log_scale: i32,
    scale: i32,
}

impl Band {
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            estimate: 0,
            zero_estimate: 0,
            poles: [0; 2],
            zeros: [0; 6],
            differences: [0; 6],
            reconstructed: [0; 2],
            partial_signs: [false; 2],
            log_scale: 0,
            scale: shape.first_scale,
        }
    }

    #[inline]
    pub fn estimate(&self) -> i32 {
        self.estimate
    }

    #[inline]
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// `multiplier` from the inverse quantiser's table, at the present scale.
    #[inline]
    pub fn dequantised(&self, multiplier: i32) -> i32 {
        (self.scale * multiplier) >> 15
    }

    /// After each sample: `difference` as the far end knows it, `log_step` by its code (WL, WH).
    #[inline]
    pub fn adapt(&mut self, difference: i32, log_step: i32) {
        self.rescale(log_step);
        self.predict(difference);
    }

    /// LOGSCL, SCALEL; LOGSCH, SCALEH.
    #[inline]
    fn rescale(&mut self, log_step: i32) {
        let leaked = (self.log_scale * 127) >> 7;
        self.log_scale = (leaked + log_step).clamp(0, self.shape.log_scale_max);
        let fraction = (self.log_scale >> 6) as usize % INVERSE_LOG.len();
        let root = INVERSE_LOG.get(fraction).copied().unwrap_or(0);
        let shift = self.shape.scale_shift - (self.log_scale >> 11);
        // The largest shift up is one place; shifting up first loses nothing.
        self.scale = ((root << 1) >> (shift + 1)) << 2;
    }

    #[inline]
    fn predict(&mut self, difference: i32) {
        // RECONS, PARREC
        let sample = limited(self.estimate + difference);
        let partial = limited(self.zero_estimate + difference) < 0;
        self.move_poles(partial);
        self.move_zeros(difference);
        // DELAYA
        self.partial_signs = [partial, self.partial_signs[0]];
        let [newest, ..] = self.reconstructed;
        self.reconstructed = [limited(sample << 1), newest];
        let [a, b, c, d, e, _] = self.differences;
        self.differences = [limited(difference << 1), a, b, c, d, e];
        // FILTEP, FILTEZ, PREDIC
        let pole_estimate = limited(weighed(&self.poles, &self.reconstructed));
        self.zero_estimate = limited(weighed(&self.zeros, &self.differences));
        self.estimate = limited(pole_estimate + self.zero_estimate);
    }

    /// UPPOL2, UPPOL1
    #[inline]
    fn move_poles(&mut self, partial: bool) {
        let [one_ago, two_ago] = self.partial_signs;
        let [first, second] = self.poles;
        let turned = limited(first << 2);
        let turned = if partial == one_ago { (-turned).min(32_767) } else { turned };
        let step = if partial == two_ago { 128 } else { -128 };
        let leaked = (second * 32_512) >> 15;
        let second = ((turned >> 7) + step + leaked).clamp(-12_288, 12_288);

        let step = if partial == one_ago { 192 } else { -192 };
        let bound = 15_360 - second;
        let first = limited(step + ((first * 32_640) >> 15)).clamp(-bound, bound);
        self.poles = [first, second];
    }

    /// UPZERO
    #[inline]
    fn move_zeros(&mut self, difference: i32) {
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, past) in self.zeros.iter_mut().zip(&self.differences) {
            // -1 where the signs differ, 0 where they agree.
            let sign = (past ^ difference) >> 31;
            *zero = limited(((step ^ sign) - sign) + ((*zero * 32_640) >> 15));
        }
    }
}

#[inline]
fn weighed<const N: usize>(weights: &[i32; N], past: &[i32; N]) -> i32 {
    weights.iter().zip(past).map(|(weight, value)| (weight * value) >> 15).sum()
}

/// Within 16 bits.
#[inline]
pub fn limited(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}
