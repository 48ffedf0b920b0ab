//! Two legs in memory: what one protects the other opens, in every order and whatever is done to it.

use super::*;

/// Hexadecimal digits with white space between.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|letter| letter.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn key(suite: Suite, seed: u8) -> MasterKey {
    let bytes: Vec<u8> = (0..).map(|n| seed ^ (n * 7)).take(16 + suite.salt_bytes()).collect();
    MasterKey::from_bytes(suite, &bytes).unwrap()
}

/// The two ends of one call.
fn pair(suite: Suite) -> (Srtp, Srtp) {
    let (left, right) = (key(suite, 1), key(suite, 2));
    let of = |ours: &MasterKey, theirs: &MasterKey| {
        Srtp::new(SrtpKeys { tag: 1, ours: ours.clone(), theirs: theirs.clone() })
    };
    (of(&left, &right), of(&right, &left))
}

fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..160_u16).map(|n| (n ^ sequence) as u8));
    packet
}

fn protected(by: &mut Srtp, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + GROWTH, 0);
    let length = by.protect_rtp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(length);
    buffer
}

/// What is heard of a packet; panics when it is authentic but not what was said.
fn opened(by: &mut Srtp, packet: &[u8], expected: &[u8]) -> Opened {
    let mut packet = packet.to_vec();
    let opened = by.open_rtp(&mut packet);
    if let Opened::Plain(length) = opened {
        assert_eq!(packet[..length], *expected);
    }
    opened
}

const PLAIN: Opened = Opened::Plain(172);

/// Key, salt, packet and result are those that RFC 3711's appendix B.3 continues to in the tests of
/// other implementations.
#[test]
fn aes_cm_gives_the_bytes_that_others_give() {
    let bytes = hex("e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6");
    let known = MasterKey::from_bytes(Suite::AesCm80, &bytes).unwrap();
    let mut ours = Srtp::new(SrtpKeys { tag: 1, ours: known.clone(), theirs: known });

    let plain = hex("800f1234decafbadcafebabe abababababababababababababababab");
    assert_eq!(
        protected(&mut ours, &plain),
        hex("800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb")
    );

    let mut report = hex("81c8000bcafebabe abababababababababababababababab");
    let length = report.len();
    report.resize(length + GROWTH, 0);
    let length = ours.protect_rtcp(&mut report, length).unwrap();
    assert_eq!(
        report[..length],
        hex("81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798")
    );
}

#[test]
fn what_one_end_protects_the_other_opens_once() {
    for suite in Suite::ALL {
        let (mut left, mut right) = pair(suite);
        for sequence in 0..200 {
            let plain = rtp(9, sequence);
            let packet = protected(&mut left, &plain);
            assert_eq!(packet.len(), plain.len() + suite.tag_bytes());
            assert_ne!(packet[12..172], plain[12..]);
            assert_eq!(opened(&mut right, &packet, &plain), PLAIN);
            assert_eq!(opened(&mut right, &packet, &plain), Opened::Replayed);
            assert_eq!(opened(&mut left, &packet, &plain), Opened::Forged, "our own come back");
        }
    }
}

/// `>`: the next packet is sent, a digit hears the packet so many before the newest, upper case of
/// the outcome follows: P plain, R replayed, F forged.
fn run(suite: Suite, first: u16, script: &str) {
    let (mut left, mut right) = pair(suite);
    let mut sent: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for word in script.split_whitespace() {
        let Some((behind, outcome)) = word.split_once('=') else {
            for _ in 0..word.parse::<usize>().unwrap() {
                let plain = rtp(9, first.wrapping_add(sent.len() as u16));
                let packet = protected(&mut left, &plain);
                sent.push((plain, packet));
            }
            continue;
        };
        let (plain, packet) = &sent[sent.len() - 1 - behind.parse::<usize>().unwrap()];
        let expected = match outcome {
            "plain" => PLAIN,
            "replayed" => Opened::Replayed,
            _ => Opened::Forged,
        };
        assert_eq!(opened(&mut right, packet, plain), expected, "{suite:?} {script}: {word}");
    }
}

