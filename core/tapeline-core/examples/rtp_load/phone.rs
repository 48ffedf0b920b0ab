//! One phone: what it sends, and what of that which comes back is wrong.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::PHASES;
use crate::inbox::{Inbox, stamp_arrivals};
use crate::latency::Latencies;
use crate::tones::{RATE_HZ, amplitude_of, linear, pulse, tone};

const FRAME: usize = 160;
const HEADER: usize = 12;
/// Mean distance of µ-law bytes from silence; a mix of nine tones is far above it.
const AUDIBLE: u32 = 20;
/// The first packets of a phone find jitter buffers that fill.
pub const WARM_UP: u64 = 100;
/// Two packets further apart than two and a half periods: one was late.
const LATE_NS: u64 = 50_000_000;
const LOUD: f64 = 2_000.0;
const HUM: f64 = 150.0;
const PULSE: i32 = 20_000;
/// Mean magnitude above which a packet has at least a part of a pulse in it.
const PULSE_HEARD: u32 = 4_000;
/// Packets between two pulses, and what is added to them in turn, so that nothing beats in step.
const PULSE_EVERY: u64 = 23;
/// One phone of so many is listened to closely.
const SAMPLED: u64 = 7;

#[derive(Default)]
pub struct Totals {
    pub sent: u64,
    pub heard: u64,
    pub lost: u64,
    pub late: u64,
    pub silent: u64,
    pub deaf_phones: u64,
    pub refused: u64,
    pub sampled: u64,
    /// Of the sampled, those that missed somebody or heard themselves.
    pub misheard: u64,
    pub worst_late_us: u128,
}

pub struct Phone {
    socket: UdpSocket,
    number: u64,
    room_size: u64,
    pulses: bool,
    voice: Vec<u8>,
    pulse: Vec<u8>,
    /// What is heard after the last word is silent.
    is_talking: bool,
    sent: u64,
    heard: u64,
    silent: u64,
    late: u64,
    first: Option<u16>,
    last: u16,
    last_ns: u64,
    wraps: u64,
    /// A second of what it heard, when it is one of the sampled.
    second: Vec<i16>,
}

fn hz_of(number: u64) -> u64 {
    300 + (number * 37) % 2_000
}

