//! In which order records are used. Pure.

use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};

use crate::boundary::transport::Transport;

/// A name that has SRV records, and what its hosts are called by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub transport: Transport,
    pub name: String,
}

impl Service {
    /// RFC 3263 §4.1, without NAPTR.
    pub fn of(transport: Transport, domain: &str) -> Self {
        let prefix = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
            // RFC 7118 §8.1.
            Transport::Ws => "_sip._ws",
            Transport::Wss => "_sips._ws",
        };
        Self { transport, name: format!("{prefix}.{domain}.") }
    }
}

/// Of the transports we call by; sips by TLS alone (RFC 3263 §4.1).
pub(super) fn services(mut pointers: Vec<NAPTR>, is_sips: bool) -> Vec<Service> {
    pointers.sort_by_key(|naptr| (naptr.order, naptr.preference));
    let known = pointers.iter().filter(|naptr| naptr.flags.eq_ignore_ascii_case(b"s"));
    known
        .filter_map(|naptr| {
            let services = naptr.services.to_ascii_uppercase();
            let transport = match &*services {
                b"SIP+D2U" => Transport::Udp,
                b"SIP+D2T" => Transport::Tcp,
                b"SIPS+D2T" => Transport::Tls,
                _ => return None,
            };
            (!is_sips || transport == Transport::Tls)
                .then(|| Service { transport, name: naptr.replacement.to_ascii() })
        })
        .collect()
}

/// The lowest priority first; among equals by lot, as their weights say (RFC 2782).
pub(super) fn in_order(records: &mut [SRV], draw: &mut impl FnMut() -> u64) {
    // Weight 0 first, so that it has its small chance.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut rest = records;
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|record| record.priority == first.priority).count();
        let total: u64 = rest.iter().take(count).map(|record| u64::from(record.weight)).sum();
        let mut lot = draw() % (total + 1);
        let chosen = rest.iter().take(count).position(|record| {
            let weight = u64::from(record.weight);
            let is_it = lot <= weight;
            lot = lot.saturating_sub(weight);
            is_it
        });
        if let Some(group) = rest.get_mut(..=chosen.unwrap_or(0)) {
            // The others keep their order.
            group.rotate_right(1);
        }
        rest = rest.get_mut(1..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;

    use super::*;

    fn srv(priority: u16, weight: u16, port: u16) -> SRV {
        SRV::new(priority, weight, port, Name::from_ascii("h.example.").unwrap())
    }

    fn naptr(order: u16, preference: u16, service: &str, flags: &str) -> NAPTR {
        let name = Name::from_ascii(format!("{service}.example.").replace('+', "-")).unwrap();
        let boxed = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
        NAPTR::new(order, preference, boxed(flags), boxed(service), boxed(""), name)
    }

    #[test]
    fn priorities_are_kept_and_weights_are_chances() {
        let mut state = 1u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        let mut firsts = [0u32; 3];
        for _ in 0..4_000 {
            let mut records = [srv(2, 0, 9), srv(1, 75, 1), srv(1, 25, 2), srv(1, 0, 0)];
            in_order(&mut records, &mut draw);
            assert_eq!(records[3].port, 9);
            firsts[usize::from(records[0].port)] += 1;
            let mut rest: Vec<_> = records[..3].iter().map(|record| record.port).collect();
            rest.sort();
            assert_eq!(rest, [0, 1, 2]);
        }
        assert!((2_800..3_200).contains(&firsts[1]), "{firsts:?}");
        assert!((800..1_200).contains(&firsts[2]), "{firsts:?}");
        assert!(firsts[0] < 120, "{firsts:?}");
    }

    #[test]
    fn pointers_are_followed_in_their_order_where_we_can_go() {
        let pointers = || {
            vec![
                naptr(20, 1, "SIP+D2U", "s"),
                naptr(10, 2, "sip+d2t", "S"),
                naptr(10, 1, "SIPS+D2T", "s"),
                naptr(1, 1, "SIP+D2S", "s"),
                naptr(1, 2, "SIP+D2U", "u"),
            ]
        };
        let transports = |is_sips| {
            let found = services(pointers(), is_sips);
            found.into_iter().map(|service| service.transport).collect::<Vec<_>>()
        };
        assert_eq!(transports(false), [Transport::Tls, Transport::Tcp, Transport::Udp]);
        assert_eq!(transports(true), [Transport::Tls]);
        assert_eq!(services(pointers(), true)[0].name, "SIPS-D2T.example.");
        assert_eq!(Service::of(Transport::Tls, "a.b").name, "_sips._tcp.a.b.");
    }
}
