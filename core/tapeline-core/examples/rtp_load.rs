//! Many talking phones for `benchmarks/conference.py`: real sockets, absolute deadlines, one thread.
//!
//! `rtp_load COUNT SECONDS` binds COUNT ports on loopback and prints them, one a line. It reads one
//! `address:port` a line for each from standard input, talks to them all for SECONDS, and prints one
//! line of JSON about what came back. Uses nothing of the core.

use std::io::{self, BufRead, ErrorKind, Write};
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

const FRAME: usize = 160;
const PERIOD: Duration = Duration::from_millis(20);
/// The phones' deadlines are spread over the period, as real ones are.
const PHASES: u32 = 20;
const HEADER: usize = 12;
const LOOP_SAMPLES: usize = 8_000;
/// Mean distance of µ-law bytes from silence; a mix of nine tones is far above it.
const AUDIBLE: u32 = 20;
/// After the last packet, what is still on its way is waited for.
const SETTLE: Duration = Duration::from_millis(300);
/// The first packets of a phone find jitter buffers that fill.
const WARM_UP: u64 = 100;

struct Phone {
    socket: UdpSocket,
    voice: Vec<u8>,
    /// What is heard after the last word is silent.
    is_talking: bool,
    ssrc: u32,
    sent: u64,
    heard: u64,
    silent: u64,
    first: Option<u16>,
    last: u16,
    wraps: u64,
}

#[derive(Default)]
struct Totals {
    sent: u64,
    heard: u64,
    lost: u64,
    silent: u64,
    deaf_phones: u64,
    refused: u64,
    worst_late_us: u128,
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (Some(Ok(count)), Some(Ok(seconds))) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::new(ErrorKind::InvalidInput, "rtp_load COUNT SECONDS"));
    };
    let mut phones = Vec::new();
    let mut out = io::stdout();
    for number in 0..count {
        let phone = Phone::new(number)?;
        writeln!(out, "{}", phone.socket.local_addr()?.port())?;
        phones.push(phone);
    }
    out.flush()?;
    let mut lines = io::stdin().lock().lines();
    for phone in &phones {
        let line = lines.next().ok_or(ErrorKind::UnexpectedEof)??;
        let peer: SocketAddr =
            line.trim().parse().map_err(|_| io::Error::new(ErrorKind::InvalidInput, line))?;
        phone.socket.connect(peer)?;
    }
    let totals = talk(&mut phones, Duration::from_secs(seconds));
    writeln!(
        out,
        "{{\"sent\": {}, \"heard\": {}, \"lost\": {}, \"silent\": {}, \"deaf_phones\": {}, \
         \"refused\": {}, \"worst_late_us\": {}}}",
        totals.sent,
        totals.heard,
        totals.lost,
        totals.silent,
        totals.deaf_phones,
        totals.refused,
        totals.worst_late_us
    )
}

/// Every phone sends once a period at its phase; what has come is taken just before.
fn talk(phones: &mut [Phone], length: Duration) -> Totals {
    let mut totals = Totals::default();
    let step = PERIOD / PHASES;
    let began = Instant::now();
    let mut turn: u32 = 0;
    let mut buffer = [0u8; 2048];
    for phone in phones.iter() {
        phone.forget(&mut buffer);
    }
    while step * turn < length {
        let due = began + step * turn;
        let now = Instant::now();
        if due > now {
            thread::sleep(due - now);
        } else {
            totals.worst_late_us = totals.worst_late_us.max((now - due).as_micros());
        }
        let phase = (turn % PHASES) as usize;
        for phone in phones.iter_mut().skip(phase).step_by(PHASES as usize) {
            phone.take(&mut buffer, &mut totals);
            phone.send(&mut totals);
        }
        turn += 1;
    }
    thread::sleep(SETTLE);
    for phone in phones.iter_mut() {
        phone.is_talking = false;
        phone.take(&mut buffer, &mut totals);
        totals.sent += phone.sent;
        totals.heard += phone.heard;
        totals.silent += phone.silent;
        totals.deaf_phones += u64::from(phone.heard + WARM_UP < phone.sent);
        totals.lost += phone.expected().saturating_sub(phone.heard);
    }
    totals
}

impl Phone {
    fn new(number: u64) -> io::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        socket.set_nonblocking(true)?;
        // Whole Hz, so that the loop of a second closes.
        let hz = 300 + (number * 37) % 2_000;
        let voice = (0..LOOP_SAMPLES)
            .map(|n| {
                let turns = (hz as usize * n % LOOP_SAMPLES) as f64 / LOOP_SAMPLES as f64;
                ulaw((2_000.0 * (std::f64::consts::TAU * turns).sin()) as i32)
            })
            .collect();
        Ok(Self {
            socket,
            voice,
            is_talking: true,
            ssrc: 0x5000_0000 | number as u32,
            sent: 0,
            heard: 0,
            silent: 0,
            first: None,
            last: 0,
            wraps: 0,
        })
    }

    fn send(&mut self, totals: &mut Totals) {
        let mut packet = [0u8; HEADER + FRAME];
        let (header, payload) = packet.split_at_mut(HEADER);
        let mut head = Vec::with_capacity(HEADER);
        head.extend([0x80, if self.sent == 0 { 0x80 } else { 0 }]);
        head.extend((self.sent as u16).to_be_bytes());
        head.extend(((self.sent as usize * FRAME) as u32).to_be_bytes());
        head.extend(self.ssrc.to_be_bytes());
        header.copy_from_slice(&head);
        let start = self.sent as usize * FRAME % LOOP_SAMPLES;
        for (to, from) in payload.iter_mut().zip(self.voice.iter().skip(start)) {
            *to = *from;
        }
        if self.socket.send(&packet).is_err() {
            totals.refused += 1;
        }
        self.sent += 1;
    }

    /// What came while the others were still being called: nobody talked yet.
    fn forget(&self, buffer: &mut [u8]) {
        while self.socket.recv(buffer).is_ok() {}
    }

    fn take(&mut self, buffer: &mut [u8], totals: &mut Totals) {
        loop {
            match self.socket.recv(buffer) {
                Ok(length) => self.hear(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    totals.refused += 1;
                    return;
                }
            }
        }
    }

    fn hear(&mut self, packet: &[u8]) {
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
        let distance: u32 = payload.iter().map(|byte| u32::from(!byte & 0x7F)).sum();
        let is_silent = distance < AUDIBLE * payload.len().max(1) as u32;
        self.silent += u64::from(is_silent && self.is_talking && self.heard > WARM_UP);
    }

    /// Packets that the sequence numbers promise.
    fn expected(&self) -> u64 {
        let Some(first) = self.first else { return 0 };
        (self.wraps * 65_536 + u64::from(self.last) + 1).saturating_sub(u64::from(first))
    }
}

/// G.711 §3.2.
fn ulaw(sample: i32) -> u8 {
    let sign = if sample < 0 { 0x80u8 } else { 0 };
    let biased = (sample.unsigned_abs().min(32_635) + 132) >> 3;
    let exponent = (biased.ilog2() as u8).saturating_sub(4);
    let mantissa = (biased >> exponent) as u8 & 0x0F;
    !(sign | exponent << 4 | mantissa)
}
