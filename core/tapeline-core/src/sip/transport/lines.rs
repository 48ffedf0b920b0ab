//! The lines of a node: the UDP sockets it sends from, the doors streams come in by, and every stream
//! that lives, found again by where it leads.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};

use tokio::sync::Mutex;

use crate::boundary::transport::Transport;
use crate::sip::config::StreamLimits;
use crate::sip::rate::owner;
use crate::sip::transport::line::Line;

/// A bound address at which streams arrive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door {
    pub transport: Transport,
    pub local: SocketAddr,
}

/// The other end of a stream.
type End = (Transport, SocketAddr);

#[derive(Default)]
pub(crate) struct Lines {
    udp: RefCell<Vec<Rc<Line>>>,
    doors: RefCell<Vec<Door>>,
    streams: RefCell<HashMap<End, Rc<Line>>>,
    sources: RefCell<HashMap<IpAddr, usize>>,
    seated: Cell<usize>,
    turns: RefCell<HashMap<End, Weak<Mutex<()>>>>,
}

/// The right to be a stream; given back when it is dropped.
pub(crate) struct Seat {
    lines: Rc<Lines>,
    source: IpAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.lines.seated.set(self.lines.seated.get() - 1);
        let mut sources = self.lines.sources.borrow_mut();
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

impl Lines {
    pub fn add_udp(&self, line: Rc<Line>) {
        self.udp.borrow_mut().push(line);
    }

    pub fn add_door(&self, door: Door) {
        self.doors.borrow_mut().push(door);
    }

    /// The socket of the destination's family; one that is not bound to this machine alone for one
    /// outside of it.
    pub fn udp_to(&self, destination: SocketAddr) -> Option<Rc<Line>> {
        self.udp.borrow().iter().find(|line| line.reaches(destination)).cloned()
    }

    /// Any: for what has no far end yet.
    pub fn any(&self) -> Option<Rc<Line>> {
        self.udp.borrow().first().cloned()
    }

    /// Where a peer can call us by `transport`: a door of its family.
    pub fn door_for(&self, transport: Transport, peer: SocketAddr) -> Option<Door> {
        let doors = self.doors.borrow();
        let is_fitting = |door: &&Door| {
            let is_inner = door.local.ip().is_loopback() && !peer.ip().is_loopback();
            door.transport == transport && door.local.is_ipv6() == peer.is_ipv6() && !is_inner
        };
        doors.iter().find(is_fitting).copied()
    }

    /// A place for one more stream; `None` when all of them, or the source's, are taken.
    pub fn seat(self: &Rc<Self>, source: IpAddr, limits: &StreamLimits) -> Option<Seat> {
        let source = owner(source);
        let mut sources = self.sources.borrow_mut();
        let of_source = sources.get(&source).copied().unwrap_or(0);
        if self.seated.get() >= limits.in_all || of_source >= limits.per_source {
            return None;
        }
        sources.insert(source, of_source + 1);
        self.seated.set(self.seated.get() + 1);
        Some(Seat { lines: self.clone(), source })
    }

    pub fn add_stream(&self, line: &Rc<Line>) {
        if let Line::Stream(stream) = &**line {
            let key = (stream.transport(), stream.peer());
            self.streams.borrow_mut().insert(key, line.clone());
        }
    }

    pub fn remove_stream(&self, line: &Rc<Line>) {
        if let Line::Stream(stream) = &**line {
            let key = (stream.transport(), stream.peer());
            let mut streams = self.streams.borrow_mut();
            if streams.get(&key).is_some_and(|there| Rc::ptr_eq(there, line)) {
                streams.remove(&key);
            }
        }
    }

    /// Whoever opens a stream to `peer` holds it, so that others find what was opened.
    pub fn turn(&self, transport: Transport, peer: SocketAddr) -> Rc<Mutex<()>> {
        let mut turns = self.turns.borrow_mut();
        turns.retain(|_, turn| turn.strong_count() > 0);
        let known = turns.get(&(transport, peer)).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let turn = Rc::new(Mutex::new(()));
            turns.insert((transport, peer), Rc::downgrade(&turn));
            turn
        })
    }

    /// A living stream to `peer`. With a `server_name` it is one whose certificate was checked
    /// against it.
    pub fn stream_to(
        &self,
        transport: Transport,
        peer: SocketAddr,
        server_name: &str,
    ) -> Option<Rc<Line>> {
        let streams = self.streams.borrow();
        let line = streams.get(&(transport, peer)).filter(|line| !line.is_over())?;
        let is_checked = match &**line {
            Line::Stream(stream) => server_name.is_empty() || stream.server_name() == server_name,
            Line::Udp(_) => false,
        };
        is_checked.then(|| line.clone())
    }
}
