//! The life of one stream: it reads, it writes, and it ends when either cannot go on.

use std::net::SocketAddr;
use std::rc::Rc;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message;

use crate::boundary::counters::Counters;
use crate::boundary::transport::Transport;
use crate::sip::guard::guarded;
use crate::sip::stack::{Stack, spawn};
use crate::sip::transport::framing::{Frame, Framer, check_head};
use crate::sip::transport::line::Line;
use crate::sip::transport::lines::Seat;
use crate::sip::transport::outbox::Outbox;
use crate::sip::transport::stream::Stream;
use crate::sip::transport::websocket::{Frames, Meter};

/// Bytes of one read; a phone's INVITE fits.
const READ: usize = 4_096;

/// TCP itself or TLS over it.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> ByteStream for T {}

pub(super) type Boxed = Box<dyn ByteStream>;

/// How messages follow each other.
pub(super) enum Wire {
    /// By their length.
    Bytes(Boxed),
    /// One in each WebSocket message.
    Frames(Box<Frames>),
}

/// An established connection, before its first message.
pub(super) struct Established {
    pub wire: Wire,
    pub transport: Transport,
    pub peer: SocketAddr,
    /// Where we can be called.
    pub here: SocketAddr,
    /// Whose certificate was checked.
    pub server_name: String,
}

/// Makes a line of it, whose task runs until the stream is over.
pub(super) async fn begin(
    stack: &Rc<Stack>,
    seat: Seat,
    established: Established,
) -> rsipstack::Result<Rc<Line>> {
    let Established { wire, transport, peer, here, server_name } = established;
    let outbox = Rc::new(Outbox::new(stack.config.limits.streams.queue));
    let stream = Stream::new(transport, peer, here, server_name, outbox.clone()).await?;
    let line = Rc::new(Line::Stream(Box::new(stream)));
    stack.lines.add_stream(&line);
    Counters::add(&stack.counters.sip_streams_opened, 1);
    let (stack, opened) = (stack.clone(), line.clone());
    spawn(async move {
        let session =
            Session { stack: stack.clone(), line: line.clone(), outbox: outbox.clone(), peer };
        if guarded(session.live(wire)).await.is_err() {
            Counters::add(&stack.counters.caught_panics, 1);
            log::error!("a panic ended the stream of {peer}");
        }
        outbox.cut();
        stack.lines.remove_stream(&line);
        Counters::add(&stack.counters.sip_streams_closed, 1);
        drop(seat);
        stack.on_line_over(&line);
    });
    Ok(opened)
}

struct Session {
    stack: Rc<Stack>,
    line: Rc<Line>,
    outbox: Rc<Outbox>,
    peer: SocketAddr,
}

impl Session {
    async fn live(self, wire: Wire) {
        let end = self.outbox.end.clone();
        match wire {
            Wire::Bytes(wire) => {
                let (reader, writer) = tokio::io::split(wire);
                tokio::select! {
                    biased;
                    () = end.cancelled() => {}
                    () = self.write(writer) => {}
                    () = self.read(reader) => {}
                }
            }
            Wire::Frames(frames) => {
                let meter = frames.get_ref().meter.clone();
                let (sink, source) = frames.split();
                tokio::select! {
                    biased;
                    () = end.cancelled() => {}
                    () = self.write_frames(sink) => {}
                    () = self.read_frames(source, &meter) => {}
                }
            }
        }
    }

