//! The jitter buffer on seeded networks in virtual time, against the best fixed delay.

use super::Corrections;
use super::oracle::{CLEAN, Network, Random};

/// A switch and a busy host: rarely 8 ms late, next to nothing lost.
pub fn lan() -> impl FnMut(f64, &mut Random) -> Option<f64> {
    |_, random| {
        if random.next() < 0.000_5 {
            return None;
        }
        let hiccup = if random.next() < 0.001 { 8.0 * random.next() } else { 0.0 };
        Some(random.exponential(0.2) + hiccup)
    }
}

/// Contention, 1 % lost, and every few seconds a scan or a neighbour's download.
pub fn wifi() -> impl FnMut(f64, &mut Random) -> Option<f64> {
    let (mut begins, mut ends, mut height) = (0.0, 0.0, 0.0);
    move |sent, random| {
        if sent > ends {
            begins = sent + 500.0 + random.exponential(2_500.0);
            ends = begins + 20.0 + random.exponential(40.0);
            height = 20.0 + random.exponential(25.0);
        }
        let spike = if sent > begins { height * random.next() } else { 0.0 };
        (random.next() >= 0.011).then(|| 2.0 + random.exponential(4.0) + spike)
    }
}

/// The scheduler holds packets back for up to 100 ms and lets them go together.
pub fn lte() -> impl FnMut(f64, &mut Random) -> Option<f64> {
    let (mut begins, mut ends) = (0.0, 0.0);
    move |sent, random| {
        if sent > ends {
            begins = ends + 300.0 + random.exponential(1_200.0);
            ends = begins + 30.0 + 70.0 * random.next();
        }
        let hold = if sent > begins { ends - sent } else { 0.0 };
        (random.next() >= 0.01).then(|| 25.0 + random.exponential(2.0) + hold.max(0.0))
    }
}

/// Every half a minute or so the route changes, 10 to 90 ms longer than the shortest.
pub fn steps() -> impl FnMut(f64, &mut Random) -> Option<f64> {
    let (mut until, mut longer) = (0.0, 0.0);
    move |sent, random| {
        if sent > until {
            until = sent + 10_000.0 + random.exponential(20_000.0);
            longer = 10.0 + 80.0 * random.next();
        }
        (random.next() >= 0.002).then(|| longer + random.exponential(1.0))
    }
}

#[test]
fn a_clean_network_is_played_at_the_next_tick_whatever_the_phase() {
    for phase_ms in [0.6, 3.0, 10.0, 19.5] {
        let network = Network { phase_ms, packets: 3_000, ..CLEAN };
        let outcome = network.play(&mut |_, random| Some(random.exponential(0.2).min(1.5)));
        assert!(outcome.concealed_percent < 0.15, "{phase_ms}: {outcome:?}");
        assert!(outcome.mean_delay_ms < 22.0, "{phase_ms}: {outcome:?}");
        if phase_ms > 2.0 {
            assert!((outcome.mean_delay_ms - phase_ms).abs() < 1.0, "{phase_ms}: {outcome:?}");
        }
    }
}

#[test]
fn jitter_is_met_as_well_as_the_best_fixed_delay_would() {
    let mut worst = 0.0_f64;
    for seed in 1..=5 {
        // No pauses at all, and phases that leave little or much of a tick.
        for (talks, phase_ms) in [(0.5, 4.0), (1.0, 4.0), (0.5, 13.0), (1.0, 13.0)] {
            let base = Network { seed, talks, phase_ms, ..CLEAN };
            let outcomes = [
                ("LAN", 25.0, base.play(&mut lan())),
                ("Wi-Fi", 60.0, base.play(&mut wifi())),
                ("LTE", 80.0, base.play(&mut lte())),
                ("+200 ppm", 25.0, Network { ppm: 200.0, ..base }.play(&mut lan())),
                ("-200 ppm", 25.0, Network { ppm: -200.0, ..base }.play(&mut lan())),
                ("path steps", 100.0, base.play(&mut steps())),
            ];
            for (name, bearable_ms, outcome) in outcomes {
                let place = format!("{name}, seed {seed}, talks {talks}, phase {phase_ms}");
                assert!(outcome.above_oracle() <= 0.3, "{place}: {outcome:?}");
                assert!(outcome.mean_delay_ms < bearable_ms, "{place}: {outcome:?}");
                worst = worst.max(outcome.above_oracle());
            }
        }
    }
    println!("at most {worst:.2} percentage points above the oracle");
}

