//! The jitter buffer on seeded networks in virtual time, against the best fixed delay.
//!
//! A [`Network`] turns sent packets into arrivals; [`play`] runs the buffer tick by tick. The oracle
//! knows the whole trace: of all fixed delays it takes the one (between two neighbours, since a delay
//! is a whole number of ticks) with the same mean as the buffer's and says what that would conceal.

use super::*;

const RATE: u32 = 8_000;
const MS: f64 = 1e6;

/// xorshift64*: seeded, and the same everywhere.
struct Random(u64);

impl Random {
    /// Uniform in 0..1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.next()).ln()
    }
}

/// What a network does to packet `index`, sent at `sent_ms`: its delay in ms, or `None` when lost.
type Path<'a> = &'a mut dyn FnMut(usize, f64, &mut Random) -> Option<f64>;

struct Network {
    packets: usize,
    packet_ms: f64,
    /// How much faster the sender's clock runs, parts per million.
    ppm: f64,
    /// The first packet's place between two ticks, ms before the second.
    phase_ms: f64,
    /// Share of time in which the sender speaks; the rest is quiet.
    talks: f64,
    seed: u64,
}

const CLEAN: Network =
    Network { packets: 15_000, packet_ms: 20.0, ppm: 0.0, phase_ms: 10.0, talks: 0.5, seed: 7 };

#[derive(Debug, Default)]
struct Outcome {
    concealed_percent: f64,
    mean_delay_ms: f64,
    max_delay_ms: f64,
    last_delay_ms: f64,
    corrections: Corrections,
    /// What the best fixed delay of the same mean conceals.
    oracle_percent: f64,
}

fn arrivals(network: &Network, path: Path<'_>) -> Vec<Option<f64>> {
    let mut random = Random(network.seed | 1);
    let mut last = 0.0_f64;
    (0..network.packets)
        .map(|index| {
            let sent = 1_000.0 + index as f64 * network.packet_ms * (1.0 - network.ppm * 1e-6);
            let arrival = sent + 20.0 - network.phase_ms + path(index, sent, &mut random)?;
            // One path keeps the order: a delayed packet holds up those behind it.
            last = last.max(arrival);
            Some(last)
        })
        .collect()
}

fn play(network: &Network, path: Path<'_>) -> Outcome {
    let arrivals = arrivals(network, path);
    let samples = (network.packet_ms * f64::from(RATE) / 1_000.0) as usize;
    let mut buffer = JitterBuffer::new(RATE);
    let (mut next, mut concealed, mut frames, mut delay) = (0, 0_u64, 0_u64, 0.0);
    let mut outcome = Outcome::default();
    let end = arrivals.iter().flatten().last().copied().unwrap_or(0.0);
    let mut tick = 1_020.0;
    while tick <= end {
        while let Some(arrival) = arrivals.get(next) {
            if arrival.is_some_and(|arrival| arrival > tick) {
                break;
            }
            if let Some(arrival) = arrival {
                let cycle = (next as f64 * network.packet_ms / 2_000.0).fract();
                let payload = vec![if cycle < network.talks { 0x90 } else { 0xfe }; samples];
                buffer.insert(&AudioPacket {
                    ssrc: 1,
                    sequence: next as u16,
                    timestamp: (next * samples) as u32,
                    codec: Codec::Pcmu,
                    payload: &payload,
                    arrival_ns: (arrival * MS) as u64,
                });
            }
            next += 1;
        }
        let now_ns = (tick * MS) as u64;
        if let Some(delay_ns) = buffer.delay_ns(now_ns) {
            let delay_ms = delay_ns as f64 / MS;
            delay += delay_ms;
            outcome.max_delay_ms = outcome.max_delay_ms.max(delay_ms);
            outcome.last_delay_ms = delay_ms;
            frames += 1;
        }
        let pulled = buffer.pull(now_ns, &mut [0; 160]);
        concealed += u64::from(pulled.concealed);
        tick += 20.0;
    }
    outcome.corrections = buffer.corrections();
    outcome.concealed_percent = concealed as f64 / 160.0 / frames as f64 * 100.0;
    outcome.mean_delay_ms = delay / frames as f64;
    outcome.oracle_percent = oracle(network, &arrivals, outcome.mean_delay_ms);
    outcome
}

/// Transit of each packet that arrived, ms.
fn transits<'a>(
    network: &'a Network,
    arrivals: &'a [Option<f64>],
) -> impl Iterator<Item = Option<f64>> + 'a {
    let step = network.packet_ms * (1.0 - network.ppm * 1e-6);
    arrivals.iter().enumerate().map(move |(n, arrival)| Some((*arrival)? - n as f64 * step))
}

/// What the best fixed delay of a mean of `mean_ms` conceals, percent of the packets.
fn oracle(network: &Network, arrivals: &[Option<f64>], mean_ms: f64) -> f64 {
    let rest = transits(network, arrivals).flatten().fold(f64::MAX, f64::min);
    let fixed = |delay_ms: f64| {
        let is_late = |transit: Option<f64>| transit.is_none_or(|t| t - rest > delay_ms + 1e-6);
        let late = transits(network, arrivals).filter(|transit| is_late(*transit)).count();
        late as f64 / arrivals.len() as f64 * 100.0
    };
    // Delays that ticks allow: from the fastest packet to its tick, and whole ticks more.
    let least = (-rest).rem_euclid(20.0);
    let below = ((mean_ms - least) / 20.0).floor().max(0.0);
    let share = ((mean_ms - least) / 20.0 - below).clamp(0.0, 1.0);
    fixed(least + below * 20.0) * (1.0 - share) + fixed(least + below * 20.0 + 20.0) * share
}

