//! Files that are heard: opened, decoded and resampled on a thread of its own, never on the tick.
//!
//! `tl-play` opens a file and hands a [`feed::Playback`] to the media thread, then keeps its ring of two
//! seconds filled ([`player`]). A file is read by [`source`] (a [`wav`] or an [`mp3`]), as often as it
//! shall be heard, and brought to the rate of the rooms ([`resample`]). Files are hostile until proven
//! otherwise: sizes, times and errors are bounded, and a panic fails one playback.

pub mod feed;
mod mp3;
pub mod player;
mod resample;
pub mod source;
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
use crate::media::command::MediaHandle;
use crate::play::player::Player;
use crate::record::spec::Target;

/// Plays that wait to be opened; more are refused as busy.
const QUEUE: usize = 4_096;

/// What shall be heard, and by whom.
#[derive(Clone, Debug)]
pub struct PlaySpec {
    pub path: PathBuf,
    /// A leg alone, or everybody in a room. Queued behind what plays there.
    pub target: Target,
    /// How often; 0: until it is stopped.
    pub loops: u32,
}

#[derive(Debug)]
pub struct PlayRequest {
    pub command: CommandId,
    pub playback: PlaybackHandle,
    pub spec: PlaySpec,
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