impl Phone {
    pub fn new(number: u64, room_size: u64, pulses: bool) -> io::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        socket.set_nonblocking(true)?;
        stamp_arrivals(&socket)?;
        Ok(Self {
            socket,
            number,
            room_size,
            pulses,
            voice: tone(hz_of(number), if pulses { HUM } else { LOUD }),
            pulse: pulse(PULSE, FRAME),
            is_talking: true,
            sent: 0,
            heard: 0,
            silent: 0,
            late: 0,
            first: None,
            last: 0,
            last_ns: 0,
            wraps: 0,
            second: Vec::new(),
        })
    }

    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    pub fn connect(&self, peer: SocketAddr) -> io::Result<()> {
        self.socket.connect(peer)
    }

    fn room(&self) -> u64 {
        self.number / self.room_size
    }

    fn place(&self) -> u64 {
        self.number % self.room_size
    }

    /// When in the period it sends.
    pub fn turn(&self) -> u32 {
        ((self.number + self.room()) % u64::from(PHASES)) as u32
    }

    fn is_pulse(&self) -> bool {
        let is_due = self.sent.is_multiple_of(PULSE_EVERY + self.room() % 5);
        self.pulses && self.place() == 0 && self.sent > WARM_UP && is_due
    }

    pub fn send(&mut self, totals: &mut Totals, latencies: &mut Latencies) {
        let mut packet = [0u8; HEADER + FRAME];
        let (header, payload) = packet.split_at_mut(HEADER);
        let mut head = Vec::with_capacity(HEADER);
        head.extend([0x80, if self.sent == 0 { 0x80 } else { 0 }]);
        head.extend((self.sent as u16).to_be_bytes());
        head.extend(((self.sent as usize * FRAME) as u32).to_be_bytes());
        head.extend((0x5000_0000 | self.number as u32).to_be_bytes());
        header.copy_from_slice(&head);
        let start = self.sent as usize * FRAME % RATE_HZ;
        let is_pulse = self.is_pulse();
        let said = if is_pulse { &self.pulse } else { self.voice.get(start..).unwrap_or(&[]) };
        for (to, from) in payload.iter_mut().zip(said) {
            *to = *from;
        }
        if is_pulse {
            latencies.leaves(self.room(), unix_ns());
        }
        if self.socket.send(&packet).is_err() {
            totals.refused += 1;
        }
        self.sent += 1;
    }

    /// What came while the others were still being called: nobody talked yet.
    pub fn forget(&self, inbox: &mut Inbox) {
        while inbox.receive(&self.socket).is_ok_and(|count| count > 0) {}
    }

    pub fn take(&mut self, inbox: &mut Inbox, totals: &mut Totals, latencies: &mut Latencies) {
        loop {
            let Ok(count) = inbox.receive(&self.socket) else {
                totals.refused += 1;
                return;
            };
            for (packet, at_ns) in inbox.packets(count) {
                self.hear(packet, at_ns, latencies);
            }
            if count < Inbox::MOST {
                return;
            }
        }
    }

    fn hear(&mut self, packet: &[u8], at_ns: u64, latencies: &mut Latencies) {
        let (Some(&[high, low]), Some(payload)) = (packet.get(2..4), packet.get(HEADER..)) else {
            return;
        };
        let sequence = u16::from_be_bytes([high, low]);
        if self.first.is_none() {
            self.first = Some(sequence);
        } else if sequence < 0x1000 && self.last > 0xF000 {
            self.wraps += 1;
        }
        self.last = sequence;
        self.heard += 1;
        if self.heard <= WARM_UP || !self.is_talking {
            self.last_ns = at_ns;
            return;
        }
        self.late += u64::from(at_ns.saturating_sub(self.last_ns) > LATE_NS);
        self.last_ns = at_ns;
        let distance: u32 = payload.iter().map(|byte| u32::from(!byte & 0x7F)).sum();
        let is_silent = distance < AUDIBLE * payload.len().max(1) as u32;
        self.silent += u64::from(is_silent && !self.pulses);
        if self.pulses && self.place() == 1 {
            let loudness: u32 = payload.iter().map(|b| u32::from(linear(*b).unsigned_abs())).sum();
            if loudness > PULSE_HEARD * payload.len().max(1) as u32 {
                latencies.arrives(self.room(), at_ns);
            }
        }
        if self.is_sampled() && self.heard > 2 * WARM_UP && self.second.len() < RATE_HZ {
            self.second.extend(payload.iter().map(|byte| linear(*byte)));
        }
    }

    fn is_sampled(&self) -> bool {
        !self.pulses && (self.number * 5 + 3).is_multiple_of(SAMPLED)
    }

    pub fn fall_silent(&mut self) {
        self.is_talking = false;
    }

    pub fn add_up(&self, totals: &mut Totals) {
        totals.sent += self.sent;
        totals.heard += self.heard;
        totals.silent += self.silent;
        totals.late += self.late;
        totals.deaf_phones += u64::from(self.heard + WARM_UP < self.sent);
        totals.lost += self.expected().saturating_sub(self.heard);
        if self.is_sampled() {
            totals.sampled += 1;
            totals.misheard += u64::from(!self.heard_the_others());
        }
    }

    /// Packets that the sequence numbers promise.
    fn expected(&self) -> u64 {
        let Some(first) = self.first else { return 0 };
        (self.wraps * 65_536 + u64::from(self.last) + 1).saturating_sub(u64::from(first))
    }

    /// Every other phone of the room at its level, itself not at all.
    fn heard_the_others(&self) -> bool {
        let Some(second) = self.second.get(..RATE_HZ) else { return false };
        let first = self.room() * self.room_size;
        (first..first + self.room_size).all(|other| {
            let amplitude = amplitude_of(hz_of(other), second);
            if other == self.number { amplitude < LOUD / 20.0 } else { amplitude > LOUD / 2.0 }
        })
    }
}

fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
