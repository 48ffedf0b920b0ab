//! Whether a target lives, from what it answers to OPTIONS.

/// Answers in a row that make a living target dead, and a dead one live again.
const FAILURES: u32 = 2;
const SUCCESSES: u32 = 2;

/// A target as it was last told of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health {
    is_up: Option<bool>,
    /// Answers in a row that say otherwise.
    contrary: u32,
}

impl Health {
    /// `status` 0: no answer. The new state when it changed; the first answer always tells.
    pub fn on_answer(&mut self, status: u16) -> Option<bool> {
        let is_alive = is_alive(status);
        let Some(is_up) = self.is_up else {
            self.is_up = Some(is_alive);
            return self.is_up;
        };
        if is_up == is_alive {
            self.contrary = 0;
            return None;
        }
        self.contrary += 1;
        if self.contrary < if is_up { FAILURES } else { SUCCESSES } {
            return None;
        }
        *self = Self { is_up: Some(is_alive), contrary: 0 };
        self.is_up
    }

    /// The last answer contradicts what was told: it is worth asking again soon.
    pub fn is_in_doubt(&self) -> bool {
        self.contrary > 0
    }
}

/// Who refuses an OPTIONS is there (404, 405, 501 are usual); who cannot serve is not.
fn is_alive(status: u16) -> bool {
    !matches!(status, 0 | 408 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lost_answer_changes_nothing() {
        let (up, down, same) = (Some(true), Some(false), None);
        let cases: [(&[u16], &[Option<bool>]); 4] = [
            (&[200, 0, 200, 0, 0, 0], &[up, same, same, same, down, same]),
            (&[0, 200, 0, 200, 404, 200], &[down, same, same, same, up, same]),
            (&[503, 405, 501], &[down, same, up]),
            (&[403, 500, 408], &[up, same, down]),
        ];
        for (statuses, expected) in cases {
            let mut health = Health::default();
            let told: Vec<_> = statuses.iter().map(|&status| health.on_answer(status)).collect();
            assert_eq!(told, expected, "{statuses:?}");
        }
    }

    #[test]
    fn a_contradiction_is_in_doubt() {
        let mut health = Health::default();
        let doubts = [200, 0, 0, 200, 200].map(|status| {
            health.on_answer(status);
            health.is_in_doubt()
        });
        assert_eq!(doubts, [false, true, false, true, false]);
    }
}
