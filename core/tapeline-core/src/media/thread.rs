//! The thread that ticks: absolute deadlines, realtime priority, and a helper that frees and refills.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::boundary::counters::{Counters, RoomRates};
use crate::boundary::sink::TickEventSink;
use crate::media::command::MediaCommand;
use crate::media::frame::TICK_NS;
use crate::media::phases::PHASE_NS;
use crate::media::supply::{Stock, supply};
use crate::media::tick::{MediaConfig, Tick};
use crate::record::tap::TickTime;
use crate::sys::thread::{become_realtime, monotonic_ns, sleep_until, unix_ns};

/// Later than this a tick counts as late.
const LATE_NS: u64 = 5_000_000;
/// Late ticks are run, but no more than so many at once.
const CATCH_UP: u64 = 5;
/// How long recordings whose ring is full may hold up a stop: 2 s.
const STOP_STEPS: u64 = 400;
const PRIORITY: i32 = 10;

/// Joins when dropped after [`MediaCommand::Stop`] was sent.
pub struct MediaThread {
    /// Of the rooms.
    pub rates: Arc<RoomRates>,
    tick: JoinHandle<()>,
    stock: JoinHandle<()>,
}

impl MediaThread {
    /// Returns when both threads have ended; send [`MediaCommand::Stop`] before.
    pub fn join(self) {
        let _ = self.tick.join();
        let _ = self.stock.join();
    }
}

pub fn start(
    config: MediaConfig,
    commands: rtrb::Consumer<MediaCommand>,
    events: TickEventSink,
    counters: Arc<Counters>,
) -> io::Result<MediaThread> {
    let (supply, stock) = supply()?;
    let stock = thread::Builder::new().name("tl-stock".into()).spawn(move || keep(stock))?;
    let rates = Arc::new(RoomRates::new(config.rooms));
    let told = rates.clone();
    let tick = thread::Builder::new().name("tl-media-0".into()).spawn(move || {
        let mut tick = Tick::new(config, commands, supply, events, counters.clone());
        tick.tell_rates_to(told);
        if config.realtime
            && let Err(error) = become_realtime(PRIORITY)
        {
            tick.trouble(format!(
                "no realtime priority for audio ({error}): under load it may stutter; \
                 grant CAP_SYS_NICE or an rtprio limit"
            ));
        }
        drive(&mut tick, &counters);
    })?;
    Ok(MediaThread { rates, tick, stock })
}

fn keep(mut stock: Stock) {
    let bell = stock.bell();
    while stock.restock() {
        bell.wait(Duration::from_millis(500));
    }
}

fn drive(tick: &mut Tick, counters: &Counters) {
    let mut deadline = monotonic_ns() + TICK_NS;
    let mut stopping_steps = 0;
    loop {
        sleep_until(deadline);
        let begun = monotonic_ns();
        let behind = begun.saturating_sub(deadline);
        if behind > LATE_NS {
            Counters::add(&counters.ticks_late, 1);
        }
        let missed = behind / TICK_NS;
        if missed > CATCH_UP {
            tick.skip(missed - CATCH_UP);
            deadline += (missed - CATCH_UP) * TICK_NS;
        }
        tick.step(TickTime { unix_us: unix_us_of(deadline), monotonic_ns: deadline });
        Counters::add(&counters.tick_busy_us, (monotonic_ns() - begun) / 1_000);
        if tick.is_done() || stopping_steps > STOP_STEPS {
            return;
        }
        stopping_steps += u64::from(tick.is_stopping());
        deadline += PHASE_NS;
    }
}

/// The wall clock at an instant of the monotonic one.
fn unix_us_of(monotonic: u64) -> i64 {
    let (unix, now) = (unix_ns() as i64, monotonic_ns() as i64);
    (unix - (now - monotonic as i64)) / 1_000
}
