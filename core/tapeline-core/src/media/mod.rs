//! Audio: sockets, jitter buffers, codecs, rooms and the 20 ms tick.
//!
//! [`tick`] is what happens in 20 ms, pure of clocks and threads; [`thread`] is its driver. A leg is
//! read into one frame, rooms add the frames of their legs, each leg gets the sum without itself.

pub mod beep;
pub mod codec;
pub mod command;
pub mod frame;
pub mod jitter;
pub mod leg;
pub mod phases;
mod plays;
pub mod ports;
mod rates;
mod recordings;
pub mod resample;
pub mod room;
mod sending;
mod sharing;
pub mod srtp;
pub mod supply;
mod taps;
pub mod thread;
pub mod tick;
mod topology;

pub use thread::{MediaThread, start};
pub use tick::MediaConfig;
