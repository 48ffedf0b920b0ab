//! ICMP answers to what an unconnected UDP socket sent: `IP_RECVERR` of ip(7), `IPV6_RECVERR` of
//! ipv6(7).

use std::io;
use std::mem;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use crate::sys::socket::address_of;

/// As much of the datagram as is kept; a router quotes at most 548 bytes (RFC 1812 §4.3.2.3).
const QUOTED_BYTES: usize = 576;
const CONTROL_BYTES: usize = 256;

/// A datagram that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    pub destination: SocketAddr,
    /// Its first bytes.
    pub quoted: Vec<u8>,
    /// Nobody listens there or no way leads there; else some other error.
    pub is_unreachable: bool,
}

/// Whether an error that a send or receive returned belongs to an earlier datagram, perhaps to
/// another destination.
pub fn is_of_earlier(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

/// From now on the kernel keeps ICMP errors for [`read_undelivered`]. Each also fails the next send or
/// receive once ([`is_of_earlier`]).
pub fn keep_undelivered(socket: &UdpSocket) -> io::Result<()> {
    let (level, name) = match socket.local_addr()?.is_ipv4() {
        true => (libc::SOL_IP, libc::IP_RECVERR),
        false => (libc::SOL_IPV6, libc::IPV6_RECVERR),
    };
    let on: libc::c_int = 1;
    // SAFETY: the option value is a c_int of this frame and its length is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const on).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[repr(align(8))]
struct Control([u8; CONTROL_BYTES]);

/// The next one; `WouldBlock` when there is none.
pub fn read_undelivered(socket: &UdpSocket) -> io::Result<Undelivered> {
    let mut quoted = vec![0; QUOTED_BYTES];
    let mut control = Control([0; CONTROL_BYTES]);
    // SAFETY: all-zero is a valid sockaddr_storage and msghdr; every pointer leads to a buffer of this
    // frame whose length stands beside it, and the header is read before they go.
    let (length, name, is_unreachable) = unsafe {
        let mut name: libc::sockaddr_storage = mem::zeroed();
        let mut vector =
            libc::iovec { iov_base: quoted.as_mut_ptr().cast(), iov_len: QUOTED_BYTES };
        let mut header: libc::msghdr = mem::zeroed();
        header.msg_name = (&raw mut name).cast();
        header.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = CONTROL_BYTES as _;
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        let length = libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags);
        (length, name, says_unreachable(&header))
    };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    let destination = address_of(&name).ok_or(io::ErrorKind::InvalidData)?;
    quoted.truncate(length);
    Ok(Undelivered { destination, quoted, is_unreachable })
}

fn says_unreachable(header: &libc::msghdr) -> bool {
    // SAFETY: the kernel filled the control buffer of this header and set its length; the CMSG
    // functions stay inside it, and the error is read unaligned.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let kind = ((*message).cmsg_level, (*message).cmsg_type);
            let is_error = kind == (libc::SOL_IP, libc::IP_RECVERR)
                || kind == (libc::SOL_IPV6, libc::IPV6_RECVERR);
            let length = (*message).cmsg_len as usize;
            let least = libc::CMSG_LEN(mem::size_of::<libc::sock_extended_err>() as _) as usize;
            if is_error && length >= least {
                let error =
                    libc::CMSG_DATA(message).cast::<libc::sock_extended_err>().read_unaligned();
                let error = io::Error::from_raw_os_error(error.ee_errno.cast_signed());
                return is_of_earlier(&error);
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_datagram_nobody_takes_comes_back() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let ours = UdpSocket::bind(address).unwrap();
            keep_undelivered(&ours).unwrap();
            let gone = UdpSocket::bind(address).unwrap().local_addr().unwrap();
            assert_eq!(read_undelivered(&ours).unwrap_err().kind(), io::ErrorKind::WouldBlock);

            ours.send_to(b"hello", gone).unwrap();
            ours.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let failed = ours.recv(&mut [0; 8]).unwrap_err();

            assert!(is_of_earlier(&failed), "{failed}");
            let expected =
                Undelivered { destination: gone, quoted: b"hello".into(), is_unreachable: true };
            assert_eq!(read_undelivered(&ours).unwrap(), expected);
            assert!(read_undelivered(&ours).is_err());
        }
    }
}
