//! What a socket has received since the last look: one system call for all of it, with arrival times.

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

const PACKET: usize = 512;
/// A `cmsghdr` and a `timespec`.
const CONTROL: usize = 64;

/// Room for a few packets; what they are received into is used again.
pub struct Inbox {
    packets: Vec<[u8; PACKET]>,
    controls: Vec<[u64; CONTROL / 8]>,
    lengths: [(usize, u64); Self::MOST],
}

impl Inbox {
    /// One packet a period is the rule.
    pub const MOST: usize = 4;

    pub fn new() -> Self {
        Self {
            packets: vec![[0; PACKET]; Self::MOST],
            controls: vec![[0; CONTROL / 8]; Self::MOST],
            lengths: [(0, 0); Self::MOST],
        }
    }

    /// Takes what waits, at most [`Self::MOST`]; 0 when nothing does.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        // SAFETY: all zeros is a valid iovec and a valid mmsghdr; the pointers set below live through
        // the call, and their areas have the lengths they state.
        let mut parts: [libc::iovec; Self::MOST] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; Self::MOST] = unsafe { std::mem::zeroed() };
        for (((message, part), packet), control) in
            messages.iter_mut().zip(&mut parts).zip(&mut self.packets).zip(&mut self.controls)
        {
            *part = libc::iovec { iov_base: packet.as_mut_ptr().cast(), iov_len: PACKET };
            message.msg_hdr.msg_iov = &raw mut *part;
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_control = control.as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = CONTROL as _;
        }
        // SAFETY: `messages` are MOST headers made above.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                Self::MOST as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == ErrorKind::WouldBlock { Ok(0) } else { Err(error) };
        }
        for (message, length) in messages.iter().zip(&mut self.lengths).take(count as usize) {
            *length = (message.msg_len as usize, arrival_ns(&message.msg_hdr));
        }
        Ok(count as usize)
    }

    /// The packets of the last look, each with the kernel's clock of its arrival.
    pub fn packets(&mut self, count: usize) -> impl Iterator<Item = (&mut [u8], u64)> {
        let taken = self.packets.iter_mut().zip(&self.lengths).take(count);
        taken
            .map(|(packet, &(length, at_ns))| (packet.get_mut(..length).unwrap_or_default(), at_ns))
    }
}

/// Makes the kernel note when each packet came.
pub fn stamp_arrivals(socket: &UdpSocket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is an int that lives through the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn arrival_ns(message: &libc::msghdr) -> u64 {
    // SAFETY: the kernel has filled the control area; CMSG_FIRSTHDR checks that a header is there.
    let stamp = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const *message);
        let is_stamp = !header.is_null() && (*header).cmsg_type == libc::SCM_TIMESTAMPNS;
        is_stamp.then(|| std::ptr::read_unaligned(libc::CMSG_DATA(header).cast::<libc::timespec>()))
    };
    stamp.map_or(0, |at| at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64)
}
