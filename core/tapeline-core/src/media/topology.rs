//! What changes between ticks: legs come and go, join and leave rooms, recordings start and stop.
//!
//! Everything is applied at the start of a tick and in the order of the commands.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::boundary::command::{CommandId, RoomCommand};
use crate::boundary::counters::{Counters, LegStats};
use crate::boundary::event::{Event, FinishReason};
use crate::boundary::handle::{LegHandle, RecorderHandle, RoomHandle};
use crate::media::command::{Agreement, LegSetup, MediaCommand};
use crate::media::leg::Leg;
use crate::media::leg::link::Link;
use crate::media::plays::Exit;
use crate::media::room::Room;
use crate::media::supply::Garbage;
use crate::media::taps::Place;
use crate::media::tick::{LEG_RATE_HZ, Tick};
use crate::play::feed::Playback;
use crate::record::spec::Target;
use crate::record::tap::{MarkKind, Tap, TickTime};

/// Commands applied in one tick; what is more waits its turn.
const COMMANDS: usize = 1_024;

const NO_LEG: &str = "the call has no audio any more";
const NO_ROOM: &str = "the room is closed";
const NO_RECORDING: &str = "no such recording runs";
const NO_PLAY: &str = "no such file plays";

impl Tick {
    pub(super) fn apply_commands(&mut self, now: TickTime) {
        for _ in 0..COMMANDS {
            let Some(command) = self.waiting.take().or_else(|| self.commands.pop().ok()) else {
                return;
            };
            match catch_unwind(AssertUnwindSafe(|| self.apply(command, now))) {
                Ok(None) => {}
                Ok(waiting) => {
                    self.waiting = waiting;
                    return;
                }
                Err(_) => Counters::add(&self.counters.caught_panics, 1),
            }
        }
    }

    /// Gives the command back when the supply cannot serve it in this tick.
    fn apply(&mut self, command: MediaCommand, now: TickTime) -> Option<MediaCommand> {
        match command {
            MediaCommand::AddLeg(setup) => {
                if !self.supply.has_leg() {
                    return Some(MediaCommand::AddLeg(setup));
                }
                self.add_leg(setup, now);
            }
            MediaCommand::ChangeLeg { leg, agreement } => self.change_leg(leg, agreement, now),
            MediaCommand::RemoveLeg { leg } => self.remove_leg(leg, now),
            MediaCommand::AddTap { tap } => self.add_tap(tap, now),
            MediaCommand::Room { command, action } => {
                if matches!(action, RoomCommand::CreateRoom { .. }) && !self.supply.has_room() {
                    return Some(MediaCommand::Room { command, action });
                }
                let result = self.apply_to_room(action, now);
                self.answer(command, result);
            }
            MediaCommand::AddPlay { command, play } => self.add_play(command, play),
            MediaCommand::Stop => {
                self.is_stopping = true;
                let mut exit = Exit { events: &mut self.events, supply: &mut self.supply };
                self.plays.end_everything(&mut exit);
                self.taps.end_everything(FinishReason::RoomClosed, &mut self.supply);
            }
        }
        None
    }

    fn answer(&mut self, command: CommandId, result: Result<(), &'static str>) {
        self.events.send(match result {
            Ok(()) => Event::CommandDone { command },
            Err(reason) => Event::CommandFailed { command, reason: reason.into() },
        });
    }

    fn add_leg(&mut self, setup: Box<LegSetup>, now: TickTime) {
        let (leg, agreement, stats) = (setup.leg, setup.agreement.clone(), setup.stats.clone());
        // The sockets stay as they are when an option is refused; the leg then hears nothing, and
        // says so by `no_packets`.
        let link = Link::udp(setup);
        self.place_leg(leg, link, agreement, stats, now);
    }

    /// Gives a leg its slot; a former tenant that nobody removed makes way.
    pub fn place_leg(
        &mut self,
        handle: LegHandle,
        link: Link,
        agreement: Agreement,
        stats: Arc<LegStats>,
        now: TickTime,
    ) {
        let slot = handle.0.slot;
        if let Some(former) = self.leg_in(slot).map(|leg| leg.handle) {
            self.remove_leg(former, now);
        }
        let Some(mut leg) = self.supply.leg() else { return };
        leg.open(handle, link, agreement, stats, now);
        if let Some(place) = self.legs.get_mut(slot as usize) {
            *place = Some(leg);
            self.live_legs.push(slot);
        } else {
            self.supply.discard(Garbage::Leg(leg));
        }
    }

    fn change_leg(&mut self, leg: LegHandle, agreement: Box<Agreement>, now: TickTime) {
        if let Some(leg) = find_leg(&mut self.legs, leg) {
            leg.change((*agreement).clone(), now);
        }
        self.supply.discard(Garbage::Agreement(agreement));
    }

