//! Which rooms and recorders live, told from the commands that went in and the events that come out,
//! so that their slots are given back exactly once and no other part has to know of slots.
//!
//! | what happened | what follows |
//! |---|---|
//! | a room's making was refused | its slot is free |
//! | a room was closed | its slot is free |
//! | a recording's start was refused | its slot is free |
//! | a recording has finished | its slot is free |
//! | a play was refused, or has finished | its slot is free |

use std::collections::{HashMap, HashSet};

use crate::boundary::command::CommandId;
use crate::boundary::event::Event;
use crate::boundary::handle::{PlaybackHandle, RecorderHandle, RoomHandle};

/// A command whose answer concerns a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    CreateRoom(RoomHandle),
    CloseRoom(RoomHandle),
    StartRecording(RecorderHandle),
    Play(PlaybackHandle),
}

/// What an event freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    Room(RoomHandle),
    Recorder(RecorderHandle),
    Playback(PlaybackHandle),
}

#[derive(Debug, Default)]
pub struct Ledger {
    pending: HashMap<CommandId, Pending>,
    rooms: HashSet<RoomHandle>,
}

impl Ledger {
    /// Call it before the command is handed over: its answer may be quick.
    pub fn expect(&mut self, command: CommandId, pending: Pending) {
        if let Pending::CreateRoom(room) = pending {
            self.rooms.insert(room);
        }
        self.pending.insert(command, pending);
    }

    /// The command was not taken after all.
    pub fn withdraw(&mut self, command: CommandId) {
        if let Some(Pending::CreateRoom(room)) = self.pending.remove(&command) {
            self.rooms.remove(&room);
        }
    }

    /// Every event that leaves passes here once.
    pub fn settle(&mut self, event: &Event) -> Option<Gone> {
        match event {
            Event::CommandDone { command } => match self.pending.remove(command)? {
                Pending::CloseRoom(room) => self.close(room),
                Pending::CreateRoom(_) | Pending::StartRecording(_) | Pending::Play(_) => None,
            },
            Event::CommandFailed { command, .. } => match self.pending.remove(command)? {
                Pending::CreateRoom(room) => self.close(room),
                Pending::StartRecording(recorder) => Some(Gone::Recorder(recorder)),
                Pending::Play(playback) => Some(Gone::Playback(playback)),
                Pending::CloseRoom(_) => None,
            },
            Event::RecordingFinished(finished) => Some(Gone::Recorder(finished.recorder)),
            Event::PlayFinished { playback, .. } => Some(Gone::Playback(*playback)),
            _ => None,
        }
    }

    /// Whether it was asked for and has not been closed.
    pub fn has_room(&self, room: RoomHandle) -> bool {
        self.rooms.contains(&room)
    }

    /// Rooms that were asked for and have not been closed.
    pub fn rooms(&self) -> Vec<RoomHandle> {
        self.rooms.iter().copied().collect()
    }

    fn close(&mut self, room: RoomHandle) -> Option<Gone> {
        self.rooms.remove(&room).then_some(Gone::Room(room))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::event::{FinishReason, PlayEnd, RecordingFinished};

    const ROOM: u64 = 1 << 32;
    const RECORDER: u64 = (1 << 32) + 5;

    fn room() -> RoomHandle {
        RoomHandle::from_u64(ROOM)
    }

    fn recorder() -> RecorderHandle {
        RecorderHandle::from_u64(RECORDER)
    }

    fn done(command: CommandId) -> Event {
        Event::CommandDone { command }
    }

    fn failed(command: CommandId) -> Event {
        Event::CommandFailed { command, reason: "no".into() }
    }

    fn finished() -> Event {
        Event::RecordingFinished(Box::new(RecordingFinished {
            recorder: recorder(),
            reason: FinishReason::Command,
            sample_count: 0,
            rate_hz: 8000,
            channels: 1,
            byte_count: 0,
            sha256: String::new(),
            started_unix_us: 0,
            missing_ms: Vec::new(),
            notes: Vec::new(),
            tracks: Vec::new(),
        }))
    }

    #[test]
    fn a_room_lives_until_it_is_closed() {
        let mut ledger = Ledger::default();
        ledger.expect(1, Pending::CreateRoom(room()));
        assert_eq!(ledger.settle(&done(1)), None);

        ledger.expect(2, Pending::CloseRoom(room()));
        ledger.expect(3, Pending::CloseRoom(room()));
        assert_eq!(ledger.rooms(), [room()]);

        assert_eq!(ledger.settle(&done(2)), Some(Gone::Room(room())));
        assert_eq!(ledger.settle(&failed(3)), None); // closed twice: the slot is freed once
        assert!(ledger.rooms().is_empty());
    }

    #[test]
    fn what_was_refused_is_gone() {
        let mut ledger = Ledger::default();
        ledger.expect(1, Pending::CreateRoom(room()));
        ledger.expect(2, Pending::StartRecording(recorder()));

        assert_eq!(ledger.settle(&failed(1)), Some(Gone::Room(room())));
        assert_eq!(ledger.settle(&failed(2)), Some(Gone::Recorder(recorder())));
    }

    #[test]
    fn a_recorder_lives_until_it_has_finished() {
        let mut ledger = Ledger::default();
        ledger.expect(1, Pending::StartRecording(recorder()));

        assert_eq!(ledger.settle(&done(1)), None);
        assert_eq!(ledger.settle(&finished()), Some(Gone::Recorder(recorder())));
    }

    #[test]
    fn a_playback_lives_until_it_is_refused_or_has_finished() {
        let mut ledger = Ledger::default();
        let playback = PlaybackHandle::from_u64(RECORDER);
        ledger.expect(1, Pending::Play(playback));
        ledger.expect(2, Pending::Play(playback));
        assert_eq!(ledger.settle(&done(1)), None);
        assert_eq!(ledger.settle(&failed(2)), Some(Gone::Playback(playback)));

        let end = Event::PlayFinished { playback, reason: PlayEnd::Completed, detail: "" };
        assert_eq!(ledger.settle(&end), Some(Gone::Playback(playback)));
    }

    #[test]
    fn a_withdrawn_command_leaves_nothing() {
        let mut ledger = Ledger::default();
        ledger.expect(1, Pending::CreateRoom(room()));

        ledger.withdraw(1);

        assert!(ledger.rooms().is_empty());
        assert_eq!(ledger.settle(&failed(1)), None);
    }
}
