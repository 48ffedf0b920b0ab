//! D8: a process without descriptors left. Alone in its file, because the limit is the process's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod sip_support;

use std::fs::File;
use std::net::TcpStream;
use std::time::Duration;

use sip_support::pipe::{Bytes, Caller};
use sip_support::{Node, Phone};
use socket2::{Domain, Socket, Type};
use tapeline_core::boundary::transport::Transport;

fn cpu() -> Duration {
    // SAFETY: an all-zero rusage is a valid one, and the call writes no more than that.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    [usage.ru_utime, usage.ru_stime]
        .iter()
        .map(|time| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1_000))
        .sum()
}

fn limit_descriptors(count: u64) {
    let limit = libc::rlimit { rlim_cur: count, rlim_max: 4_096 };
    // SAFETY: the struct lives through the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}

#[test]
fn connections_that_cannot_be_accepted_wait_and_cost_nothing() {
    let node = Node::new();
    limit_descriptors(200);
    // The caller has its descriptors before there are none left, and connects after it.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let second = socket.try_clone().unwrap();
    let phone = Phone::to(node.door(Transport::Tcp));
    let taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(taken.len() > 50, "{} descriptors were free", taken.len());
    socket.connect(&node.door(Transport::Tcp).into()).unwrap();
    let pipe = Box::new(Bytes::new(TcpStream::from(socket), TcpStream::from(second)));
    let mut caller = Caller::by(pipe, phone, Transport::Tcp);

    let before = cpu();
    std::thread::sleep(Duration::from_secs(1));
    let spent = cpu() - before;

    assert!(spent < Duration::from_millis(200), "{spent:?} for a second of waiting");
    assert_eq!(node.count(|c| &c.sip_streams_opened), 0);
    drop(taken);
    caller.is_answered();
}
