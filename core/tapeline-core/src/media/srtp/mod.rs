//! SRTP and SRTCP (RFC 3711, RFC 7714) of one leg: packets are protected and opened in place, on the
//! tick, without allocating. Pure.
//!
//! [`keys`] is what SDES carries, [`derive`] makes session keys of it, [`cipher`] applies them to a
//! packet whose index is known, [`inbound`] finds the index and refuses forgeries and replays.

mod cipher;
mod derive;
mod header;
mod inbound;
pub mod keys;
mod outbound;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::mem;

use inbound::Inbound;
pub use keys::{MasterKey, SrtpKeys, Suite};
use outbound::Outbound;

/// What protecting adds to a packet at most: a tag and SRTCP's word.
pub const GROWTH: usize = 20;

/// What became of a packet that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Authentic; it is plain now and so long.
    Plain(usize),
    /// Wrong key, wrong tag, or changed on its way.
    Forged,
    /// Seen before, or so old that nobody can tell.
    Replayed,
    /// Neither RTP nor RTCP.
    Malformed,
}

/// Both directions of a leg.
pub struct Srtp {
    keys: SrtpKeys,
    outbound: Outbound,
    inbound: Inbound,
    /// The peer's old keys, until it uses the new ones.
    former: Option<Inbound>,
}

impl fmt::Debug for Srtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.fmt(f)
    }
}

impl Srtp {
    /// Derives the session keys: off the tick.
    pub fn new(keys: SrtpKeys) -> Self {
        Self {
            outbound: Outbound::new(&keys.ours),
            inbound: Inbound::new(&keys.theirs),
            former: None,
            keys,
        }
    }

    /// Takes the place of `former` after a re-INVITE: a key that stayed goes on counting (it must, or
    /// a key stream would be used twice), a new key of the peer's is waited for. Allocates nothing.
    pub fn take_over(&mut self, former: &mut Self) {
        if self.keys.ours == former.keys.ours {
            mem::swap(&mut self.outbound, &mut former.outbound);
        }
        if self.keys.theirs == former.keys.theirs {
            mem::swap(&mut self.inbound, &mut former.inbound);
            mem::swap(&mut self.former, &mut former.former);
        } else {
            self.inbound.continue_from(&former.inbound);
            let theirs = Inbound::new(&self.keys.theirs);
            self.former = Some(mem::replace(&mut former.inbound, theirs));
        }
    }

    /// Protects the RTP packet in the first `length` bytes of `buffer`, which has [`GROWTH`] bytes of
    /// room behind it; its new length. `None`: it is no RTP.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        self.outbound.protect_rtp(buffer, length)
    }

    /// As [`Srtp::protect_rtp`], for a compound RTCP packet.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        self.outbound.protect_rtcp(buffer, length)
    }

    /// Opens an SRTP packet in place.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Opened {
        self.open(packet, Inbound::open_rtp)
    }

    /// Opens an SRTCP packet in place.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Opened {
        self.open(packet, Inbound::open_rtcp)
    }

    fn open(&mut self, packet: &mut [u8], by: fn(&mut Inbound, &mut [u8]) -> Opened) -> Opened {
        match (by(&mut self.inbound, packet), &mut self.former) {
            (Opened::Forged, Some(former)) => by(former, packet),
            (opened @ Opened::Plain(_), former) => {
                *former = None;
                opened
            }
            (opened, _) => opened,
        }
    }
}
