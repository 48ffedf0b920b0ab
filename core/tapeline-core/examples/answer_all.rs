//! Answers every call and lets nobody hear anything: the SIP thread alone, for load and attack
//! tests. `answer_all [ADDRESS]` listens on UDP (default `127.0.0.1:5070`) until standard input ends,
//! then prints counters and the CPU time it used.

use std::collections::HashMap;
use std::error::Error;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tapeline_core::boundary::command::{Access, Network, SipCommand};
use tapeline_core::boundary::counters::Counters;
use tapeline_core::boundary::event::Event;
use tapeline_core::boundary::handle::SlotAllocator;
use tapeline_core::boundary::sink::event_path;
use tapeline_core::media::command::{MediaCommand, MediaHandle};
use tapeline_core::media::ports::PortPool;
use tapeline_core::sdp::Preference;
use tapeline_core::sip::{Limits, SipConfig, start};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5070".into());
    let loopback: Vec<_> = Network::parse("127.0.0.0/8").into_iter().collect();
    let config = SipConfig {
        udp: vec![address.parse()?],
        streams: Vec::new(),
        tls: Default::default(),
        dns: vec![],
        advertised: None,
        ports: PortPool::new([127, 0, 0, 1].into(), 20_000..=39_999)?,
        codecs: Preference::default(),
        user_agent: "tapeline/answer_all".into(),
        realm: "tapeline".into(),
        limits: Limits { dialogs: 5_000, ..Limits::default() },
        access: Access {
            networks: loopback.clone(),
            rate_per_source: 300,
            rate_exempt: loopback,
            max_unacknowledged: 1_000,
        },
        srtp: Default::default(),
    };
    let counters = Arc::new(Counters::default());
    let (sink, _tick, events) = event_path(counters.clone())?;
    let (media, mut commands) = MediaHandle::new();
    let slots = Arc::new(SlotAllocator::new(5_000));
    let sip = start(config, media, sink, counters.clone(), slots.clone())?;
    println!("listening on {:?}", sip.local_addresses());

    let is_open = Arc::new(AtomicBool::new(true));
    let flag = is_open.clone();
    thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        flag.store(false, Ordering::Relaxed);
    });
    let mut sockets = HashMap::new();
    while is_open.load(Ordering::Relaxed) {
        for event in events.drain(10_000) {
            if let Event::CallArrived(call) = event {
                sip.send(0, SipCommand::Answer { leg: call.leg })?;
            }
        }
        while let Ok(command) = commands.pop() {
            match command {
                MediaCommand::AddLeg(setup) => drop(sockets.insert(setup.leg, setup)),
                MediaCommand::RemoveLeg { leg } => drop(sockets.remove(&leg)),
                _ => {}
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
    sip.stop();
    for (name, value) in counters.snapshot().into_iter().filter(|(_, value)| *value > 0) {
        println!("{name} {value}");
    }
    println!("slots_in_use {}", slots.in_use());
    println!("cpu_ms {}", cpu_ms()?);
    Ok(())
}

/// User and system time of this process.
fn cpu_ms() -> Result<u64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Ok((ticks(11) + ticks(12)) * 10)
}