#[test]
fn roll_over_is_followed_in_every_order() {
    let scripts = [
        // A number sends so many packets; `n=…` hears the one that is n before the newest.
        (65_530, "6 5=plain 0=plain 4 3=plain 0=plain"),
        (65_534, "4 3=plain 2=plain 1=plain 0=plain 2=replayed 1=replayed"),
        (65_534, "4 2=plain 1=plain 3=plain 0=plain 3=replayed"), // reordered around the wrap
        (65_535, "2 1=plain 0=plain 1=replayed"),
        (65_535, "2 0=plain 1=plain 0=replayed"), // the first that is heard comes behind the wrap
        (65_530, "40 0=plain 35=plain 39=plain"), // as if all before the wrap had been lost or late
        (0, "2 1=plain 0=plain"),
        (0, "100 99=plain 0=plain 63=plain 64=replayed 99=replayed"),
        (1_000, "70000 0=plain"),   // one wrap that nobody heard
        (1_000, "140000 0=forged"), // two
        (1_000, "1 0=plain 30000 0=plain 30000 0=plain 30000 0=plain 29999=replayed"),
    ];
    for suite in Suite::ALL {
        for (first, script) in scripts {
            run(suite, first, script);
        }
    }
}

#[test]
fn nothing_before_the_first_packet_is_believed() {
    let (mut left, mut right) = pair(Suite::AesCm80);
    let packet = protected(&mut left, &rtp(9, 3));
    assert_eq!(opened(&mut right, &packet, &rtp(9, 3)), PLAIN);
    // Its nearest index would be below zero.
    let (mut other, _) = pair(Suite::AesCm80);
    let early = protected(&mut other, &rtp(9, 65_000));
    assert_eq!(opened(&mut right, &early, &rtp(9, 65_000)), Opened::Forged);
}

#[test]
fn several_streams_are_kept_apart_and_bounded() {
    for suite in Suite::ALL {
        let (_, mut right) = pair(suite);
        let mut streams: Vec<(u32, Srtp)> = (0..6).map(|ssrc| (ssrc, pair(suite).0)).collect();
        for sequence in 0..20 {
            for (ssrc, left) in &mut streams[..4] {
                let plain = rtp(*ssrc, sequence);
                let packet = protected(left, &plain);
                assert_eq!(opened(&mut right, &packet, &plain), PLAIN);
                assert_eq!(opened(&mut right, &packet, &plain), Opened::Replayed);
            }
        }
        // A fifth takes the place of the one unheard longest; forgeries take nobody's.
        for forged in 100..200 {
            let mut packet = rtp(forged, 1);
            packet.extend([0; 16]);
            assert_eq!(right.open_rtp(&mut packet), Opened::Forged);
        }
        let plain = rtp(4, 77);
        let packet = protected(&mut streams[4].1, &plain);
        assert_eq!(opened(&mut right, &packet, &plain), PLAIN);
        for (ssrc, left) in &mut streams[1..4] {
            let plain = rtp(*ssrc, 20);
            let packet = protected(left, &plain);
            assert_eq!(opened(&mut right, &packet, &plain), PLAIN);
            assert_eq!(opened(&mut right, &packet, &plain), Opened::Replayed);
        }
    }
}

fn report(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x81, 202, 0, 2, 0, 0, 0, 9, 1, 0, 0, 0]);
    packet
}

#[test]
fn reports_are_protected_and_counted_too() {
    for suite in Suite::ALL {
        let (mut left, mut right) = pair(suite);
        let mut packets = Vec::new();
        for ssrc in [9, 9, 11, 9] {
            let mut packet = report(ssrc);
            let plain = packet.len();
            packet.resize(plain + GROWTH, 0);
            let length = left.protect_rtcp(&mut packet, plain).unwrap();
            packet.truncate(length);
            packets.push((report(ssrc), packet));
        }
        packets.swap(0, 1);
        for (plain, packet) in &packets {
            let mut copy = packet.clone();
            assert_eq!(right.open_rtcp(&mut copy), Opened::Plain(plain.len()));
            assert_eq!(copy[..plain.len()], *plain);
            let mut again = packet.clone();
            assert_eq!(right.open_rtcp(&mut again), Opened::Replayed);
            for bit in 0..packet.len() * 8 {
                let mut forged = packet.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(!matches!(right.open_rtcp(&mut forged), Opened::Plain(_)), "{bit}");
            }
        }
    }
}