fn wifi(_: usize, sent: f64, random: &mut Random) -> Option<f64> {
    if random.next() < 0.011 {
        return None;
    }
    // A scan or a neighbour's download every few seconds.
    let spike = if (sent / 2_700.0).fract() < 0.012 { 45.0 } else { 0.0 };
    Some(2.0 + random.exponential(4.0) + spike * random.next())
}

fn lte(_: usize, sent: f64, random: &mut Random) -> Option<f64> {
    // The scheduler holds packets back and lets them go together.
    let hold = (sent / 1_400.0).fract() * 1_400.0;
    let burst = if hold < 90.0 { 90.0 - hold } else { 0.0 };
    (random.next() >= 0.01).then(|| 25.0 + random.exponential(2.0) + burst)
}

#[test]
fn a_clean_network_is_played_at_the_next_tick_whatever_the_phase() {
    for phase_ms in [0.6, 3.0, 10.0, 19.5] {
        let network = Network { phase_ms, packets: 3_000, ..CLEAN };
        let outcome = play(&network, &mut |_, _, random| Some(random.exponential(0.2).min(1.5)));
        assert!(outcome.concealed_percent < 0.15, "{phase_ms}: {outcome:?}");
        assert!(outcome.mean_delay_ms < 22.0, "{phase_ms}: {outcome:?}");
        if phase_ms > 2.0 {
            assert!((outcome.mean_delay_ms - phase_ms).abs() < 1.0, "{phase_ms}: {outcome:?}");
        }
    }
}

#[test]
fn jitter_is_met_as_well_as_the_best_fixed_delay_would() {
    let cases: [(&str, Network, Path<'_>); 4] = [
        ("Wi-Fi", CLEAN, &mut wifi),
        ("Wi-Fi, no pauses", Network { talks: 1.0, ..CLEAN }, &mut wifi),
        ("LTE", Network { seed: 11, ..CLEAN }, &mut lte),
        ("lossy LAN", CLEAN, &mut |_, _, random| {
            (random.next() >= 0.03).then(|| random.exponential(0.5))
        }),
    ];
    for (name, network, path) in cases {
        let outcome = play(&network, path);
        let above = outcome.concealed_percent - outcome.oracle_percent;
        assert!(above < 0.3, "{name}: {outcome:?}");
        assert!(outcome.mean_delay_ms < 120.0, "{name}: {outcome:?}");
    }
}

#[test]
fn drift_either_way_costs_next_to_nothing_and_never_adds_up() {
    for ppm in [-500.0, -200.0, 200.0, 500.0] {
        for talks in [0.5, 1.0] {
            // 20 minutes: 600 ms of drift at 500 ppm.
            let network = Network { packets: 60_000, ppm, talks, ..CLEAN };
            let outcome = play(&network, &mut |_, _, random| Some(random.exponential(0.4)));
            assert!(outcome.concealed_percent < 0.2, "{ppm} ppm, {talks}: {outcome:?}");
            assert!(outcome.mean_delay_ms < 26.0, "{ppm} ppm, {talks}: {outcome:?}");
            assert!(outcome.max_delay_ms < 50.0, "{ppm} ppm, {talks}: {outcome:?}");
        }
    }
}

#[test]
fn path_steps_are_followed_both_ways() {
    for step_ms in [30.0, 150.0] {
        let network = Network { packets: 30_000, ..CLEAN };
        let outcome = play(&network, &mut |_, sent, random| {
            let is_slow = (sent / 60_000.0).fract() >= 0.5;
            Some(random.exponential(1.0) + if is_slow { step_ms } else { 0.0 })
        });
        // Ten steps up in ten minutes, a few frames each.
        assert!(outcome.concealed_percent < 0.3, "{step_ms}: {outcome:?}");
        assert!(outcome.mean_delay_ms < 35.0 + step_ms / 5.0, "{step_ms}: {outcome:?}");
    }
}

#[test]
fn the_delay_comes_down_again_after_a_burst() {
    let network = Network { packets: 3_000, ..CLEAN };
    let outcome = play(&network, &mut |index, _, random| {
        let is_burst = (500..900).contains(&index);
        Some(if is_burst { random.next() * 120.0 } else { random.exponential(0.3) })
    });
    assert!(outcome.max_delay_ms > 80.0, "{outcome:?}");
    assert!(outcome.last_delay_ms < 22.0, "{outcome:?}");
}

#[test]
fn a_stall_is_left_behind() {
    // Two seconds without a packet, then all of them at once.
    let network = Network { packets: 2_000, talks: 1.0, ..CLEAN };
    let outcome = play(&network, &mut |_, sent, _| {
        Some(if (10_000.0..12_000.0).contains(&sent) { 12_000.0 - sent } else { 0.0 })
    });
    assert!(outcome.last_delay_ms < 35.0, "{outcome:?}");
}

#[test]
fn every_packet_time_survives_jitter() {
    for packet_ms in [10.0, 20.0, 30.0, 40.0, 60.0] {
        let network = Network { packet_ms, packets: 5_000, phase_ms: 4.0, ..CLEAN };
        let outcome = play(&network, &mut |_, _, random| Some(random.exponential(1.0)));
        assert!(outcome.concealed_percent < 0.4, "{packet_ms} ms: {outcome:?}");
        assert!(outcome.mean_delay_ms < 45.0, "{packet_ms} ms: {outcome:?}");
    }
}
