//! A playback's ring: the player fills it, the tick empties it, neither waits for the other.

use std::sync::{Arc, OnceLock, Weak};

use crate::boundary::handle::PlaybackHandle;
use crate::media::codec::Rate;
use crate::play::PlaySpec;
use crate::record::spec::Target;

/// The player looks ten times a second and may be held up by a disk: 2 s.
fn ring_length(rate: Rate) -> usize {
    2 * rate.hz() as usize
}

/// Decoded before the first sample is heard: 200 ms.
fn head_start(rate: Rate) -> usize {
    rate.hz() as usize / 5
}

const GONE: &str = "the player is gone";

/// Why nothing more comes: the file is through, or this is what is wrong with it.
pub type FeedEnd = Result<(), &'static str>;

/// The tick's end.
pub struct Playback {
    pub playback: PlaybackHandle,
    pub target: Target,
    pub is_instead: bool,
    rate: Rate,
    samples: rtrb::Consumer<i16>,
    end: Arc<OnceLock<FeedEnd>>,
    has_begun: bool,
    /// Held for as long as somebody may hear it.
    alive: Arc<()>,
}

/// The player's end.
pub struct Feed {
    rate: Rate,
    samples: rtrb::Producer<i16>,
    end: Arc<OnceLock<FeedEnd>>,
}

/// What a tick got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// It sounds: the head start is over.
    pub has_begun: bool,
    /// Silence stands where the player was late.
    pub is_underrun: bool,
    /// This was the last tick.
    pub end: Option<FeedEnd>,
}

/// Both ends; made off the tick.
pub fn feed(playback: PlaybackHandle, spec: &PlaySpec, rate: Rate) -> (Playback, Feed) {
    let (producer, consumer) = rtrb::RingBuffer::new(ring_length(rate));
    let (end, alive) = (Arc::new(OnceLock::new()), Arc::new(()));
    let tick = Playback {
        playback,
        target: spec.target,
        is_instead: spec.is_instead,
        rate,
        samples: consumer,
        end: end.clone(),
        has_begun: false,
        alive,
    };
    (tick, Feed { rate, samples: producer, end })
}

impl Playback {
    /// Loses its strong count when nobody hears the playback any more.
    pub fn alive(&self) -> Weak<()> {
        Arc::downgrade(&self.alive)
    }

    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// The next tick of it at its own rate, silence where there is none.
    pub fn pull(&mut self, frame: &mut [i16]) -> Pulled {
        // In this order: what was pushed before the end was told is seen when the end is, and the end
        // when the player has let go.
        let is_gone = self.samples.is_abandoned();
        let end = self.end.get().copied().or_else(|| is_gone.then_some(Err(GONE)));
        let available = self.samples.slots();
        if !self.has_begun && end.is_none() && available < head_start(self.rate) {
            frame.fill(0);
            return Pulled::default();
        }
        self.has_begun = true;
        let (taken, rest) = frame.split_at_mut(available.min(frame.len()));
        if let Ok(chunk) = self.samples.read_chunk(taken.len()) {
            let (first, second) = chunk.as_slices();
            for (place, sample) in taken.iter_mut().zip(first.iter().chain(second)) {
                *place = *sample;
            }
            chunk.commit_all();
        }
        rest.fill(0);
        let is_underrun = !rest.is_empty() && end.is_none();
        let end = end.filter(|_| self.samples.slots() == 0);
        Pulled { has_begun: true, is_underrun, end }
    }
}

impl Feed {
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Samples that there is room for.
    pub fn room(&self) -> usize {
        self.samples.slots()
    }

    /// Nobody hears it any more.
    pub fn is_abandoned(&self) -> bool {
        self.samples.is_abandoned()
    }

    /// As many as there is room for, how many.
    pub fn push(&mut self, samples: &[i16]) -> usize {
        let count = samples.len().min(self.samples.slots());
        if let Ok(mut chunk) = self.samples.write_chunk(count) {
            let (first, second) = chunk.as_mut_slices();
            for (place, sample) in first.iter_mut().chain(second).zip(samples) {
                *place = *sample;
            }
            chunk.commit_all();
        }
        count
    }

    /// The first word counts.
    pub fn end(&mut self, end: FeedEnd) {
        let _ = self.end.set(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::handle::LegHandle;
    use crate::play::PlaySource;

    fn pair() -> (Playback, Feed) {
        let target = Target::Leg(LegHandle::from_u64(1));
        let spec = PlaySpec::new(PlaySource::File("a.wav".into()), target);
        feed(PlaybackHandle::from_u64(1), &spec, Rate::Narrow)
    }

    #[test]
    fn a_playback_begins_with_a_head_start_and_ends_with_its_last_sample() {
        let (mut playback, mut feed) = pair();
        let mut frame = [1; 160];
        assert_eq!(feed.push(&[5; 1_599]), 1_599);
        assert_eq!(playback.pull(&mut frame), Pulled::default());
        assert_eq!(frame, [0; 160]);

        feed.push(&[5; 101]);
        feed.end(Ok(()));
        let pulled: Vec<Pulled> = (0..11).map(|_| playback.pull(&mut frame)).collect();
        let heard = Pulled { has_begun: true, ..Pulled::default() };
        assert_eq!(pulled[..10], [heard; 10]);
        assert_eq!(pulled[10], Pulled { end: Some(Ok(())), ..heard });
        assert_eq!((frame[99], frame[100]), (5, 0));
    }

    #[test]
    fn a_late_player_is_silence_that_is_counted() {
        let (mut playback, mut feed) = pair();
        let mut frame = [1; 160];
        feed.push(&[5; 1_600]);
        let underruns = (0..12).filter(|_| playback.pull(&mut frame).is_underrun).count();
        assert_eq!((underruns, frame), (2, [0; 160]));
        feed.push(&[6; 160]);
        assert!(!playback.pull(&mut frame).is_underrun);
        assert_eq!(frame, [6; 160]);
        feed.end(Err("no good"));
        assert_eq!(playback.pull(&mut frame).end, Some(Err("no good")));
    }

    #[test]
    fn a_full_ring_takes_no_more_and_a_dropped_one_says_so() {
        let (playback, mut feed) = pair();
        assert_eq!(feed.push(&[1; 20_000]), 16_000);
        assert_eq!((feed.room(), feed.push(&[1; 10])), (0, 0));
        drop(playback);
        assert!(feed.is_abandoned());

        let (mut playback, feed) = pair();
        drop(feed);
        assert_eq!(playback.pull(&mut [0; 160]).end, Some(Err(GONE)));
    }
}
