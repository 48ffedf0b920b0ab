//! What the tick needs but must not allocate or free: blank legs and rooms come in, what is done goes out.
//!
//! A small thread that is not realtime owns the other ends. When the supply is empty, commands that need
//! it wait for the next tick, in order.

use std::sync::Arc;

use crate::media::command::Agreement;
use crate::media::leg::{Lane, Leg, LegCodec};
use crate::media::room::Room;
use crate::media::srtp::Srtp;
use crate::play::feed::Playback;
use crate::record::tap::Tap;
use crate::sys::eventfd::EventFd;

/// Legs and rooms that one tick can begin: 3,200 a second.
const BLANKS: usize = 64;
/// Legs between which and their room there are two rates, in one tick: a room of 1,000 changes within
/// a few.
const LANES: usize = 128;
/// Beyond it the tick frees by itself; it takes a storm of hang-ups within one tick.
const GARBAGE: usize = 8_192;

/// Boxes on their way out; nobody reads them, they are dropped off the tick.
#[allow(dead_code)]
pub enum Garbage {
    Leg(Box<Leg>),
    Room(Box<Room>),
    Lane(Box<Lane>),
    Tap(Box<Tap>),
    Agreement(Box<Agreement>),
    Codec(Box<LegCodec>),
    Srtp(Box<Srtp>),
    Play(Box<Playback>),
}

/// The tick's end.
pub struct Supply {
    legs: rtrb::Consumer<Box<Leg>>,
    rooms: rtrb::Consumer<Box<Room>>,
    lanes: rtrb::Consumer<Box<Lane>>,
    garbage: rtrb::Producer<Garbage>,
    bell: Arc<EventFd>,
    is_touched: bool,
}

impl Supply {
    pub fn has_leg(&mut self) -> bool {
        self.is_touched = true;
        !self.legs.is_empty()
    }

    pub fn has_room(&mut self) -> bool {
        self.is_touched = true;
        !self.rooms.is_empty()
    }

    pub fn has_lane(&self) -> bool {
        !self.lanes.is_empty()
    }

    pub fn lane(&mut self) -> Option<Box<Lane>> {
        self.is_touched = true;
        self.lanes.pop().ok()
    }

    pub fn leg(&mut self) -> Option<Box<Leg>> {
        self.legs.pop().ok()
    }

    pub fn room(&mut self) -> Option<Box<Room>> {
        self.rooms.pop().ok()
    }

    pub fn discard(&mut self, garbage: Garbage) {
        self.is_touched = true;
        let _ = self.garbage.push(garbage);
    }

    /// End of a tick: one wake-up for all of it.
    pub fn flush(&mut self) {
        if std::mem::take(&mut self.is_touched) {
            self.bell.signal();
        }
    }
}

/// The other end.
pub struct Stock {
    legs: rtrb::Producer<Box<Leg>>,
    rooms: rtrb::Producer<Box<Room>>,
    lanes: rtrb::Producer<Box<Lane>>,
    garbage: rtrb::Consumer<Garbage>,
    bell: Arc<EventFd>,
}

impl Stock {
    /// Fills the supply and empties the garbage. False when the tick's end is gone.
    pub fn restock(&mut self) -> bool {
        while !self.legs.is_full() && self.legs.push(Leg::blank()).is_ok() {}
        while !self.rooms.is_full() && self.rooms.push(Room::blank()).is_ok() {}
        while !self.lanes.is_full() && self.lanes.push(Lane::blank()).is_ok() {}
        while self.garbage.pop().is_ok() {}
        !self.garbage.is_abandoned()
    }

    pub fn bell(&self) -> Arc<EventFd> {
        self.bell.clone()
    }
}

pub fn supply() -> std::io::Result<(Supply, Stock)> {
    let bell = Arc::new(EventFd::new()?);
    let (leg_producer, legs) = rtrb::RingBuffer::new(BLANKS);
    let (room_producer, rooms) = rtrb::RingBuffer::new(BLANKS);
    let (lane_producer, lanes) = rtrb::RingBuffer::new(LANES);
    let (garbage, garbage_consumer) = rtrb::RingBuffer::new(GARBAGE);
    let supply = Supply { legs, rooms, lanes, garbage, bell: bell.clone(), is_touched: false };
    let mut stock = Stock {
        legs: leg_producer,
        rooms: room_producer,
        lanes: lane_producer,
        garbage: garbage_consumer,
        bell,
    };
    stock.restock();
    Ok((supply, stock))
}
