//! Where a leg's packets come from and go to, and what protects them on the way: two UDP sockets, or
//! rings in memory (tests, the tick harness).

use std::io;
use std::net::SocketAddr;

use crate::media::command::LegSetup;
use crate::media::srtp::{GROWTH, Opened, Srtp};
use crate::sys::socket::{self, BATCH, BatchReader};

/// Longest packet of a memory link: 60 ms of L16 at 8 kHz, or RTCP.
const MEMORY_BYTES: usize = 1_024;
const MEMORY_PACKETS: usize = 64;
/// Longest packet that is protected.
const PROTECTED_BYTES: usize = 2_048 + GROWTH;
/// Batches read in one tick; what is more stays in the kernel until the next.
const BATCHES: usize = 4;
/// A peer that sends a packet a tick has sent no other while its last one is younger.
const FRESH_NS: u64 = 14_000_000;

pub struct Link {
    path: Path,
    srtp: Option<Box<Srtp>>,
}

enum Path {
    /// The box is kept as it came: unpacking it would free memory on the tick.
    Udp(Udp),
    Memory(MemoryLink),
}

struct Udp {
    setup: Box<LegSetup>,
    /// Datagrams of RTP's socket that the last tick read.
    last_count: u16,
    /// IPv4: such a socket can be connected and let go again.
    can_connect: bool,
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

/// The two kinds of packets of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Rtp,
    Rtcp,
}

impl Stream {
    /// RFC 5761 §4: both may share a port.
    fn on_rtp_port(bytes: &[u8]) -> Self {
        if matches!(bytes, [0x80..=0xbf, 192..=223, ..]) { Self::Rtcp } else { Self::Rtp }
    }
}

/// Where and when a datagram came.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    pub source: SocketAddr,
    /// On the clock of the ticks.
    pub arrival_ns: u64,
    pub stream: Stream,
}

/// Packets that a reading did not hand on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// ICMP answers to something we sent.
    pub unreachable: u64,
    /// SRTP of a wrong key, forged, or no SRTP at all.
    pub forged: u64,
    pub replayed: u64,
}

impl Link {
    /// Readies the sockets for the tick.
    pub fn udp(mut setup: Box<LegSetup>) -> Self {
        // What the system refuses here (it has no reason to) costs time stamps or priority, not audio.
        let _ = socket::prepare(&setup.rtp);
        let _ = socket::prepare(&setup.rtcp);
        let srtp = setup.srtp.take();
        let can_connect = setup.rtp.local_addr().is_ok_and(|address| address.is_ipv4());
        Self { path: Path::Udp(Udp { setup, last_count: 0, can_connect }), srtp }
    }

    pub fn memory(link: MemoryLink, srtp: Option<Box<Srtp>>) -> Self {
        Self { path: Path::Memory(link), srtp }
    }

    /// After a re-INVITE; what is given back is nobody's any more and freed off the tick.
    pub fn protect(&mut self, mut srtp: Option<Box<Srtp>>) -> Option<Box<Srtp>> {
        if let (Some(next), Some(former)) = (&mut srtp, &mut self.srtp) {
            next.take_over(former);
        }
        std::mem::replace(&mut self.srtp, srtp)
    }

    pub fn is_protected(&self) -> bool {
        self.srtp.is_some()
    }

    /// Hears only `to` from now on. An IPv6 socket hears everyone still: the latch keeps strangers out
    /// of it alone.
    pub fn connect(&mut self, to: SocketAddr) -> io::Result<()> {
        match &mut self.path {
            Path::Udp(Udp { setup, can_connect: true, .. }) => setup.rtp.connect(to),
            Path::Udp(_) => Ok(()),
            Path::Memory(memory) => {
                memory.connected = Some(to);
                Ok(())
            }
        }
    }

    pub fn disconnect(&mut self) -> io::Result<()> {
        match &mut self.path {
            Path::Udp(Udp { setup, can_connect: true, .. }) => socket::disconnect(&setup.rtp),
            Path::Udp(_) => Ok(()),
            Path::Memory(memory) => {
                memory.connected = None;
                Ok(())
            }
        }
    }

    pub fn send_rtp(&mut self, to: SocketAddr, is_connected: bool, packet: &[u8]) -> Sent {
        let Self { path, srtp } = self;
        let Some(srtp) = srtp else { return path.send(to, is_connected, packet, Stream::Rtp) };
        let mut buffer = [0; PROTECTED_BYTES];
        match protected(packet, &mut buffer, |buffer, length| srtp.protect_rtp(buffer, length)) {
            Some(packet) => path.send(to, is_connected, packet, Stream::Rtp),
            None => Sent::Dropped,
        }
    }

    /// `with_rtp`: on the port of the RTP (RFC 5761).
    pub fn send_rtcp(&mut self, to: SocketAddr, with_rtp: bool, packet: &[u8]) -> Sent {
        let Self { path, srtp } = self;
        let mut buffer = [0; PROTECTED_BYTES];
        let packet = match srtp {
            None => Some(packet),
            Some(srtp) => {
                protected(packet, &mut buffer, |buffer, length| srtp.protect_rtcp(buffer, length))
            }
        };
        let Some(packet) = packet else { return Sent::Dropped };
        match path {
            Path::Udp(udp) if with_rtp => Sent::of(udp.setup.rtp.send_to(packet, to)),
            path => path.send(to, false, packet, Stream::Rtcp),
        }
    }

