//! Sockets: ours, so that no byte reaches rsipstack unseen.
//!
//! | module | what |
//! |---|---|
//! | [`line`] | what a message travels on: a UDP socket or a stream |
//! | [`lines`] | all of them, found by where they lead |
//! | [`udp`] | datagrams |
//! | [`entrance`] | streams that arrive |
//! | [`tls`], [`websocket`] | what some of them do before they are heard |
//! | [`outgoing`] | a line for a request of ours |
//! | [`session`] | a stream's life: [`framing`] of what is read, [`outbox`] of what is written |

mod entrance;
mod framing;
mod line;
mod lines;
mod outbox;
mod outgoing;
mod session;
mod stream;
mod tls;
mod udp;
mod websocket;

pub(super) use entrance::{bind_stream, keep_open};
pub(super) use line::Line;
pub(super) use lines::{Door, Lines};
pub(super) use outgoing::reach;
pub(super) use tls::Tls;
pub use tls::TlsFiles;
pub(super) use udp::{Listener, MAX_DATAGRAM, bind_udp};