    async fn read(&self, mut reader: ReadHalf<Boxed>) {
        let limits = self.stack.config.limits.streams;
        let mut framer = Framer::default();
        let mut buffer = vec![0; READ];
        let mut begun = None;
        loop {
            let idle = Instant::now() + limits.idle;
            let deadline = begun.map_or(idle, |begun| idle.min(begun + limits.message));
            let Ok(Ok(length @ 1..)) = timeout_at(deadline, reader.read(&mut buffer)).await else {
                return log::debug!("the stream of {} is over", self.peer);
            };
            framer.push(buffer.get(..length).unwrap_or_default());
            loop {
                match framer.next() {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        begun = None;
                        if !self.on_frame(frame).await {
                            return std::future::pending().await;
                        }
                    }
                    Err(why) => return log::debug!("the stream of {} is cut: {why:?}", self.peer),
                }
            }
            if !framer.is_within_message() {
                begun = None;
            } else if begun.is_none() {
                begun = Some(Instant::now());
            }
        }
    }

    async fn read_frames(&self, mut source: SplitStream<Box<Frames>>, meter: &Meter) {
        let limits = self.stack.config.limits.streams;
        let mut heard = Instant::now();
        loop {
            let idle = heard + limits.idle;
            let deadline = meter.begun.get().map_or(idle, |begun| idle.min(begun + limits.message));
            let message = tokio::select! {
                biased;
                message = source.next() => message,
                () = meter.changed.notified() => continue,
                () = sleep_until(deadline) => None,
            };
            let bytes = match message {
                Some(Ok(Message::Text(text))) => text.as_bytes().to_vec(),
                Some(Ok(Message::Binary(bytes))) => bytes.to_vec(),
                // tungstenite answers a ping by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => Vec::new(),
                Some(Ok(Message::Close(_) | Message::Frame(_))) | Some(Err(_)) | None => {
                    return log::debug!("the WebSocket of {} is over", self.peer);
                }
            };
            meter.begun.set(None);
            heard = Instant::now();
            if bytes == b"\r\n\r\n" {
                self.outbox.push(b"\r\n".to_vec());
            } else if bytes.iter().any(|byte| !byte.is_ascii_whitespace()) {
                if let Err(why) = check_head(&bytes) {
                    return log::debug!("the WebSocket of {} is cut: {why:?}", self.peer);
                }
                self.on_message(&bytes).await;
            }
        }
    }

    async fn write_frames(&self, mut sink: SplitSink<Box<Frames>, Message>) {
        let limit = self.stack.config.limits.streams.write;
        while let Some(bytes) = self.outbox.next().await {
            let length = bytes.len();
            self.stack.trace.sent(self.line.transport(), self.peer, &bytes);
            let message = match String::from_utf8(bytes) {
                Ok(text) => Message::text(text),
                Err(other) => Message::binary(other.into_bytes()),
            };
            match timeout(limit, sink.send(message)).await {
                Ok(Ok(())) => self.outbox.written(length),
                Ok(Err(error)) => return log::debug!("writing to {} failed: {error}", self.peer),
                Err(_) => return log::debug!("{} does not read", self.peer),
            }
            Counters::add(&self.stack.counters.sip_sent, 1);
        }
    }

    /// False when nothing more can be read, and what was answered is still to be written.
    async fn on_frame(&self, frame: Frame) -> bool {
        match frame {
            Frame::KeepAlive => self.outbox.push(b"\r\n".to_vec()),
            Frame::Message(bytes) => self.on_message(&bytes).await,
            Frame::Last(bytes) => {
                self.on_message(&bytes).await;
                self.outbox.finish();
                return false;
            }
        }
        true
    }

    async fn on_message(&self, bytes: &[u8]) {
        let Self { stack, line, peer, .. } = self;
        if guarded(stack.on_message(line, bytes, *peer)).await.is_err() {
            Counters::add(&stack.counters.caught_panics, 1);
            log::error!("a message from {peer} made the SIP thread panic");
        }
        // What it set going comes first: the rest of a burst waits in the kernel, bounded.
        tokio::task::yield_now().await;
    }

    async fn write(&self, mut writer: WriteHalf<Boxed>) {
        let limit = self.stack.config.limits.streams.write;
        while let Some(bytes) = self.outbox.next().await {
            self.stack.trace.sent(self.line.transport(), self.peer, &bytes);
            let written = async {
                writer.write_all(&bytes).await?;
                writer.flush().await
            };
            match timeout(limit, written).await {
                Ok(Ok(())) => self.outbox.written(bytes.len()),
                Ok(Err(error)) => return log::debug!("writing to {} failed: {error}", self.peer),
                Err(_) => return log::debug!("{} does not read", self.peer),
            }
            Counters::add(&self.stack.counters.sip_sent, 1);
        }
        // RFC 8446 §6.1, or the end of TCP's half: the peer reads what was written before.
        if let Ok(Err(error)) = timeout(limit, writer.shutdown()).await {
            log::debug!("closing the stream of {} failed: {error}", self.peer);
        }
    }
}
