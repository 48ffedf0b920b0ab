//! Sockets: ours, so that no byte reaches rsipstack unseen. Streams will stand beside UDP here.

mod line;
mod udp;

pub(super) use line::Line;
pub(super) use udp::{Listener, MAX_DATAGRAM, bind_udp};
