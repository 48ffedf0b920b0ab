//! An estimated MOS out of delay and loss: the E-model of ITU-T G.107 with its default values, where
//! only these two differ from call to call. Pure.
//!
//! `R = 93.2 - Id - Ie,eff`; `Id = 0.024 d + 0.11 (d - 177.3)` beyond 177.3 ms (the usual straight
//! lines for G.107 §7.4); `Ie,eff = Ie + (95 - Ie) Ppl / (Ppl + Bpl)` (G.107 §7.5, random loss). `Ie` 0
//! and `Bpl` 25.1 are G.711's with concealment (G.113, appendix I). The wideband codecs count as G.711
//! does: this scale has no place above it.

const BEST: f32 = 93.2;
const LOSS_ROBUSTNESS: f32 = 25.1;
/// From so long on a conversation suffers noticeably.
const LONG_MS: f32 = 177.3;

/// The rating R, from 0 to 93.2.
fn rating(one_way_ms: f32, loss_percent: f32) -> f32 {
    let late_ms = (one_way_ms - LONG_MS).max(0.0);
    let delay = 0.024 * one_way_ms + 0.11 * late_ms;
    let loss = 95.0 * loss_percent / (loss_percent + LOSS_ROBUSTNESS);
    (BEST - delay - loss).max(0.0)
}

/// Hundredths of a MOS, 100 to 441 (G.107 annex B). `loss_percent`: what had to be concealed.
pub fn mos_x100(one_way_ms: f32, loss_percent: f32) -> u32 {
    let r = rating(one_way_ms.max(0.0), loss_percent.clamp(0.0, 100.0));
    let mos = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
    (mos.clamp(1.0, 4.5) * 100.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_call_is_good_and_a_bad_one_is_not() {
        // Delay in milliseconds, loss in per cent, the MOS that the formula gives by hand.
        let cases = [
            (0.0, 0.0, 441), // G.107: 4.41 at R = 93.2
            (150.0, 0.0, 433),
            (400.0, 0.0, 305),
            (20.0, 1.0, 432),
            (20.0, 5.0, 390),
            (20.0, 20.0, 261),
            (0.0, 100.0, 118),
        ];
        for (delay, loss, expected) in cases {
            let mos = mos_x100(delay, loss);
            assert!(mos.abs_diff(expected) <= 1, "{delay} ms, {loss} %: {mos}, not {expected}");
        }
    }

    #[test]
    fn more_delay_and_more_loss_never_help() {
        for loss in 0..100_u8 {
            for delay in (0..1_000_u16).step_by(50) {
                let (delay, loss) = (f32::from(delay), f32::from(loss));
                assert!(mos_x100(delay + 50.0, loss) <= mos_x100(delay, loss));
                assert!(mos_x100(delay, loss + 1.0) <= mos_x100(delay, loss));
            }
        }
    }
}
