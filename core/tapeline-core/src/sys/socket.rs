//! UDP at the tick: many packets per system call with the kernel's arrival time, and taking a
//! connection back. Everything else about sockets is socket2's.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use socket2::SockRef;

/// Packets read by one system call.
pub const BATCH: usize = 8;
/// A longer packet is cut and so refused by its parser; audio packets stay below the Ethernet MTU.
pub const PACKET_BYTES: usize = 1_536;

/// Expedited forwarding (RFC 3246) in the six upper bits.
const DSCP_EF: u32 = 46 << 2;
const CONTROL_BYTES: usize = 64;

/// Makes the socket fit for the tick: never blocks, kernel arrival times on, DSCP EF.
///
/// Arrival times and DSCP are best effort (a container may refuse them): audio flows without.
pub fn prepare(socket: &UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let reference = SockRef::from(socket);
    // An IPv6 socket sends IPv4 too when it is bound to both; an IPv4 one refuses the second.
    let _ = (reference.set_tos_v4(DSCP_EF), reference.set_tclass_v6(DSCP_EF));
    let on: libc::c_int = 1;
    // SAFETY: the option value is a c_int of this frame and its length is given.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
    Ok(())
}

/// Undoes `connect`: the socket hears everyone again and keeps its port, which must have been bound by
/// number (the kernel takes a port back that it chose itself). For IPv4 alone: an IPv6 socket goes on
/// refusing other addresses than its former peer's (seen with Linux 6.18).
pub fn disconnect(socket: &UdpSocket) -> io::Result<()> {
    // SAFETY: all-zero is a valid sockaddr; AF_UNSPEC dissolves the association (udp(7)).
    let result = unsafe {
        let mut address: libc::sockaddr = mem::zeroed();
        address.sa_family = libc::AF_UNSPEC as libc::sa_family_t;
        libc::connect(
            socket.as_raw_fd(),
            &raw const address,
            mem::size_of::<libc::sockaddr>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One packet of a batch.
#[derive(Debug)]
pub struct Datagram<'a> {
    pub bytes: &'a mut [u8],
    pub source: SocketAddr,
    /// Kernel arrival time, nanoseconds since the epoch; `None` when the socket has no time stamps.
    pub arrival_unix_ns: Option<u64>,
}

#[repr(align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

struct Buffers {
    packets: [[u8; PACKET_BYTES]; BATCH],
    controls: [Control; BATCH],
    names: [libc::sockaddr_storage; BATCH],
    vectors: [libc::iovec; BATCH],
    headers: [libc::mmsghdr; BATCH],
}

/// Reads a batch of datagrams without allocating; one serves all sockets of a thread.
pub struct BatchReader {
    buffers: Box<Buffers>,
    filled: usize,
}

// SAFETY: the raw pointers inside point into the reader's own buffers and are set anew at each call.
unsafe impl Send for BatchReader {}

impl Default for BatchReader {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchReader {
    pub fn new() -> Self {
        // SAFETY: every field is plain data for which all-zero is a valid value.
        let buffers = Box::new(unsafe { mem::zeroed::<Buffers>() });
        Self { buffers, filled: 0 }
    }

    /// Reads what waits, at most `most` datagrams of [`BATCH`]; 0 when nothing does.
    pub fn read(&mut self, socket: &UdpSocket, most: usize) -> io::Result<usize> {
        let most = most.min(BATCH);
        self.filled = 0;
        self.point_headers(most);
        // SAFETY: the headers point to buffers of the lengths they state, all owned by self.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd() as RawFd,
                self.buffers.headers.as_mut_ptr(),
                most as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) };
        }
        self.filled = (count as usize).min(most);
        Ok(self.filled)
    }

    fn point_headers(&mut self, count: usize) {
        let Buffers { packets, controls, names, vectors, headers } = &mut *self.buffers;
        let places = packets.iter_mut().zip(controls).zip(names).zip(vectors).zip(headers);
        for ((((packet, control), name), vector), header) in places.take(count) {
            *vector = libc::iovec { iov_base: packet.as_mut_ptr().cast(), iov_len: PACKET_BYTES };
            header.msg_hdr.msg_name = (name as *mut libc::sockaddr_storage).cast();
            header.msg_hdr.msg_namelen =
                mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
            header.msg_hdr.msg_flags = 0;
            header.msg_len = 0;
        }
    }

    /// The datagrams of the last [`BatchReader::read`].
    pub fn datagrams(&mut self) -> impl Iterator<Item = Datagram<'_>> {
        let Buffers { packets, names, headers, .. } = &mut *self.buffers;
        headers.iter().zip(packets).zip(names).take(self.filled).filter_map(
            |((header, packet), name)| {
                let length = (header.msg_len as usize).min(PACKET_BYTES);
                Some(Datagram {
                    bytes: packet.get_mut(..length)?,
                    source: address_of(name)?,
                    arrival_unix_ns: arrival_of(&header.msg_hdr),
                })
            },
        )
    }
}

