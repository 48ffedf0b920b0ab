//! Where a leg's packets come from and go to: two UDP sockets, or rings in memory (tests, the tick harness).

use std::io;
use std::net::SocketAddr;

use crate::media::command::LegSetup;
use crate::sys::socket;

/// Longest packet of a memory link: 60 ms of L16 at 8 kHz, or RTCP.
const MEMORY_BYTES: usize = 1_024;
const MEMORY_PACKETS: usize = 64;

pub enum Link {
    /// The box is kept as it came: unpacking it would free memory on the tick.
    Udp(Box<LegSetup>),
    Memory(MemoryLink),
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    Gone,
    /// The peer's port is closed (ICMP): a counter, never an error.
    Unreachable,
    /// The socket's buffer is full, or the system refused.
    Dropped,
}

impl Sent {
    fn of(result: io::Result<usize>) -> Self {
        match result {
            Ok(_) => Self::Gone,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Self::Unreachable,
            Err(_) => Self::Dropped,
        }
    }
}

impl Link {
    /// Readies the sockets for the tick.
    pub fn udp(setup: Box<LegSetup>) -> Self {
        // What the system refuses here (it has no reason to) costs time stamps or priority, not audio.
        let _ = socket::prepare(&setup.rtp);
        let _ = socket::prepare(&setup.rtcp);
        Self::Udp(setup)
    }

    pub fn connect(&mut self, to: SocketAddr) -> io::Result<()> {
        match self {
            Self::Udp(setup) => setup.rtp.connect(to),
            Self::Memory(memory) => {
                memory.connected = Some(to);
                Ok(())
            }
        }
    }

    pub fn disconnect(&mut self) -> io::Result<()> {
        match self {
            Self::Udp(setup) => socket::disconnect(&setup.rtp),
            Self::Memory(memory) => {
                memory.connected = None;
                Ok(())
            }
        }
    }

    pub fn send_rtp(&mut self, to: SocketAddr, is_connected: bool, packet: &[u8]) -> Sent {
        match self {
            Self::Udp(setup) if is_connected => Sent::of(setup.rtp.send(packet)),
            Self::Udp(setup) => Sent::of(setup.rtp.send_to(packet, to)),
            Self::Memory(memory) => memory.send(to, packet, false),
        }
    }

    pub fn send_rtcp(&mut self, to: SocketAddr, packet: &[u8]) -> Sent {
        match self {
            Self::Udp(setup) => Sent::of(setup.rtcp.send_to(packet, to)),
            Self::Memory(memory) => memory.send(to, packet, true),
        }
    }
}

/// A packet in memory, inline.
#[derive(Clone)]
pub struct MemoryPacket {
    /// Where it comes from, or goes to.
    pub peer: SocketAddr,
    /// When it arrives, on the clock of the ticks; a link hands it out at that instant or later.
    pub arrival_ns: u64,
    pub is_rtcp: bool,
    /// Reading it panics: shows that a fault stays inside its leg.
    pub is_fault: bool,
    length: usize,
    bytes: [u8; MEMORY_BYTES],
}

impl MemoryPacket {
    /// Bytes beyond 1,024 are cut.
    pub fn new(peer: SocketAddr, arrival_ns: u64, bytes: &[u8]) -> Self {
        let length = bytes.len().min(MEMORY_BYTES);
        let mut packet = Self {
            peer,
            arrival_ns,
            is_rtcp: false,
            is_fault: false,
            length,
            bytes: [0; MEMORY_BYTES],
        };
        for (place, byte) in packet.bytes.iter_mut().zip(bytes) {
            *place = *byte;
        }
        packet
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }
}

/// The leg's end.
pub struct MemoryLink {
    incoming: rtrb::Consumer<MemoryPacket>,
    outgoing: rtrb::Producer<MemoryPacket>,
    connected: Option<SocketAddr>,
}

/// The far end.
pub struct MemoryPeer {
    pub to_leg: rtrb::Producer<MemoryPacket>,
    pub from_leg: rtrb::Consumer<MemoryPacket>,
}

impl MemoryLink {
    pub fn pair() -> (Self, MemoryPeer) {
        let (to_leg, incoming) = rtrb::RingBuffer::new(MEMORY_PACKETS);
        let (outgoing, from_leg) = rtrb::RingBuffer::new(MEMORY_PACKETS);
        (Self { incoming, outgoing, connected: None }, MemoryPeer { to_leg, from_leg })
    }

    /// The next packet that has arrived by `now_ns`; a connected link hears only its peer.
    pub fn receive(&mut self, now_ns: u64) -> Option<MemoryPacket> {
        loop {
            if self.incoming.peek().ok()?.arrival_ns > now_ns {
                return None;
            }
            let packet = self.incoming.pop().ok()?;
            if packet.is_fault {
                fault();
            }
            let is_heard =
                packet.is_rtcp || self.connected.is_none_or(|connected| connected == packet.peer);
            if is_heard {
                return Some(packet);
            }
        }
    }

    fn send(&mut self, to: SocketAddr, bytes: &[u8], is_rtcp: bool) -> Sent {
        let packet = MemoryPacket { is_rtcp, ..MemoryPacket::new(to, 0, bytes) };
        if self.outgoing.push(packet).is_ok() { Sent::Gone } else { Sent::Dropped }
    }
}

#[allow(clippy::panic)] // what it is for; a link of sockets never comes here
fn fault() {
    panic!("a fault that a test asked for");
}
