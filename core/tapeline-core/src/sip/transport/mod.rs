//! Sockets: ours, so that no byte reaches rsipstack unseen. Streams will stand beside UDP here.

mod udp;

pub(super) use udp::{Listener, MAX_DATAGRAM, bind_udp};