fn arrival_of(header: &libc::msghdr) -> Option<u64> {
    // SAFETY: the kernel filled the control buffer of this header and set its length; the CMSG
    // functions stay inside it, and the time is read unaligned.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            if (*message).cmsg_level == libc::SOL_SOCKET
                && (*message).cmsg_type == libc::SCM_TIMESTAMPNS
            {
                let time = libc::CMSG_DATA(message).cast::<libc::timespec>().read_unaligned();
                let seconds = u64::try_from(time.tv_sec).ok()?;
                return Some(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).ok()?);
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    None
}

pub(super) fn address_of(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which address the storage holds.
            let v4 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(address, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let address = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(match address.to_ipv4_mapped() {
                Some(mapped) => SocketAddrV4::new(mapped, port).into(),
                None => SocketAddrV6::new(address, port, 0, v6.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    fn bound(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind(address).unwrap();
        prepare(&socket).unwrap();
        socket
    }

    fn read_some(reader: &mut BatchReader, socket: &UdpSocket) -> usize {
        for _ in 0..200 {
            match reader.read(socket, BATCH) {
                Ok(0) => std::thread::sleep(Duration::from_millis(1)),
                Ok(count) => return count,
                Err(error) => panic!("{error}"),
            }
        }
        0
    }

    #[test]
    fn a_batch_carries_bytes_source_and_kernel_time() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (ours, theirs) = (bound(address), bound(address));
            for byte in 0..3_u8 {
                theirs.send_to(&[byte; 20], ours.local_addr().unwrap()).unwrap();
            }

            let mut reader = BatchReader::new();
            assert_eq!(read_some(&mut reader, &ours), 3);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
            for (index, datagram) in reader.datagrams().enumerate() {
                assert_eq!(datagram.bytes, [index as u8; 20]);
                assert_eq!(datagram.source, theirs.local_addr().unwrap());
                assert!(now - datagram.arrival_unix_ns.unwrap() < 1_000_000_000);
            }
            assert_eq!(reader.read(&ours, BATCH).unwrap(), 0);
        }
    }

    #[test]
    fn packets_leave_as_expedited_in_both_families() {
        let (four, six) = (bound("127.0.0.1:0"), bound("[::1]:0"));
        assert_eq!(SockRef::from(&four).tos_v4().unwrap(), 0xb8);
        assert_eq!(SockRef::from(&six).tclass_v6().unwrap(), 0xb8);
        let both = bound("[::]:0");
        assert_eq!(SockRef::from(&both).tos_v4().unwrap(), 0xb8);
        assert_eq!(SockRef::from(&both).tclass_v6().unwrap(), 0xb8);
    }

    #[test]
    fn a_socket_of_both_families_talks_to_either() {
        let port = bound("[::]:0").local_addr().unwrap().port();
        let ours = bound(&format!("[::]:{port}"));
        let mut reader = BatchReader::new();
        for peer in ["127.0.0.1", "[::1]"] {
            let peer = bound(&format!("{peer}:0"));
            let to = SocketAddr::new(peer.local_addr().unwrap().ip(), port);
            peer.send_to(b"in", to).unwrap();
            assert_eq!(read_some(&mut reader, &ours), 1);
            let source = reader.datagrams().next().unwrap().source;
            assert_eq!(source, peer.local_addr().unwrap());
            ours.send_to(b"out", source).unwrap();
            assert_eq!(read_some(&mut reader, &peer), 1);
        }
    }

    #[test]
    fn a_disconnected_socket_keeps_its_port_and_hears_everyone_again() {
        let (friend, stranger) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
        let port = bound("0.0.0.0:0").local_addr().unwrap().port();
        let ours = bound(&format!("0.0.0.0:{port}"));
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let mut reader = BatchReader::new();

        ours.connect(friend.local_addr().unwrap()).unwrap();
        stranger.send_to(b"x", to).unwrap();
        friend.send_to(b"y", to).unwrap();
        assert_eq!(read_some(&mut reader, &ours), 1);
        assert_eq!(*reader.datagrams().next().unwrap().bytes, *b"y");

        disconnect(&ours).unwrap();
        assert_eq!(ours.local_addr().unwrap().port(), port);
        stranger.send_to(b"x", to).unwrap();
        assert_eq!(read_some(&mut reader, &ours), 1);
        assert_eq!(*reader.datagrams().next().unwrap().bytes, *b"x");
    }
}