/// A re-INVITE: the packets on their way have the old key, then come those with the new.
#[test]
fn new_keys_lose_no_packet() {
    for suite in Suite::ALL {
        let (mut left, mut right) = pair(suite);
        for sequence in 0..10 {
            let plain = rtp(9, sequence);
            let packet = protected(&mut left, &plain);
            assert_eq!(opened(&mut right, &packet, &plain), PLAIN);
        }
        let late = protected(&mut left, &rtp(9, 10));
        let new = SrtpKeys { tag: 1, ours: key(suite, 2), theirs: key(suite, 77) };
        let mut next = Srtp::new(new);
        next.take_over(&mut right);

        assert_eq!(opened(&mut next, &late, &rtp(9, 10)), PLAIN);
        let keys = SrtpKeys { tag: 1, ours: key(suite, 77), theirs: key(suite, 2) };
        let mut changed = Srtp::new(keys);
        let packet = protected(&mut changed, &rtp(9, 11));
        assert_eq!(opened(&mut next, &packet, &rtp(9, 11)), PLAIN);
        let old = protected(&mut left, &rtp(9, 12));
        assert_eq!(opened(&mut next, &old, &rtp(9, 12)), Opened::Forged, "the old key is over");
    }
}

#[test]
fn new_keys_with_a_kept_roll_over_counter_are_understood() {
    let suite = Suite::AesCm80;
    let (mut left, mut right) = pair(suite);
    for number in (0..200_000_u32).step_by(500) {
        let plain = rtp(9, number as u16);
        let packet = protected(&mut left, &plain);
        assert_eq!(opened(&mut right, &packet, &plain), PLAIN);
    }
    let mut next = Srtp::new(SrtpKeys { tag: 1, ours: key(suite, 2), theirs: key(suite, 77) });
    next.take_over(&mut right);
    let mut sender = Srtp::new(SrtpKeys { tag: 1, ours: key(suite, 77), theirs: key(suite, 2) });
    for number in (0..200_500_u32).step_by(500) {
        protected(&mut sender, &rtp(9, number as u16));
    }

    let plain = rtp(9, 200_500_u32 as u16);
    let packet = protected(&mut sender, &plain);

    assert_eq!(opened(&mut next, &packet, &plain), PLAIN);
}

#[test]
fn a_key_that_stays_goes_on_counting() {
    let suite = Suite::AesGcm;
    let (mut left, mut right) = pair(suite);
    for number in (0..70_000_u32).step_by(500) {
        let plain = rtp(9, number as u16);
        let packet = protected(&mut left, &plain);
        assert_eq!(opened(&mut right, &packet, &plain), PLAIN);
    }
    let seen = protected(&mut left, &rtp(9, 4_900));
    assert_eq!(opened(&mut right, &seen, &rtp(9, 4_900)), PLAIN);
    let (mut left_again, mut right_again) = pair(suite);
    left_again.take_over(&mut left);
    right_again.take_over(&mut right);

    assert_eq!(opened(&mut right_again, &seen, &rtp(9, 4_900)), Opened::Replayed);
    let plain = rtp(9, 5_000);
    let packet = protected(&mut left_again, &plain);
    assert_eq!(opened(&mut right_again, &packet, &plain), PLAIN);
}

/// Bytes of every length and shape: no panic, and nothing of it is believed.
#[test]
fn mutated_packets_are_refused() {
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = move || {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice as usize
    };
    for suite in Suite::ALL {
        let (mut left, mut right) = pair(suite);
        let seeds = [protected(&mut left, &rtp(9, 5)), vec![0xb0; 64], report(9), vec![]];
        for _ in 0..30_000 {
            let mut packet = seeds[roll() % seeds.len()].clone();
            packet.truncate(roll() % (packet.len() + 1));
            for _ in 0..1 + roll() % 6 {
                if !packet.is_empty() {
                    let place = roll() % packet.len();
                    packet[place] ^= 1 << (roll() % 8);
                }
            }
            if seeds.contains(&packet) {
                continue;
            }
            let (mut as_rtp, mut as_rtcp) = (packet.clone(), packet);
            assert!(!matches!(right.open_rtp(&mut as_rtp), Opened::Plain(_)), "{as_rtp:x?}");
            assert!(!matches!(right.open_rtcp(&mut as_rtcp), Opened::Plain(_)), "{as_rtcp:x?}");
        }
    }
}