    /// Hands on what has arrived by `now_ns`, within bounds, plain. `clock` takes the kernel's time
    /// stamps to the clock of the ticks.
    pub fn receive(
        &mut self,
        reader: &mut BatchReader,
        now_ns: u64,
        clock: impl Fn(Option<u64>) -> u64,
        mut take: impl FnMut(Heard, &[u8]),
    ) -> Refused {
        let mut refused = Refused::default();
        let Self { path, srtp } = self;
        match path {
            Path::Udp(Udp { setup, last_count, .. }) => {
                // Looking for a second packet costs half of what the first does. What came early all the
                // same is read at the next tick: then the one before it is no longer fresh.
                let mut most = if *last_count == 1 { 1 } else { BATCH };
                *last_count = 0;
                for _ in 0..BATCHES {
                    let Ok(count) = reader.read(&setup.rtp, most) else {
                        refused.unreachable += 1;
                        break;
                    };
                    *last_count += count as u16;
                    let mut is_fresh = false;
                    for datagram in reader.datagrams() {
                        let arrival_ns = clock(datagram.arrival_unix_ns);
                        is_fresh = datagram.arrival_unix_ns.is_some()
                            && now_ns.saturating_sub(arrival_ns) < FRESH_NS;
                        let stream = Stream::on_rtp_port(datagram.bytes);
                        let heard = Heard { source: datagram.source, arrival_ns, stream };
                        open(srtp, heard, datagram.bytes, &mut refused, &mut take);
                    }
                    if count < most || (most == 1 && is_fresh) {
                        break;
                    }
                    most = BATCH;
                }
            }
            Path::Memory(memory) => {
                for _ in 0..BATCHES * BATCH {
                    let Some(mut packet) = memory.receive(now_ns) else { break };
                    let (source, arrival_ns) = (packet.peer, packet.arrival_ns);
                    let stream = match packet.is_rtcp {
                        true => Stream::Rtcp,
                        false => Stream::on_rtp_port(packet.bytes()),
                    };
                    let heard = Heard { source, arrival_ns, stream };
                    open(srtp, heard, packet.bytes_mut(), &mut refused, &mut take);
                }
            }
        }
        refused
    }

    /// The second socket; most peers send there, some never do.
    pub fn receive_rtcp(
        &mut self,
        reader: &mut BatchReader,
        clock: impl Fn(Option<u64>) -> u64,
        mut take: impl FnMut(Heard, &[u8]),
    ) -> Refused {
        let mut refused = Refused::default();
        let Self { path, srtp } = self;
        // An ICMP answer to a report of ours is no news.
        if let Path::Udp(Udp { setup, .. }) = path
            && reader.read(&setup.rtcp, BATCH).is_ok()
        {
            for datagram in reader.datagrams() {
                let arrival_ns = clock(datagram.arrival_unix_ns);
                let stream = Stream::Rtcp;
                let heard = Heard { source: datagram.source, arrival_ns, stream };
                open(srtp, heard, datagram.bytes, &mut refused, &mut take);
            }
        }
        refused
    }
}

/// A protected copy.
fn protected<'a>(
    packet: &[u8],
    buffer: &'a mut [u8; PROTECTED_BYTES],
    protect: impl FnOnce(&mut [u8], usize) -> Option<usize>,
) -> Option<&'a [u8]> {
    buffer.get_mut(..packet.len())?.copy_from_slice(packet);
    let length = protect(buffer, packet.len())?;
    buffer.get(..length)
}

fn open(
    srtp: &mut Option<Box<Srtp>>,
    heard: Heard,
    bytes: &mut [u8],
    refused: &mut Refused,
    take: &mut impl FnMut(Heard, &[u8]),
) {
    let opened = match (srtp, heard.stream) {
        (None, _) => Opened::Plain(bytes.len()),
        (Some(srtp), Stream::Rtp) => srtp.open_rtp(bytes),
        (Some(srtp), Stream::Rtcp) => srtp.open_rtcp(bytes),
    };
    match opened {
        Opened::Plain(length) => take(heard, bytes.get(..length).unwrap_or(&[])),
        Opened::Forged | Opened::Malformed => refused.forged += 1,
        Opened::Replayed => refused.replayed += 1,
    }
}

impl Path {
    fn send(&mut self, to: SocketAddr, is_connected: bool, packet: &[u8], stream: Stream) -> Sent {
        match (self, stream) {
            (Self::Udp(udp), Stream::Rtp) if is_connected && udp.can_connect => {
                Sent::of(udp.setup.rtp.send(packet))
            }
            (Self::Udp(udp), Stream::Rtp) => Sent::of(udp.setup.rtp.send_to(packet, to)),
            (Self::Udp(udp), Stream::Rtcp) => Sent::of(udp.setup.rtcp.send_to(packet, to)),
            (Self::Memory(memory), stream) => memory.send(to, packet, stream == Stream::Rtcp),
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

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.length).unwrap_or(&mut [])
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
        Self::pair_of(MEMORY_PACKETS)
    }

    /// Rings of so many packets.
    pub fn pair_of(packets: usize) -> (Self, MemoryPeer) {
        let (to_leg, incoming) = rtrb::RingBuffer::new(packets);
        let (outgoing, from_leg) = rtrb::RingBuffer::new(packets);
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