#[test]
fn two_hours_of_drift_cost_as_many_frames_as_they_are() {
    for ppm in [-500.0, 500.0] {
        for talks in [0.5, 1.0] {
            let network = Network { packets: 360_000, ppm, talks, ..CLEAN };
            let outcome = network.play(&mut |_, random| Some(random.exponential(0.4)));
            // 3.6 s in all, in frames.
            let (due, place) = (180, format!("{ppm} ppm, {talks}: {outcome:?}"));
            let Corrections { inserted_frames, dropped_frames, .. } = outcome.corrections;
            let (needed, needless) = if ppm < 0.0 {
                (inserted_frames, dropped_frames)
            } else {
                (dropped_frames, inserted_frames)
            };
            assert!((due - 2..=due + 9).contains(&needed) && needless <= 9, "{place}");
            // What is put in is made up unless it falls into a quiet moment.
            assert!(outcome.concealed_percent < 200.0 / 360_000.0 * 100.0, "{place}");
            assert!(outcome.mean_delay_ms < 26.0 && outcome.max_delay_ms < 50.0, "{place}");
        }
    }
}

#[test]
fn path_steps_are_followed_both_ways() {
    for step_ms in [30.0, 150.0] {
        let network = Network { packets: 30_000, ..CLEAN };
        let outcome = network.play(&mut |sent, random| {
            let is_slow = (sent / 60_000.0).fract() >= 0.5;
            Some(random.exponential(1.0) + if is_slow { step_ms } else { 0.0 })
        });
        // Ten steps up in ten minutes, a few frames each; the path itself takes half a step on average.
        assert!(outcome.concealed_percent < 0.3, "{step_ms}: {outcome:?}");
        assert!(outcome.mean_delay_ms < 35.0 + 0.7 * step_ms, "{step_ms}: {outcome:?}");
        assert!(outcome.max_delay_ms < 45.0 + 2.0 * step_ms, "{step_ms}: {outcome:?}");
    }
}

#[test]
fn the_delay_comes_down_again_after_a_burst() {
    let network = Network { packets: 3_000, ..CLEAN };
    let outcome = network.play(&mut |sent, random| {
        let is_burst = (11_000.0..19_000.0).contains(&sent);
        Some(if is_burst { random.next() * 120.0 } else { random.exponential(0.3) })
    });
    assert!(outcome.max_delay_ms > 80.0, "{outcome:?}");
    assert!(outcome.last_delay_ms < 22.0, "{outcome:?}");
}

#[test]
fn the_delay_is_back_ten_seconds_after_a_burst_of_200_ms() {
    for begins in [8_000.0, 11_040.0, 13_350.0] {
        for talks in [0.5, 1.0] {
            // Held back for 200 ms and let go together; the trace ends ten seconds later.
            let ends = begins + 200.0;
            let packets = ((ends + 10_000.0 - 1_000.0) / 20.0) as usize;
            let network = Network { packets, talks, ..CLEAN };
            let outcome = network.play(&mut |sent, random| {
                let is_held = (begins..ends).contains(&sent);
                Some(if is_held { ends - sent } else { random.exponential(0.3) })
            });
            assert!(outcome.last_delay_ms < 22.0, "{begins}, {talks}: {outcome:?}");
        }
    }
}

#[test]
fn a_stall_is_left_behind() {
    // Two seconds without a packet, then all of them at once.
    let network = Network { packets: 2_000, talks: 1.0, ..CLEAN };
    let outcome = network.play(&mut |sent, _| {
        Some(if (10_000.0..12_000.0).contains(&sent) { 12_000.0 - sent } else { 0.0 })
    });
    assert!(outcome.last_delay_ms < 35.0, "{outcome:?}");
}

#[test]
fn every_packet_time_survives_jitter() {
    for packet_ms in [10.0, 20.0, 30.0, 40.0, 60.0] {
        let network = Network { packet_ms, packets: 5_000, phase_ms: 4.0, ..CLEAN };
        let outcome = network.play(&mut |_, random| Some(random.exponential(1.0)));
        assert!(outcome.concealed_percent < 0.4, "{packet_ms} ms: {outcome:?}");
        assert!(outcome.mean_delay_ms < 45.0, "{packet_ms} ms: {outcome:?}");
    }
}
