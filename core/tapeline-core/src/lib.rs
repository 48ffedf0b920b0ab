//! The core of tapeline: SIP in, RTP mixed in rooms, recordings on disk.
//!
//! It knows no Python, no account, no URL and no vendor. Commands come in and events go out through
//! [`boundary`]; everything else is called from there.
//!
//! Threads: one for SIP ([`sip`], a tokio current-thread runtime), one for audio ([`media`], absolute
//! 20 ms deadlines), one that opens files and two that write them ([`record`]). The audio thread takes
//! no lock, allocates nothing on the tick and touches no file.

#![deny(unsafe_code)]

pub mod boundary;
pub mod media;
pub mod play;
pub mod record;
pub mod sdp;
pub mod sip;
pub mod sys;
