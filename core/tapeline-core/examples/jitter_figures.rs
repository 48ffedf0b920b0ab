//! What a packet and its frame cost in the jitter buffer: `cargo run --release --example jitter_figures`.
//!
//! 20 ms packets of a clean network, 10 ms before the tick that plays them, through 200 buffers in turn
//! (so that a buffer's memory is as cold as it is in a node); the best of 15 runs of ten seconds each.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use tapeline_core::media::codec::{Codec, Decoder, Encoder, PAYLOAD_MAX, Rate};
use tapeline_core::media::jitter::{AudioPacket, JitterBuffer};

const LEGS: usize = 200;
const TICKS: u64 = 500;
const RUNS: usize = 15;
const TICK_NS: u64 = 20_000_000;

fn main() -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "inline bytes of a buffer: {}", size_of::<JitterBuffer>())?;
    let codecs = [Codec::Pcmu, Codec::G722, Codec::L16(Rate::Wide), Codec::Opus(Rate::Wide)];
    for codec in codecs {
        let best = (0..RUNS).filter_map(|_| run(codec)).fold(f64::MAX, f64::min);
        writeln!(out, "{codec:?}: {best:.0} ns for an insert and a pull")?;
    }
    Ok(())
}

/// Nanoseconds of one packet and its frame.
fn run(codec: Codec) -> Option<f64> {
    let mut encoder = Encoder::new(codec).ok()?;
    let mut frame = vec![0; codec.rate().frame()];
    for (n, sample) in frame.iter_mut().enumerate() {
        *sample = (6_000.0 * (n as f64 * 0.13).sin()) as i16;
    }
    let mut buffer = [0; PAYLOAD_MAX];
    let bytes = encoder.encode(&frame, &mut buffer);
    let payload = buffer.get(..bytes)?;
    let buffers = (0..LEGS).map(|_| Some(JitterBuffer::new(Decoder::new(codec).ok()?)));
    let mut buffers: Vec<JitterBuffer> = buffers.collect::<Option<_>>()?;
    let units = codec.clock_hz() / 50;
    let began = Instant::now();
    for tick in 0..TICKS {
        let arrival_ns = 1_000_000_000 + tick * TICK_NS;
        for buffer in &mut buffers {
            buffer.insert(&AudioPacket {
                ssrc: 1,
                sequence: tick as u16,
                timestamp: tick as u32 * units,
                codec,
                payload,
                arrival_ns,
            });
            black_box(buffer.pull(arrival_ns + TICK_NS / 2, &mut frame));
        }
    }
    Some(began.elapsed().as_nanos() as f64 / (TICKS * LEGS as u64) as f64)
}
