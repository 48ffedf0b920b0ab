//! What becomes of recordings between ticks: they are armed, paused, resumed and stopped, and they beep.

use crate::boundary::event::{Event, FinishReason};
use crate::boundary::handle::RecorderHandle;
use crate::media::frame::TICKS_PER_SECOND;
use crate::media::leg::Leg;
use crate::media::phases::Phase;
use crate::media::supply::Garbage;
use crate::media::taps::Place;
use crate::media::tick::Tick;
use crate::record::tap::{MarkKind, Tap, TickTime};

const NO_RECORDING: &str = "no such recording runs";

impl Tick {
    /// Armed at once: the next frame of its target is the recording's first.
    pub(super) fn add_tap(&mut self, tap: Box<Tap>, now: TickTime) {
        let recorder = tap.recorder();
        let unplaced = match self.place_of(tap.spec().target) {
            Some(place) => self.arm(tap, place, self.next_run(self.phase_of(place), now)),
            None => Err(tap),
        };
        match unplaced {
            Ok(unix_us) => self.events.send(Event::RecordingArmed { recorder, unix_us }),
            // The writer sees that its tap is gone, and tells the end of a recording without audio.
            Err(tap) => self.supply.discard(Garbage::Tap(tap)),
        }
    }

    /// `now` is the time of its first frame, which is returned. Gives the tap back when there is no slot
    /// for it.
    fn arm(&mut self, mut tap: Box<Tap>, place: Place, now: TickTime) -> Result<i64, Box<Tap>> {
        let recorder = tap.recorder();
        tap.arm(now);
        self.taps.add(tap, place)?;
        self.note_present(recorder, place, now);
        Ok(now.unix_us)
    }

    fn phase_of(&self, place: Place) -> Phase {
        let phase = match place {
            Place::Room(slot) => self.room_in(slot).map(|room| room.phase),
            Place::Leg(slot) => self.leg_in(slot).map(|leg| leg.phase),
        };
        phase.unwrap_or(self.phase)
    }

    pub(super) fn stop_recording(&mut self, recorder: RecorderHandle) -> Result<(), &'static str> {
        let is_there = self.taps.end(recorder, FinishReason::Command, &mut self.supply);
        if is_there { Ok(()) } else { Err(NO_RECORDING) }
    }

    pub(super) fn pause_recording(&mut self, recorder: RecorderHandle) -> Result<(), &'static str> {
        if self.taps.pause(recorder) { Ok(()) } else { Err(NO_RECORDING) }
    }

    /// Comings and goings in the pause were not told: who is there now is told anew.
    pub(super) fn resume_recording(
        &mut self,
        recorder: RecorderHandle,
        now: TickTime,
    ) -> Result<(), &'static str> {
        let (was_paused, place) = self.taps.resume(recorder).ok_or(NO_RECORDING)?;
        if was_paused {
            self.note_present(recorder, place, now);
        }
        Ok(())
    }

    /// After the commands of a tick: what recordings do by themselves, as time goes by.
    pub(super) fn mind_recordings(&mut self, now: TickTime) {
        while let Some(recorder) = self.taps.overdue_pause() {
            if self.resume_recording(recorder, now).is_ok() {
                self.events.send(Event::RecordingResumed { recorder });
            }
        }
        let Self { taps, rooms, legs, .. } = self;
        taps.each_due_beep(|place, level_cdb| match place {
            Place::Room(slot) => {
                if let Some(room) = rooms.get_mut(slot as usize).and_then(Option::as_mut) {
                    room.beep.start(room.rate_hz(), level_cdb);
                }
            }
            Place::Leg(slot) => {
                if let Some(leg) = legs.get_mut(slot as usize).and_then(Option::as_mut) {
                    let rate_hz = leg.rx().len() as u32 * TICKS_PER_SECOND;
                    leg.beep.start(rate_hz, level_cdb);
                }
            }
        });
    }

    /// Tells a recording who is in it and how late each is.
    fn note_present(&mut self, recorder: RecorderHandle, place: Place, now: TickTime) {
        let Self { taps, legs, live_legs, .. } = self;
        for slot in live_legs.all() {
            let leg = legs.get(slot as usize).and_then(Option::as_deref);
            let is_heard =
                |leg: &&Leg| leg.room.map(Place::Room) == Some(place) || place == Place::Leg(slot);
            if let Some(leg) = leg.filter(is_heard) {
                let joined = MarkKind::Joined { leg: leg.handle, delay_ms: leg.delay_ms(now) };
                taps.tell(recorder, joined);
            }
        }
    }
}
