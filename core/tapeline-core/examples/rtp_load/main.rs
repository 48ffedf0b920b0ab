//! Many talking phones for `benchmarks/`: real sockets, absolute deadlines, one thread.
//!
//! `rtp_load COUNT SECONDS ROOM_SIZE [pulses] [opus] [one-talks]` binds COUNT ports on loopback and prints them, one a
//! line. It reads one `address:port` a line for each from standard input, with SRTP its suite and both
//! keys (ours, theirs) behind it, talks to them all for
//! SECONDS, and prints one line of JSON about what came back. Every ROOM_SIZE phones in a row share a
//! room; each has a tone of its own, and a seeded sample of them must hear all others of their room and
//! not themselves.
//!
//! With `pulses` all hum softly, and the first of each room sends a loud packet now and then: the time
//! from there until the kernel has it for the second of that room is the latency. Of the core it uses
//! nothing but Opus and SRTP.

mod inbox;
mod latency;
mod phone;
mod tones;
mod voice;

use std::io::{self, BufRead, ErrorKind, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use inbox::Inbox;
use latency::Latencies;
use phone::{Cast, Phone, Totals, WARM_UP};
use tapeline_core::media::srtp::{MasterKey, SrtpKeys, Suite};
use voice::Speech;

const PERIOD: Duration = Duration::from_millis(20);
/// The phones' deadlines are spread over the period, as real ones are; each room's differently.
const PHASES: u32 = 20;
/// After the last packet, what is still on its way is waited for.
const SETTLE: Duration = Duration::from_millis(300);

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
    let (Some(count), Some(seconds), Some(room_size @ 1..)) = (number(0), number(1), number(2))
    else {
        let usage = "rtp_load COUNT SECONDS ROOM_SIZE [pulses] [opus] [one-talks]";
        return Err(io::Error::new(ErrorKind::InvalidInput, usage));
    };
    let has = |name: &str| words.iter().skip(3).any(|word| word == name);
    let speech = if has("opus") { Speech::Opus } else { Speech::Pcmu };
    let cast = Cast { room_size, speech, pulses: has("pulses"), one_talks: has("one-talks") };
    let mut out = io::stdout();
    let mut phones = Vec::new();
    for number in 0..count {
        let phone = Phone::new(number, cast)?;
        writeln!(out, "{}", phone.port()?)?;
        phones.push(phone);
    }
    out.flush()?;
    let mut lines = io::stdin().lock().lines();
    for phone in &mut phones {
        let line = lines.next().ok_or(ErrorKind::UnexpectedEof)??;
        let (peer, keys) =
            peer_of(&line).ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, line.clone()))?;
        phone.connect(peer, keys)?;
    }
    let (totals, latencies) = talk(&mut phones, Duration::from_secs(seconds), room_size);
    writeln!(out, "{}", report(&totals, &latencies))
}

/// `address:port`, and for SRTP `SUITE OURS THEIRS`.
fn peer_of(line: &str) -> Option<(SocketAddr, Option<SrtpKeys>)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    match words.as_slice() {
        [peer] => Some((peer.parse().ok()?, None)),
        [peer, suite, ours, theirs] => {
            let suite = Suite::of(suite)?;
            let key = |text: &str| MasterKey::from_base64(suite, text);
            let keys = SrtpKeys { tag: 1, ours: key(ours)?, theirs: key(theirs)? };
            Some((peer.parse().ok()?, Some(keys)))
        }
        _ => None,
    }
}

/// Every phone sends once a period at its phase; what has come is taken just before.
fn talk(phones: &mut [Phone], length: Duration, room_size: u64) -> (Totals, Latencies) {
    let mut totals = Totals::default();
    let mut latencies = Latencies::new(phones.len() as u64 / room_size + 1);
    let step = PERIOD / PHASES;
    let mut turn: u32 = 0;
    let mut inbox = Inbox::new();
    for phone in phones.iter() {
        phone.forget(&mut inbox);
    }
    let began = Instant::now();
    while step * turn < length {
        let due = began + step * turn;
        let now = Instant::now();
        if due > now {
            thread::sleep(due - now);
        } else {
            totals.worst_late_us = totals.worst_late_us.max((now - due).as_micros());
        }
        for phone in phones.iter_mut().filter(|phone| phone.turn() == turn % PHASES) {
            phone.take(&mut inbox, &mut totals, &mut latencies);
            phone.send(&mut totals, &mut latencies);
        }
        turn += 1;
    }
    thread::sleep(SETTLE);
    for phone in phones.iter_mut() {
        phone.fall_silent();
        phone.take(&mut inbox, &mut totals, &mut latencies);
        phone.add_up(&mut totals);
    }
    (totals, latencies)
}

fn report(totals: &Totals, latencies: &Latencies) -> String {
    let Totals { sent, heard, lost, late, silent, deaf_phones, refused, .. } = totals;
    let (sampled, misheard, worst) = (totals.sampled, totals.misheard, totals.worst_late_us);
    let at = |share: f64| latencies.quantile_us(share);
    format!(
        "{{\"sent\": {sent}, \"heard\": {heard}, \"lost\": {lost}, \"late\": {late}, \
         \"silent\": {silent}, \"deaf_phones\": {deaf_phones}, \"refused\": {refused}, \
         \"sampled\": {sampled}, \"misheard\": {misheard}, \"worst_late_us\": {worst}, \
         \"pulses\": {}, \"pulses_missed\": {}, \"latency_p50_us\": {}, \"latency_p99_us\": {}, \
         \"latency_max_us\": {}, \"warm_up\": {WARM_UP}}}",
        latencies.count(),
        latencies.missed(),
        at(0.5),
        at(0.99),
        at(1.0),
    )
}
