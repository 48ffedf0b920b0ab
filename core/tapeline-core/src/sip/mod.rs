//! SIP: our own transports and dialogs over the parser and transactions of rsipstack.
//!
//! One thread, `tl-sip`, runs everything here on a tokio current-thread runtime, so requests keep
//! their order. A datagram's way: [`transport`] receives it, [`gate`] charges its source, [`wire`]
//! repairs or refuses it, rsipstack finds its transaction, [`dialog`] answers it. Nothing waits
//! between the socket and the dialog, so there is no queue an attacker could fill.
//!
//! A call of ours goes the other way: [`dialog`] sends its INVITE and keeps that transaction itself.
//!
//! Streams (TCP, TLS, WebSocket) end in [`transport`] as one message after the other, and go the same
//! way from there.

mod config;
mod dialog;
mod digest;
mod gate;
mod guard;
mod handle;
mod rate;
mod registrar;
mod resolve;
mod stack;
mod strikes;
mod supervisor;
mod tables;
mod thread;
mod trace;
mod transport;
mod trunks;
mod wire;

pub use config::{Limits, SipConfig, SrtpPolicy, SrtpRule, StreamLimits};
pub use handle::{SipBusy, SipHandle, start};
pub use trace::Traced;
pub use transport::TlsFiles;
