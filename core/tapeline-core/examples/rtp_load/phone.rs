//! One phone: what it sends, and what of that which comes back is wrong.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::PHASES;
use tapeline_core::media::srtp::{GROWTH, Opened, Srtp, SrtpKeys};

use crate::inbox::{Inbox, stamp_arrivals};
use crate::latency::Latencies;
use crate::tones::{RATE_HZ, amplitude_of, linear, pulse, tone};
use crate::voice::{Listener, Speech};

const HEADER: usize = 12;
/// PCMU's 160 bytes; Opus stays below.
const PAYLOAD: usize = 256;
/// Mean distance of µ-law bytes from silence; a mix of nine tones is far above it.
const AUDIBLE: u32 = 20;
/// The first packets of a phone find jitter buffers that fill.
pub const WARM_UP: u64 = 100;
/// Two packets further apart than two and a half periods: one was late.
const LATE_NS: u64 = 50_000_000;
const LOUD: f64 = 2_000.0;
const HUM: f64 = 150.0;
const PULSE: i16 = 20_000;
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

/// What all phones of a run have in common.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    pub room_size: u64,
    pub speech: Speech,
    /// They measure latency.
    pub pulses: bool,
    /// Of each room the first alone; else all of them.
    pub one_talks: bool,
}

pub struct Phone {
    socket: UdpSocket,
    srtp: Option<Box<Srtp>>,
    number: u64,
    cast: Cast,
    /// A second of payloads.
    voice: Vec<Vec<u8>>,
    pulse: Vec<u8>,
    listener: Listener,
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
    pub fn new(number: u64, cast: Cast) -> io::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        socket.set_nonblocking(true)?;
        stamp_arrivals(&socket)?;
        let is_talker = !cast.one_talks || number.is_multiple_of(cast.room_size);
        let amplitude = match (cast.pulses, is_talker) {
            (true, _) => HUM,
            (false, true) => LOUD,
            (false, false) => 0.0,
        };
        Ok(Self {
            socket,
            srtp: None,
            number,
            cast,
            voice: cast.speech.payloads(&tone(hz_of(number), amplitude)),
            pulse: cast.speech.payloads(&pulse(PULSE, RATE_HZ)).swap_remove(0),
            listener: cast.speech.listener(),
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

    pub fn connect(&mut self, peer: SocketAddr, keys: Option<SrtpKeys>) -> io::Result<()> {
        self.srtp = keys.map(Srtp::new).map(Box::new);
        self.socket.connect(peer)
    }

    fn room(&self) -> u64 {
        self.number / self.cast.room_size
    }

    fn place(&self) -> u64 {
        self.number % self.cast.room_size
    }

    /// When in the period it sends.
    pub fn turn(&self) -> u32 {
        ((self.number + self.room()) % u64::from(PHASES)) as u32
    }

    fn is_pulse(&self) -> bool {
        let is_due = self.sent.is_multiple_of(PULSE_EVERY + self.room() % 5);
        self.cast.pulses && self.place() == 0 && self.sent > WARM_UP && is_due
    }

    pub fn send(&mut self, totals: &mut Totals, latencies: &mut Latencies) {
        let Cast { speech, .. } = self.cast;
        let is_pulse = self.is_pulse();
        let second = self.sent as usize % self.voice.len().max(1);
        let said = if is_pulse { Some(&self.pulse) } else { self.voice.get(second) };
        let said = said.map_or(&[][..], Vec::as_slice);
        let marker = if self.sent == 0 { 0x80 } else { 0 };
        let mut packet = [0u8; HEADER + PAYLOAD + GROWTH];
        let head = [0x80, marker | speech.payload_type()]
            .into_iter()
            .chain((self.sent as u16).to_be_bytes())
            .chain((self.sent as u32).wrapping_mul(speech.step()).to_be_bytes())
            .chain((0x5000_0000 | self.number as u32).to_be_bytes());
        for (to, from) in packet.iter_mut().zip(head.chain(said.iter().copied())) {
            *to = from;
        }
        let length = HEADER + said.len();
        let length = match &mut self.srtp {
            Some(srtp) => srtp.protect_rtp(&mut packet, length).unwrap_or(0),
            None => length,
        };
        if is_pulse {
            latencies.leaves(self.room(), unix_ns());
        }
        if self.socket.send(packet.get(..length).unwrap_or_default()).is_err() {
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

    fn hear(&mut self, packet: &mut [u8], at_ns: u64, latencies: &mut Latencies) {
        let opened = self.srtp.as_mut().map(|srtp| srtp.open_rtp(packet));
        let packet = match opened {
            None => &*packet,
            Some(Opened::Plain(length)) => packet.get(..length).unwrap_or_default(),
            Some(_) => return,
        };
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
        let is_telling =
            self.cast.speech == Speech::Pcmu && !self.cast.pulses && !self.cast.one_talks;
        self.silent += u64::from(is_silent && is_telling);
        if self.cast.pulses && self.place() == 1 {
            let loudness: u32 = payload.iter().map(|b| u32::from(linear(*b).unsigned_abs())).sum();
            if loudness > PULSE_HEARD * payload.len().max(1) as u32 {
                latencies.arrives(self.room(), at_ns);
            }
        }
        if self.is_sampled() && self.heard > 2 * WARM_UP && self.second.len() < RATE_HZ {
            self.listener.hear(payload, &mut self.second);
        }
    }

    fn is_sampled(&self) -> bool {
        !self.cast.pulses && (self.number * 5 + 3).is_multiple_of(SAMPLED)
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
        let first = self.room() * self.cast.room_size;
        let last = if self.cast.one_talks { first } else { first + self.cast.room_size - 1 };
        (first..=last).all(|other| {
            let amplitude = amplitude_of(hz_of(other), second);
            if other == self.number { amplitude < LOUD / 20.0 } else { amplitude > LOUD / 2.0 }
        })
    }
}

fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
