//! RTP port pairs: even for RTP, the odd one above it for RTCP (RFC 3550 §11).
//!
//! A pair is free again when its two sockets are closed; nothing else is kept.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::{Domain, Protocol, Socket, Type};

/// Ports tried for one pair; a try on a taken port costs about 5 µs.
const MAX_TRIES: u32 = 1_024;

/// Two bound, non-blocking sockets.
#[derive(Debug)]
pub struct PortPair {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    /// The even port.
    pub port: u16,
}

/// Datagrams thrown away at most: what the kernel keeps for a socket and more.
const MAX_EARLY: u32 = 4_096;

impl PortPair {
    /// Throws away what came before anybody listened: the far end of a call of ours may send from
    /// the offer on, and it would be heard late and all at once.
    pub fn discard_early(&self) {
        for socket in [&self.rtp, &self.rtcp] {
            let mut rest = 0..MAX_EARLY;
            while rest.next().is_some() && socket.recv_from(&mut []).is_ok() {}
        }
    }
}

/// No free pair was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortsExhausted {
    pub first: u16,
    pub last: u16,
    pub tried: u32,
}

impl fmt::Display for PortsExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, tried } = self;
        write!(f, "no free RTP port pair in {first}-{last} ({tried} pairs tried)")
    }
}

impl std::error::Error for PortsExhausted {}

/// The configured range; shared by reference, safe from any thread.
#[derive(Debug)]
pub struct PortPool {
    address: IpAddr,
    first: u16,
    pairs: u32,
    cursor: AtomicU32,
}

impl PortPool {
    /// `address` is what the sockets are bound to; `range` must hold an even port and the odd one
    /// above it.
    pub fn new(address: IpAddr, range: RangeInclusive<u16>) -> io::Result<Self> {
        let first = u32::from(*range.start()).next_multiple_of(2);
        let pairs = (u32::from(*range.end()) + 1).saturating_sub(first) / 2;
        if pairs == 0 || first == 0 {
            let text = format!("RTP ports {}-{} hold no pair", range.start(), range.end());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        // A random start: after a restart, late packets of old calls meet other ports.
        let start = RandomState::new().hash_one(0) as u32 % pairs;
        Ok(Self { address, first: first as u16, pairs, cursor: AtomicU32::new(start) })
    }

    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The next pair of the range that nobody holds.
    pub fn bind_pair(&self) -> Result<PortPair, PortsExhausted> {
        let tries = self.pairs.min(MAX_TRIES);
        for _ in 0..tries {
            let index = self.cursor.fetch_add(1, Ordering::Relaxed) % self.pairs;
            let port = self.first + (index * 2) as u16;
            let Ok(rtp) = bind(self.address, port) else { continue };
            let Ok(rtcp) = bind(self.address, port + 1) else { continue };
            return Ok(PortPair { rtp, rtcp, port });
        }
        let last = self.first + (self.pairs * 2 - 1) as u16;
        Err(PortsExhausted { first: self.first, last, tried: tries })
    }
}

fn bind(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // Audio of both families comes to an unspecified address, whatever the system's default.
        socket.set_only_v6(!address.is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(address, port).into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn what_came_early_is_not_heard() {
        let pool = PortPool::new(LOOPBACK, 41_480..=41_499).unwrap();
        let pair = pool.bind_pair().unwrap();
        let far_end = UdpSocket::bind("127.0.0.1:0").unwrap();
        for port in [pair.port, pair.port, pair.port + 1] {
            far_end.send_to(b"early", ("127.0.0.1", port)).unwrap();
        }

        pair.discard_early();
        far_end.send_to(b"now", ("127.0.0.1", pair.port)).unwrap();

        let mut buffer = [0; 16];
        assert_eq!(pair.rtp.recv(&mut buffer).unwrap(), 3);
        assert!(pair.rtp.recv(&mut buffer).is_err() && pair.rtcp.recv(&mut buffer).is_err());
    }

    #[test]
    fn a_pair_is_even_and_odd_and_non_blocking() {
        let pool = PortPool::new(LOOPBACK, 41_001..=41_010).unwrap();

        let pair = pool.bind_pair().unwrap();

        assert_eq!(pair.port % 2, 0);
        assert_eq!(pair.rtp.local_addr().unwrap().port(), pair.port);
        assert_eq!(pair.rtcp.local_addr().unwrap().port(), pair.port + 1);
        let error = pair.rtp.recv(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_used_up_range_says_so_and_a_closed_pair_is_free_again() {
        let pool = PortPool::new(LOOPBACK, 41_020..=41_025).unwrap();
        let mut pairs: Vec<_> = (0..3).map(|_| pool.bind_pair().unwrap()).collect();

        let refused = pool.bind_pair().unwrap_err();
        assert_eq!(refused, PortsExhausted { first: 41_020, last: 41_025, tried: 3 });

        let freed = pairs.pop().unwrap().port;
        assert_eq!(pool.bind_pair().unwrap().port, freed);
    }

    #[test]
    fn a_range_without_a_pair_is_refused() {
        for range in [0..=1, 41_001..=41_001, 41_001..=41_002] {
            assert!(PortPool::new(LOOPBACK, range.clone()).is_err(), "{range:?}");
        }
        assert!(PortPool::new(LOOPBACK, 65_534..=65_535).is_ok());
    }
}
