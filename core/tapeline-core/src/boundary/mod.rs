//! What goes in and out of the core: handles, commands, events, counters, and the core itself.

pub mod command;
pub mod core;
pub mod counters;
pub(crate) mod destination;
pub mod dial;
pub mod digits;
pub mod event;
pub mod handle;
pub mod identity;
mod ledger;
pub mod reason;
pub mod sink;
pub mod transport;
pub mod trunk;
mod warnings;
