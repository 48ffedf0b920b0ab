//! What comes next in a file: pure, from the samples that wait and the marks that came.
//!
//! A mark belongs to a position, and the tick pushes the samples before a mark before the mark. The
//! mark of an overflow comes late (when the ring has room again) and belongs further back than facts
//! that were noted meanwhile, so marks are kept sorted by position.

use std::collections::VecDeque;

use crate::boundary::event::FinishReason;
use crate::record::tap::{Mark, MarkKind};

/// Why a span of the recording is silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The writer could not keep up.
    Overflow,
    SkippedTicks,
}

impl Gap {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::SkippedTicks => "skipped_ticks",
        }
    }
}

/// Counts are samples of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take so many from the ring.
    Audio(u64),
    Silence(u64),
    /// A gap begins here; its silence follows.
    GapBegins {
        gap: Gap,
        samples: u64,
    },
    /// Anything else for the journal.
    Fact(Mark),
    /// Silence behind `keep` is to be cut off.
    End {
        reason: FinishReason,
        keep: u64,
    },
}

/// Facts that wait for their position; more are dropped and counted.
const FACT_LIMIT: usize = 4_096;

#[derive(Debug, Default)]
pub struct Timeline {
    position: u64,
    marks: VecDeque<Mark>,
    silence: u64,
    dropped_facts: u64,
}

impl Timeline {
    /// Samples of one channel laid out so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn add(&mut self, mark: Mark) {
        if is_droppable(mark.kind) && self.marks.len() >= FACT_LIMIT {
            self.dropped_facts += 1;
            return;
        }
        let later = self.marks.iter().rev().take_while(|other| other.position > mark.position);
        let place = self.marks.len() - later.count();
        self.marks.insert(place, mark);
    }

    /// Facts that found no room since the last call.
    pub fn take_dropped_facts(&mut self) -> u64 {
        std::mem::take(&mut self.dropped_facts)
    }

    /// The end is known: no sample comes any more.
    pub fn is_ending(&self) -> bool {
        self.marks.back().is_some_and(|mark| matches!(mark.kind, MarkKind::Finished { .. }))
    }

    /// What to do next when `available` samples wait and at most `most` shall be handled in one step.
    /// `None`: nothing before more arrives.
    pub fn next(&mut self, available: u64, most: u64) -> Option<Step> {
        if self.silence > 0 {
            let samples = self.silence.min(most);
            self.silence -= samples;
            self.position += samples;
            return Some(Step::Silence(samples));
        }
        let next = self.marks.front().copied();
        if let Some(mark) = next.filter(|mark| mark.position <= self.position) {
            self.marks.pop_front();
            if let MarkKind::PausedTicks { samples } = mark.kind {
                self.silence = samples;
                return self.next(available, most);
            }
            return Some(self.apply(mark));
        }
        let until_mark = next.map_or(u64::MAX, |mark| mark.position - self.position);
        let samples = available.min(until_mark).min(most);
        if samples > 0 {
            self.position += samples;
            return Some(Step::Audio(samples));
        }
        // The end lies further on than the samples reach, and nobody said why: they were lost.
        (self.is_ending() && available == 0).then(|| self.gap(Gap::Overflow, until_mark))
    }

    fn apply(&mut self, mark: Mark) -> Step {
        match mark.kind {
            MarkKind::Overflow { samples } => self.gap(Gap::Overflow, samples),
            MarkKind::SkippedTicks { samples } => self.gap(Gap::SkippedTicks, samples),
            MarkKind::Finished { reason, keep } => Step::End { reason, keep },
            _ => Step::Fact(mark),
        }
    }

    fn gap(&mut self, gap: Gap, samples: u64) -> Step {
        self.silence = samples;
        Step::GapBegins { gap, samples }
    }
}

/// Facts that a flood of them may cost; the others are few, and the truth of the timeline.
fn is_droppable(kind: MarkKind) -> bool {
    matches!(
        kind,
        MarkKind::Joined { .. }
            | MarkKind::Left { .. }
            | MarkKind::BufferDelay { .. }
            | MarkKind::Concealed { .. }
            | MarkKind::Sound { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::handle::{Handle, LegHandle};

    const LEG: LegHandle = LegHandle(Handle { slot: 1, generation: 1 });

    fn mark(position: u64, kind: MarkKind) -> Mark {
        Mark { position, kind }
    }

    fn run(timeline: &mut Timeline, mut available: u64, most: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some(step) = timeline.next(available, most) {
            if let Step::Audio(samples) = step {
                available -= samples;
            }
            steps.push(step);
            if matches!(step, Step::End { .. }) {
                break;
            }
        }
        steps
    }

    #[test]
    fn gaps_stand_where_they_happened_and_have_their_length() {
        let mut timeline = Timeline::default();
        timeline.add(mark(320, MarkKind::SkippedTicks { samples: 480 }));
        timeline.add(mark(960, MarkKind::Overflow { samples: 160 }));
        let end = MarkKind::Finished { reason: FinishReason::Command, keep: 1100 };
        timeline.add(mark(1280, end));

        let steps = run(&mut timeline, 640, 400);

        use Step::{Audio, End, GapBegins, Silence};
        let expected = [
            Audio(320),
            GapBegins { gap: Gap::SkippedTicks, samples: 480 },
            Silence(400),
            Silence(80),
            Audio(160),
            GapBegins { gap: Gap::Overflow, samples: 160 },
            Silence(160),
            Audio(160),
            End { reason: FinishReason::Command, keep: 1100 },
        ];
        assert_eq!(steps, expected);
        assert_eq!(timeline.position(), 1280);
    }

    #[test]
    fn a_late_overflow_goes_before_the_facts_noted_meanwhile() {
        let joined = mark(1000, MarkKind::Joined { leg: LEG, delay_ms: 40 });
        let mut timeline = Timeline::default();
        timeline.add(joined);
        assert_eq!(run(&mut timeline, 800, 9999), [Step::Audio(800)]);

        timeline.add(mark(800, MarkKind::Overflow { samples: 320 }));

        let gap = Step::GapBegins { gap: Gap::Overflow, samples: 320 };
        assert_eq!(
            run(&mut timeline, 0, 9999),
            [gap, Step::Silence(320), Step::Fact(joined)],
            "the fact fell into the gap: it follows at once"
        );
    }

    #[test]
    fn samples_lost_without_a_mark_are_silence_before_the_end() {
        let left = mark(400, MarkKind::Left { leg: LEG });
        let mut timeline = Timeline::default();
        timeline.add(left);
        let reason = FinishReason::RoomClosed;
        timeline.add(mark(500, MarkKind::Finished { reason, keep: 500 }));

        let steps = run(&mut timeline, 300, 9999);

        use Step::{Audio, End, Fact, Silence};
        let gap = Step::GapBegins { gap: Gap::Overflow, samples: 100 };
        let end = End { reason, keep: 500 };
        assert_eq!(steps, [Audio(300), gap, Silence(100), Fact(left), gap, Silence(100), end]);
    }

    #[test]
    fn facts_beyond_the_limit_are_counted_not_kept() {
        let mut timeline = Timeline::default();
        for _ in 0..FACT_LIMIT + 7 {
            timeline.add(mark(10, MarkKind::Left { leg: LEG }));
        }
        timeline.add(mark(10, MarkKind::SkippedTicks { samples: 5 }));
        assert_eq!(timeline.take_dropped_facts(), 7);
        assert_eq!(timeline.marks.len(), FACT_LIMIT + 1);
    }
}
