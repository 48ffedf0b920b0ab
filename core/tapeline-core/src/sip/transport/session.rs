//! The life of one stream: it reads, it writes, and it ends when either cannot go on.

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout, timeout_at};

use crate::boundary::counters::Counters;
use crate::boundary::transport::Transport;
use crate::sip::guard::guarded;
use crate::sip::stack::{Stack, spawn};
use crate::sip::transport::framing::{Frame, Framer};
use crate::sip::transport::line::Line;
use crate::sip::transport::lines::Seat;
use crate::sip::transport::outbox::Outbox;
use crate::sip::transport::stream::Stream;

/// Bytes of one read; a phone's INVITE fits.
const READ: usize = 4_096;

/// TCP itself or TLS over it.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

pub(super) type Boxed = Box<dyn Wire>;

/// An established connection, before its first message.
pub(super) struct Established {
    pub wire: Boxed,
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
    async fn live(self, wire: Boxed) {
        let (reader, writer) = tokio::io::split(wire);
        let end = self.outbox.end.clone();
        tokio::select! {
            biased;
            () = end.cancelled() => {}
            () = self.write(writer) => {}
            () = self.read(reader) => {}
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
