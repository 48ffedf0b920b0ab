//! What is heard beside people: made or decoded on a thread of its own, never on the tick.
//!
//! `tl-play` opens a file and hands a [`feed::Playback`] to the media thread, then keeps its ring of two
//! seconds filled ([`player`]) by a [`program`]: a file ([`wav`], [`mp3`], [`opus`]) or [`tones`], as
//! often as it shall be heard, brought to the rate that its target had when it was asked for
//! ([`resample`]). What is still being fetched comes from a socket, read by a thread of its own. Files are
//! hostile until
//! proven otherwise: sizes, times and errors are bounded, and a panic fails one playback.

pub mod feed;
pub mod input;
mod mp3;
mod ogg;
mod opus;
pub mod player;
pub mod program;
mod resample;
pub mod source;
pub mod tones;
mod wav;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::boundary::command::CommandId;
use crate::boundary::counters::Counters;
use crate::boundary::handle::PlaybackHandle;
use crate::boundary::sink::EventSink;
use crate::media::codec::Rate;
use crate::media::command::MediaHandle;
use crate::play::player::Player;
use crate::play::tones::Tones;
use crate::record::spec::Target;

/// Plays that wait to be opened; more are refused as busy.
const QUEUE: usize = 4_096;

/// What shall be heard, and by whom.
#[derive(Clone, Debug)]
pub struct PlaySpec {
    pub source: PlaySource,
    /// A leg alone, or everybody in a room. Queued behind what plays there.
    pub target: Target,
    /// How often; 0: until it is stopped.
    pub loops: u32,
    /// While it sounds its target hears nothing else (but the beep of a recording); else it is mixed.
    pub is_instead: bool,
    /// Hundredths of dB by which it is lowered, within [`LEVEL_CDB`].
    pub level_cdb: i16,
}

#[derive(Clone, Debug)]
pub enum PlaySource {
    /// A file, or a socket that gives one to each who connects while it is being fetched ([`input`]).
    File(PathBuf),
    Tones(Tones),
}

/// Nothing is played louder than it is.
pub const LEVEL_CDB: std::ops::RangeInclusive<i16> = -6_000..=0;

impl PlaySpec {
    /// Once, mixed, as loud as it is.
    pub fn new(source: PlaySource, target: Target) -> Self {
        Self { source, target, loops: 1, is_instead: false, level_cdb: 0 }
    }
}

#[derive(Debug)]
pub struct PlayRequest {
    pub command: CommandId,
    pub playback: PlaybackHandle,
    pub spec: PlaySpec,
    /// Its target's, now; what it becomes later is followed on the tick.
    pub rate: Rate,
}

/// The player has more requests waiting than it can take, or is gone.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

/// The player's thread; dropping it stops it.
pub struct PlayThread {
    requests: Mutex<Option<SyncSender<PlayRequest>>>,
    thread: Option<JoinHandle<()>>,
}

pub fn start(
    media: MediaHandle,
    events: EventSink,
    counters: Arc<Counters>,
) -> io::Result<PlayThread> {
    let (sender, requests) = sync_channel(QUEUE);
    let player = Player::new(requests, media, events, counters);
    let thread = Builder::new().name("tl-play".into()).spawn(move || player.run())?;
    Ok(PlayThread { requests: Mutex::new(Some(sender)), thread: Some(thread) })
}

impl PlayThread {
    /// Queues a play. Answered by the media thread when it is queued there, else by `CommandFailed`.
    /// Never touches a disk.
    pub fn play(&self, request: PlayRequest) -> Result<(), Busy> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.as_ref().ok_or(Busy)?.try_send(request).map_err(|_| Busy)
    }

    /// Takes no more plays and ends those that run.
    pub fn stop(&mut self) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread tl-play ended with a panic");
        }
    }
}

impl Drop for PlayThread {
    fn drop(&mut self) {
        self.stop();
    }
}
