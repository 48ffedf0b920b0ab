//! What changes between ticks: legs come and go, join and leave rooms, recordings start and stop.
//!
//! Everything is applied at the start of a tick and in the order of the commands.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::boundary::command::{CommandId, RoomCommand};
use crate::boundary::counters::{Counters, LegStats};
use crate::boundary::event::{Event, FinishReason, PlayEnd};
use crate::boundary::handle::{LegHandle, RoomHandle};
use crate::media::codec::Rate;
use crate::media::command::{Agreement, LegSetup, MediaCommand};
use crate::media::leg::link::Link;
use crate::media::leg::{Leg, LegCodec};
use crate::media::phases::may_move;
use crate::media::plays::Exit;
use crate::media::room::Room;
use crate::media::room::participant::Settings;
use crate::media::srtp::Srtp;
use crate::media::supply::Garbage;
use crate::media::taps::Place;
use crate::media::tick::Tick;
use crate::play::feed::Playback;
use crate::record::spec::Target;
use crate::record::tap::{MarkKind, TickTime};

/// Commands applied in one tick; what is more waits its turn.
const COMMANDS: usize = 1_024;

const NO_LEG: &str = "the call has no audio any more";
const NO_ROOM: &str = "the room is closed";
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
            MediaCommand::ChangeLeg { leg, agreement, codec, srtp } => {
                if codec.is_some() && !self.supply.has_lane() {
                    return Some(MediaCommand::ChangeLeg { leg, agreement, codec, srtp });
                }
                self.change_leg(leg, agreement, (codec, srtp), now);
            }
            MediaCommand::Key { leg, digit, duration_ms } => {
                let known = find_leg(&mut self.legs, leg);
                if known.is_some_and(|leg| leg.is_news(digit, now)) {
                    self.events.send(Event::Digit { leg, digit, duration_ms });
                }
            }
            MediaCommand::SendDigits { command, leg, digits, tone_ms, gap_ms } => {
                let leg = find_leg(&mut self.legs, leg).ok_or(NO_LEG);
                let keyed = leg.and_then(|leg| leg.key(command, digits, (tone_ms, gap_ms)));
                if keyed.is_err() {
                    self.answer(command, keyed);
                }
            }
            MediaCommand::RemoveLeg { leg } => self.remove_leg(leg, now),
            MediaCommand::AddTap { tap } => self.add_tap(tap, now),
            MediaCommand::Room { command, action } => {
                let lacks = match action {
                    RoomCommand::CreateRoom { .. } => !self.supply.has_room(),
                    RoomCommand::Join { leg, room, .. } => {
                        !self.supply.has_lane() || !self.may_meet(leg, room)
                    }
                    // Whoever was told that it records gets a frame of it, however soon it is stopped.
                    RoomCommand::StopRecording { recorder } => {
                        self.taps.awaits_its_first_tick(recorder)
                    }
                    _ => false,
                };
                if lacks {
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

    fn add_leg(&mut self, mut setup: Box<LegSetup>, now: TickTime) {
        let Some(codec) = setup.codec.take() else { return };
        let (leg, agreement, stats) = (setup.leg, setup.agreement.clone(), setup.stats.clone());
        // The sockets stay as they are when an option is refused; the leg then hears nothing, and
        // says so by `no_packets`.
        let link = Link::udp(setup);
        self.place_leg(leg, link, (agreement, codec), stats, now);
    }

    /// Gives a leg its slot; a former tenant that nobody removed makes way.
    pub fn place_leg(
        &mut self,
        handle: LegHandle,
        link: Link,
        (agreement, codec): (Agreement, Box<LegCodec>),
        stats: Arc<LegStats>,
        now: TickTime,
    ) {
        let slot = handle.0.slot;
        if let Some(former) = self.leg_in(slot).map(|leg| leg.handle) {
            self.remove_leg(former, now);
        }
        let Some(mut leg) = self.supply.leg() else { return };
        leg.open(handle, link, (agreement, codec), stats, now);
        if let Some(place) = self.legs.get_mut(slot as usize) {
            leg.phase = self.phase;
            *place = Some(leg);
            self.live_legs.add(slot, self.phase);
        } else {
            self.supply.discard(Garbage::Leg(leg));
        }
    }

    fn change_leg(
        &mut self,
        leg: LegHandle,
        agreement: Box<Agreement>,
        (mut codec, mut srtp): (Option<Box<LegCodec>>, Option<Box<Srtp>>),
        now: TickTime,
    ) {
        // Another codec may have another rate: then the way to the room is another, too.
        let room = find_leg(&mut self.legs, leg).and_then(|leg| leg.room);
        let room = room.filter(|_| codec.is_some());
        if room.is_some() {
            self.exit(leg);
        }
        if let Some(leg) = find_leg(&mut self.legs, leg) {
            codec = leg.change((*agreement).clone(), codec, now);
            srtp = leg.protect(srtp);
        }
        if let Some(room) = room {
            self.enter(leg, room);
        }
        if let Some(codec) = codec {
            self.supply.discard(Garbage::Codec(codec));
        }
        if let Some(srtp) = srtp {
            self.supply.discard(Garbage::Srtp(srtp));
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
        self.end_plays(Place::Leg(slot), PlayEnd::TargetGone);
        if let Some(mut leg) = self.legs.get_mut(slot as usize).and_then(Option::take) {
            self.live_legs.remove(slot, leg.phase);
            leg.farewell(now);
            for command in leg.give_up() {
                self.answer(command, Err(NO_LEG));
            }
            self.supply.discard(Garbage::Leg(leg));
        }
    }

    fn apply_to_room(&mut self, action: RoomCommand, now: TickTime) -> Result<(), &'static str> {
        match action {
            RoomCommand::CreateRoom { room, rate_hz } => self.create_room(room, rate_hz),
            RoomCommand::CloseRoom { room } => self.close_room(room, now),
            RoomCommand::Join { leg, room, settings } => {
                self.join(leg, room, now)?;
                self.set_participant(leg, |_| settings)
            }
            RoomCommand::Leave { leg } => {
                find_leg(&mut self.legs, leg).ok_or(NO_LEG)?;
                self.leave(leg, now);
                Ok(())
            }
            RoomCommand::SetParticipant { leg, changes } => {
                self.set_participant(leg, |settings| settings.with(changes))
            }
            RoomCommand::StopRecording { recorder } => self.stop_recording(recorder),
            RoomCommand::PauseRecording { recorder } => self.pause_recording(recorder),
            RoomCommand::ResumeRecording { recorder } => self.resume_recording(recorder, now),
            RoomCommand::StopPlay { playback } => {
                let mut exit = Exit { events: &mut self.events, supply: &mut self.supply };
                let is_there = self.plays.stop(playback, &mut exit);
                if is_there { Ok(()) } else { Err(NO_PLAY) }
            }
            RoomCommand::StopPlays { target } => {
                let place = self.place_of(target).ok_or(missing(target))?;
                self.end_plays(place, PlayEnd::Stopped);
                Ok(())
            }
        }
    }

    /// `rate_hz` is the least that it will have; 0: 8000.
    fn create_room(&mut self, handle: RoomHandle, rate_hz: u32) -> Result<(), &'static str> {
        let rate = if rate_hz == 0 { Some(Rate::Narrow) } else { Rate::of(rate_hz) };
        let Some(rate) = rate else { return Err("a room's rate is 8000, 16000 or 48000 Hz") };
        let slot = handle.0.slot;
        if find_room(&mut self.rooms, handle).is_some() {
            return Ok(());
        }
        if self.rooms.get(slot as usize).is_none_or(Option::is_some) {
            return Err("no slot for the room");
        }
        let Some(mut room) = self.supply.room() else { return Err("no room at hand") };
        room.open(handle, rate);
        room.phase = self.phase;
        if let Some(place) = self.rooms.get_mut(slot as usize) {
            *place = Some(room);
            self.live_rooms.add(slot, self.phase);
        }
        self.tell_rate(slot);
        Ok(())
    }

    fn close_room(&mut self, handle: RoomHandle, now: TickTime) -> Result<(), &'static str> {
        let phase = find_room(&mut self.rooms, handle).ok_or(NO_ROOM)?.phase;
        let slot = handle.0.slot;
        for index in 0..self.live_legs.at(phase).len() {
            let leg = self.live_legs.at(phase).get(index).and_then(|live| self.leg_in(*live));
            let member = leg.filter(|leg| leg.room == Some(slot)).map(|leg| leg.handle);
            if let Some(member) = member {
                self.leave(member, now);
            }
        }
        self.taps.end_all(Place::Room(slot), FinishReason::RoomClosed, &mut self.supply);
        self.end_plays(Place::Room(slot), PlayEnd::TargetGone);
        if let Some(room) = self.rooms.get_mut(slot as usize).and_then(Option::take) {
            self.live_rooms.remove(slot, room.phase);
            self.supply.discard(Garbage::Room(room));
        }
        self.tell_rate(slot);
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
        self.meet(handle, room, now);
        self.enter(handle, slot);
        let due = self.leg_in(handle.0.slot).map_or(now, |leg| self.next_run(leg.phase, now));
        let Some(leg) = find_leg(&mut self.legs, handle) else { return Err(NO_LEG) };
        let delay_ms = leg.delay_ms(due);
        leg.marked_delay_ms = delay_ms;
        let joined = MarkKind::Joined { leg: handle, delay_ms };
        if let Some(room) = find_room(&mut self.rooms, room) {
            room.members += 1;
        }
        self.taps.mark(Place::Room(slot), joined);
        self.events.send(Event::ParticipantJoined { leg: handle, room, unix_us: now.unix_us });
        Ok(())
    }

    /// Whether leg and room can have one phase from now on.
    fn may_meet(&self, leg: LegHandle, room: RoomHandle) -> bool {
        let (Some(leg), Some(there)) = (self.leg_in(leg.0.slot), self.room_in(room.0.slot)) else {
            return true;
        };
        let is_free = !leg.has_run || self.is_idle(room);
        is_free || may_move(leg.phase, there.phase, self.phase)
    }

    /// Nobody is in the room, hears it or plays to it: nothing is lost when it is run earlier or later.
    fn is_idle(&self, room: RoomHandle) -> bool {
        let place = Place::Room(room.0.slot);
        let is_empty = self.room_in(room.0.slot).is_some_and(|room| room.members == 0);
        is_empty && !self.taps.is_tapped(place) && !self.plays.is_playing(place)
    }

    /// An idle room takes the phase of the leg that joins it; else the leg takes the room's.
    fn meet(&mut self, handle: LegHandle, room: RoomHandle, now: TickTime) {
        let is_idle = self.is_idle(room);
        let (Some(leg), Some(there)) =
            (find_leg(&mut self.legs, handle), find_room(&mut self.rooms, room))
        else {
            return;
        };
        if leg.phase == there.phase {
            return;
        }
        if is_idle {
            self.live_rooms.remove(room.0.slot, there.phase);
            there.phase = leg.phase;
            self.live_rooms.add(room.0.slot, there.phase);
            return;
        }
        let (from, to) = (leg.phase, there.phase);
        let due = self.next_run(to, now);
        self.live_legs.remove(handle.0.slot, from);
        self.live_legs.add(handle.0.slot, to);
        if let Some(leg) = find_leg(&mut self.legs, handle) {
            leg.phase = to;
            leg.expect_run(due);
        }
    }

    fn leave(&mut self, handle: LegHandle, now: TickTime) {
        let Some(slot) = find_leg(&mut self.legs, handle).and_then(|leg| leg.room) else { return };
        self.exit(handle);
        let Some(leg) = find_leg(&mut self.legs, handle) else { return };
        leg.part.set(Settings::default());
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
        change: impl FnOnce(Settings) -> Settings,
    ) -> Result<(), &'static str> {
        let leg = find_leg(&mut self.legs, handle).ok_or(NO_LEG)?;
        let settings = change(*leg.part.settings());
        leg.part.set(settings);
        Ok(())
    }

    fn add_play(&mut self, command: CommandId, play: Box<Playback>) {
        let queued = match self.place_of(play.target) {
            Some(place) => {
                self.plays.add(play, place).map_err(|play| (play, "no slot for the file"))
            }
            None => {
                let reason = missing(play.target);
                Err((play, reason))
            }
        };
        let outcome = queued.map_err(|(play, reason)| {
            // The player sees that nobody hears it.
            self.supply.discard(Garbage::Play(play));
            reason
        });
        self.answer(command, outcome);
    }

    fn end_plays(&mut self, place: Place, reason: PlayEnd) {
        let mut exit = Exit { events: &mut self.events, supply: &mut self.supply };
        self.plays.end_all(place, reason, &mut exit);
    }

    pub(super) fn place_of(&mut self, target: Target) -> Option<Place> {
        match target {
            Target::Room(room) => {
                find_room(&mut self.rooms, room).map(|_| Place::Room(room.0.slot))
            }
            Target::Leg(leg) => find_leg(&mut self.legs, leg).map(|_| Place::Leg(leg.0.slot)),
        }
    }
}

fn missing(target: Target) -> &'static str {
    match target {
        Target::Room(_) => NO_ROOM,
        Target::Leg(_) => NO_LEG,
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