    fn remove_leg(&mut self, handle: LegHandle, now: TickTime) {
        if find_leg(&mut self.legs, handle).is_none() {
            return;
        }
        self.leave(handle, now);
        let slot = handle.0.slot;
        self.taps.end_all(Place::Leg(slot), FinishReason::LegGone, &mut self.supply);
        self.end_plays(Place::Leg(slot));
        if let Some(leg) = self.legs.get_mut(slot as usize).and_then(Option::take) {
            self.supply.discard(Garbage::Leg(leg));
        }
        self.live_legs.retain(|live| *live != slot);
    }

    fn apply_to_room(&mut self, action: RoomCommand, now: TickTime) -> Result<(), &'static str> {
        match action {
            RoomCommand::CreateRoom { room, rate_hz } => self.create_room(room, rate_hz),
            RoomCommand::CloseRoom { room } => self.close_room(room, now),
            RoomCommand::Join { leg, room, muted, deaf } => {
                self.join(leg, room, now)?;
                self.set_participant(leg, Some(muted), Some(deaf))
            }
            RoomCommand::Leave { leg } => {
                find_leg(&mut self.legs, leg).ok_or(NO_LEG)?;
                self.leave(leg, now);
                Ok(())
            }
            RoomCommand::SetParticipant { leg, muted, deaf } => {
                self.set_participant(leg, muted, deaf)
            }
            RoomCommand::StopRecording { recorder } => {
                let is_there = self.taps.end(recorder, FinishReason::Command, &mut self.supply);
                if is_there { Ok(()) } else { Err(NO_RECORDING) }
            }
            RoomCommand::PauseRecording { recorder } => {
                let (tap, _) = self.taps.find(recorder).ok_or(NO_RECORDING)?;
                tap.pause();
                Ok(())
            }
            RoomCommand::ResumeRecording { recorder } => self.resume_recording(recorder, now),
            RoomCommand::StopPlay { playback } => {
                let mut exit = Exit { events: &mut self.events, supply: &mut self.supply };
                let is_there = self.plays.stop(playback, &mut exit);
                if is_there { Ok(()) } else { Err(NO_PLAY) }
            }
        }
    }

    fn create_room(&mut self, handle: RoomHandle, rate_hz: u32) -> Result<(), &'static str> {
        if rate_hz != LEG_RATE_HZ {
            return Err("a room's rate is 8000 Hz");
        }
        let slot = handle.0.slot;
        if find_room(&mut self.rooms, handle).is_some() {
            return Ok(());
        }
        if self.rooms.get(slot as usize).is_none_or(Option::is_some) {
            return Err("no slot for the room");
        }
        let Some(mut room) = self.supply.room() else { return Err("no room at hand") };
        room.open(handle, rate_hz);
        if let Some(place) = self.rooms.get_mut(slot as usize) {
            *place = Some(room);
            self.live_rooms.push(slot);
        }
        Ok(())
    }

    fn close_room(&mut self, handle: RoomHandle, now: TickTime) -> Result<(), &'static str> {
        find_room(&mut self.rooms, handle).ok_or(NO_ROOM)?;
        let slot = handle.0.slot;
        for index in 0..self.live_legs.len() {
            let leg = self.live_legs.get(index).and_then(|live| self.leg_in(*live));
            let member = leg.filter(|leg| leg.room == Some(slot)).map(|leg| leg.handle);
            if let Some(member) = member {
                self.leave(member, now);
            }
        }
        self.taps.end_all(Place::Room(slot), FinishReason::RoomClosed, &mut self.supply);
        self.end_plays(Place::Room(slot));
        if let Some(room) = self.rooms.get_mut(slot as usize).and_then(Option::take) {
            self.supply.discard(Garbage::Room(room));
        }
        self.live_rooms.retain(|live| *live != slot);
        Ok(())
    }

    fn join(
        &mut self,
        handle: LegHandle,
        room: RoomHandle,
        now: TickTime,
    ) -> Result<(), &'static str> {
        find_room(&mut self.rooms, room).ok_or(NO_ROOM)?;
        let slot = room.0.slot;
        let leg = find_leg(&mut self.legs, handle).ok_or(NO_LEG)?;
        if leg.room == Some(slot) {
            return Ok(());
        }
        self.leave(handle, now);
        let Some(leg) = find_leg(&mut self.legs, handle) else { return Err(NO_LEG) };
        leg.room = Some(slot);
        let delay_ms = leg.delay_ms(now);
        leg.marked_delay_ms = delay_ms;
        let joined = MarkKind::Joined { leg: handle, delay_ms };
        if let Some(room) = find_room(&mut self.rooms, room) {
            room.members += 1;
        }
        self.taps.mark(Place::Room(slot), joined);
        self.events.send(Event::ParticipantJoined { leg: handle, room, unix_us: now.unix_us });
        Ok(())
    }

    fn leave(&mut self, handle: LegHandle, now: TickTime) {
        let Some(leg) = find_leg(&mut self.legs, handle) else { return };
        let Some(slot) = leg.room.take() else { return };
        (leg.is_muted, leg.is_deaf) = (false, false);
        self.taps.mark(Place::Room(slot), MarkKind::Left { leg: handle });
        let Some(room) = self.rooms.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        room.members = room.members.saturating_sub(1);
        let (room, is_empty) = (room.handle, room.members == 0);
        self.events.send(Event::ParticipantLeft { leg: handle, room, unix_us: now.unix_us });
        if is_empty {
            self.events.send(Event::RoomEmpty { room });
        }
    }

    fn set_participant(
        &mut self,
        handle: LegHandle,
        muted: Option<bool>,
        deaf: Option<bool>,
    ) -> Result<(), &'static str> {
        let leg = find_leg(&mut self.legs, handle).ok_or(NO_LEG)?;
        leg.is_muted = muted.unwrap_or(leg.is_muted);
        leg.is_deaf = deaf.unwrap_or(leg.is_deaf);
        Ok(())
    }

    /// Armed in this very tick: its frame is the recording's first.
    fn add_tap(&mut self, tap: Box<Tap>, now: TickTime) {
        let recorder = tap.recorder();
        let unplaced = match self.place_of(tap.spec().target) {
            Some(place) => self.arm(tap, place, now),
            None => Err(tap),
        };
        match unplaced {
            Ok(()) => {
                self.events.send(Event::RecordingArmed { recorder, unix_us: now.unix_us });
            }
            // The writer sees that its tap is gone, and tells the end of a recording without audio.
            Err(tap) => self.supply.discard(Garbage::Tap(tap)),
        }
    }

    fn add_play(&mut self, command: CommandId, play: Box<Playback>) {
        let queued = match self.place_of(play.target) {
            Some(place) => {
                self.plays.add(play, place).map_err(|play| (play, "no slot for the file"))
            }
            None => match play.target {
                Target::Room(_) => Err((play, NO_ROOM)),
                Target::Leg(_) => Err((play, NO_LEG)),
            },
        };
        let outcome = queued.map_err(|(play, reason)| {
            // The player sees that nobody hears it.
            self.supply.discard(Garbage::Play(play));
            reason
        });
        self.answer(command, outcome);
    }

    fn end_plays(&mut self, place: Place) {
        let mut exit = Exit { events: &mut self.events, supply: &mut self.supply };
        self.plays.end_all(place, &mut exit);
    }

    fn place_of(&mut self, target: Target) -> Option<Place> {
        match target {
            Target::Room(room) => {
                find_room(&mut self.rooms, room).map(|_| Place::Room(room.0.slot))
            }
            Target::Leg(leg) => find_leg(&mut self.legs, leg).map(|_| Place::Leg(leg.0.slot)),
        }
    }

    /// Gives the tap back when there is no slot for it.
    fn arm(&mut self, mut tap: Box<Tap>, place: Place, now: TickTime) -> Result<(), Box<Tap>> {
        tap.arm(now);
        note_present(&mut tap, place, &self.legs, &self.live_legs, now);
        let (has_beep, rate_hz) = (tap.spec().beep, tap.spec().rate_hz);
        self.taps.add(tap, place)?;
        if has_beep {
            self.beep(place, rate_hz);
        }
        Ok(())
    }

    fn beep(&mut self, place: Place, rate_hz: u32) {
        match place {
            Place::Room(slot) => {
                if let Some(room) = self.rooms.get_mut(slot as usize).and_then(Option::as_mut) {
                    room.beep.start(rate_hz);
                }
            }
            Place::Leg(slot) => {
                if let Some(leg) = self.legs.get_mut(slot as usize).and_then(Option::as_mut) {
                    leg.beep.start(rate_hz);
                }
            }
        }
    }

    /// Comings and goings in the pause were not told: who is there now is told anew.
    fn resume_recording(
        &mut self,
        recorder: RecorderHandle,
        now: TickTime,
    ) -> Result<(), &'static str> {
        let (tap, place) = self.taps.find(recorder).ok_or(NO_RECORDING)?;
        if tap.resume() {
            note_present(tap, place, &self.legs, &self.live_legs, now);
        }
        Ok(())
    }
}

/// Tells a recording who is in it and how late each is.
fn note_present(
    tap: &mut Tap,
    place: Place,
    legs: &[Option<Box<Leg>>],
    live: &[u32],
    now: TickTime,
) {
    for slot in live {
        let leg = legs.get(*slot as usize).and_then(Option::as_deref);
        let is_heard =
            |leg: &&Leg| leg.room.map(Place::Room) == Some(place) || place == Place::Leg(*slot);
        if let Some(leg) = leg.filter(is_heard) {
            tap.mark(MarkKind::Joined { leg: leg.handle, delay_ms: leg.delay_ms(now) });
        }
    }
}

fn find_leg(legs: &mut [Option<Box<Leg>>], handle: LegHandle) -> Option<&mut Leg> {
    let leg = legs.get_mut(handle.0.slot as usize)?.as_deref_mut()?;
    (leg.handle == handle).then_some(leg)
}

fn find_room(rooms: &mut [Option<Box<Room>>], handle: RoomHandle) -> Option<&mut Room> {
    let room = rooms.get_mut(handle.0.slot as usize)?.as_deref_mut()?;
    (room.handle == handle).then_some(room)
}
