//! RTCP (RFC 3550 §6): what we saw of the peer's stream, the reports we send, the reports we read. Pure.

use rtcp_types::{ReceiverReport, ReportBlock, RtcpPacketParser, SenderReport};

/// Reports read from one compound packet.
const MAX_REPORTS: usize = 8;
/// An SR with one report block, an SDES with a CNAME of eight characters, and a BYE.
pub const REPORT_BYTES: usize = 28 + 24 + 20 + 8;
/// Percent of our packets that a path is expected to lose about which nothing is known.
const PRESUMED_LOSS: u32 = 10;
/// Sender reports of ours that the peer may still refer to.
const REMEMBERED: usize = 4;
/// No path is so long; what says so is wrong.
const ROUND_TRIP_MAX_NS: u64 = 10_000_000_000;

/// What the peer's last report says of our stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteView {
    /// Packets of ours that it missed in all; fewer than none when some came twice.
    pub lost: i32,
    pub round_trip_ns: Option<u64>,
}

/// Reception of one stream (RFC 3550 appendix A.1, A.3, A.8).
#[derive(Clone, Debug, Default)]
pub struct Reception {
    ssrc: Option<u32>,
    base: u32,
    highest: u32,
    received: u32,
    expected_prior: u32,
    received_prior: u32,
    /// Packets lost in streams that ended.
    lost_before: u64,
    /// RTP clock units, times 16.
    jitter_x16: u32,
    last_transit: Option<i64>,
    last_sr: u32,
    last_sr_at_ns: u64,
    /// RTP clock of the peer's stream.
    rate_hz: u32,
}

/// What share of our packets the peer may be expected to miss: half way at once to a worse report, an
/// eighth of the way to a better one, because losses come in bursts.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpectedLoss {
    /// In 4096ths; `None` before the first report.
    share: Option<u32>,
}

impl ExpectedLoss {
    /// Of 100 packets; `None` before the first report.
    pub fn percent(self) -> Option<u8> {
        self.share.map(|share| (share * 100 / 4_096) as u8)
    }

    /// `fraction` as in a report block: 256ths.
    fn note(&mut self, fraction: u8) {
        let told = u32::from(fraction) * 16;
        let before = self.share.unwrap_or(PRESUMED_LOSS * 4_096 / 100);
        self.share = Some(match told.checked_sub(before) {
            Some(more) => before + more.div_ceil(2),
            None => before - (before - told).div_ceil(8),
        });
    }
}

/// Reports of both sides about our own stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reports {
    pub remote: RemoteView,
    pub loss: ExpectedLoss,
    /// Middle 32 bits of the NTP time of our last sender reports, and when they left.
    sent: [(u32, u64); REMEMBERED],
    next: usize,
}

impl Reports {
    fn note_sent(&mut self, middle: u32, at_ns: u64) {
        if let Some(place) = self.sent.get_mut(self.next % REMEMBERED) {
            *place = (middle, at_ns);
        }
        self.next = self.next.wrapping_add(1);
    }

    /// RFC 3550 §6.4.1: our report's way there, the peer's rest, its report's way back.
    fn note_block(&mut self, block: &ReportBlock<'_>, at_ns: u64) {
        self.loss.note(block.fraction_lost());
        let lost = block.cumulative_lost();
        self.remote.lost = ((lost << 8) as i32) >> 8; // 24 bits with a sign
        let last = block.last_sender_report_timestamp();
        let sent = self.sent.iter().find(|(middle, _)| *middle == last && last != 0);
        let Some((_, sent_ns)) = sent else { return };
        let rest_ns = u64::from(block.delay_since_last_sender_report_timestamp()) * 1_000_000_000;
        let round_trip = at_ns.saturating_sub(*sent_ns).checked_sub(rest_ns >> 16);
        // Nothing comes back before it left: then the peer's clock or its sums are wrong.
        if let Some(round_trip) = round_trip.filter(|ns| *ns < ROUND_TRIP_MAX_NS) {
            self.remote.round_trip_ns = Some(round_trip);
        }
    }
}

impl Reception {
    /// One packet of the stream; `rate_hz` is the RTP clock.
    pub fn packet(&mut self, ssrc: u32, sequence: u16, timestamp: u32, at_ns: u64, rate_hz: u32) {
        if self.ssrc != Some(ssrc) {
            self.begin(ssrc, sequence);
        }
        let ahead = i32::from(sequence.wrapping_sub(self.highest as u16) as i16);
        if !(-100..3_000).contains(&ahead) {
            self.begin(ssrc, sequence);
        } else if ahead > 0 {
            self.highest = self.highest.wrapping_add(ahead as u32);
        }
        self.received = self.received.wrapping_add(1);
        self.rate_hz = rate_hz;
        self.note_jitter(timestamp, at_ns, rate_hz);
    }

    fn begin(&mut self, ssrc: u32, sequence: u16) {
        self.lost_before = self.lost();
        let (last_sr, last_sr_at_ns) = (self.last_sr, self.last_sr_at_ns);
        *self = Self {
            ssrc: Some(ssrc),
            base: u32::from(sequence),
            highest: u32::from(sequence),
            lost_before: self.lost_before,
            last_sr,
            last_sr_at_ns,
            ..Self::default()
        };
    }

    fn note_jitter(&mut self, timestamp: u32, at_ns: u64, rate_hz: u32) {
        let arrival = (u128::from(at_ns) * u128::from(rate_hz) / 1_000_000_000) as u32;
        let transit = i64::from(arrival.wrapping_sub(timestamp));
        if let Some(last) = self.last_transit {
            let change = (transit as u32).wrapping_sub(last as u32) as i32;
            let change = change.unsigned_abs().min(rate_hz);
            self.jitter_x16 = self.jitter_x16 + change - ((self.jitter_x16 + 8) >> 4);
        }
        self.last_transit = Some(transit);
    }

    fn expected(&self) -> u32 {
        match self.ssrc {
            Some(_) => self.highest.wrapping_sub(self.base).wrapping_add(1),
            None => 0,
        }
    }

    /// Packets that should have come and did not, over all streams of the leg.
    pub fn lost(&self) -> u64 {
        self.lost_before + u64::from(self.expected().saturating_sub(self.received))
    }

    /// Interarrival jitter, milliseconds.
    pub fn jitter_ms(&self) -> u32 {
        let jitter = u64::from(self.jitter_x16 >> 4) * 1_000;
        jitter.checked_div(u64::from(self.rate_hz)).unwrap_or(0) as u32
    }

    /// Reads a compound packet: sender reports, and what both kinds say of our stream, whose SSRC is
    /// `ours`. False when it is no RTCP.
    ///
    /// The walk is ours: the crate's own iterator allocates for SDES and BYE.
    pub fn read(&mut self, mut bytes: &[u8], ours: u32, reports: &mut Reports, at_ns: u64) -> bool {
        for _ in 0..MAX_REPORTS {
            let [first, kind, high, low, ..] = *bytes else { return bytes.is_empty() };
            let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
            let Some((packet, rest)) = bytes.split_at_checked(length) else { return false };
            if first >> 6 != 2 {
                return false;
            }
            match kind {
                200 => {
                    let Ok(report) = SenderReport::parse(packet) else { return false };
                    self.last_sr = (report.ntp_timestamp() >> 16) as u32;
                    self.last_sr_at_ns = at_ns;
                    for block in report.report_blocks().filter(|block| block.ssrc() == ours) {
                        reports.note_block(&block, at_ns);
                    }
                }
                201 => {
                    let Ok(report) = ReceiverReport::parse(packet) else { return false };
                    for block in report.report_blocks().filter(|block| block.ssrc() == ours) {
                        reports.note_block(&block, at_ns);
                    }
                }
                _ => {}
            }
            bytes = rest;
        }
        true
    }

    /// The report block about the peer's stream; `None` before its first packet.
    fn block(&mut self, now_ns: u64) -> Option<[u8; 24]> {
        let ssrc = self.ssrc?;
        let expected = self.expected();
        let expected_now = expected.wrapping_sub(self.expected_prior);
        let received_now = self.received.wrapping_sub(self.received_prior);
        (self.expected_prior, self.received_prior) = (expected, self.received);
        let lost_now = u64::from(expected_now.saturating_sub(received_now));
        let fraction = (lost_now * 256).checked_div(u64::from(expected_now)).unwrap_or(0).min(255);
        let lost = i64::from(expected).saturating_sub(i64::from(self.received));
        let lost = (lost.clamp(-0x80_0000, 0x7f_ffff) as u32) & 0xff_ffff;
        let delay = match self.last_sr {
            0 => 0,
            _ => {
                (u128::from(now_ns.saturating_sub(self.last_sr_at_ns)) * 65_536 / 1_000_000_000)
                    as u32
            }
        };
        let mut block = [0; 24];
        let words = [
            ssrc,
            (fraction as u32) << 24 | lost,
            self.highest,
            self.jitter_x16 >> 4,
            self.last_sr,
            delay,
        ];
        for (place, word) in block.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        Some(block)
    }
}

/// What a sender report says of our own stream.
#[derive(Clone, Copy, Debug)]
pub struct SenderFacts {
    pub ssrc: u32,
    /// RTP timestamp of the instant of the report.
    pub timestamp: u32,
    pub packets: u32,
    pub octets: u32,
    /// False: we sent nothing since the last report, so it is a receiver report.
    pub has_sent: bool,
    /// The leg ends: a BYE follows.
    pub is_last: bool,
}

/// Writes SR or RR and SDES (RFC 3550 §6.1); returns the length.
pub fn write_report(
    buffer: &mut [u8; REPORT_BYTES],
    facts: SenderFacts,
    (reception, reports): (&mut Reception, &mut Reports),
    unix_us: i64,
    now_ns: u64,
) -> usize {
    let block = reception.block(now_ns);
    let mut writer = Writer { buffer, length: 0 };
    let words = if facts.has_sent { 6 } else { 1 } + if block.is_some() { 6 } else { 0 };
    let kind: u32 = if facts.has_sent { 200 } else { 201 };
    writer.word(2 << 30 | u32::from(block.is_some()) << 24 | kind << 16 | words);
    writer.word(facts.ssrc);
    if facts.has_sent {
        let (seconds, fraction) = ntp(unix_us);
        reports.note_sent(seconds << 16 | fraction >> 16, now_ns);
        for word in [seconds, fraction, facts.timestamp, facts.packets, facts.octets] {
            writer.word(word);
        }
    }
    if let Some(block) = block {
        writer.bytes(&block);
    }
    // SDES: one chunk, CNAME (1) of eight characters, end, padded to a word.
    writer.word(2 << 30 | 1 << 24 | 202 << 16 | 4);
    writer.word(facts.ssrc);
    writer.bytes(&[1, 8]);
    for shift in (0..8).rev() {
        let digit = (facts.ssrc >> (shift * 4)) & 0xf;
        writer.bytes(&[char::from_digit(digit, 16).map_or(b'0', |digit| digit as u8)]);
    }
    writer.bytes(&[0, 0]);
    if facts.is_last {
        writer.word(2 << 30 | 1 << 24 | 203 << 16 | 1);
        writer.word(facts.ssrc);
    }
    writer.length
}

/// NTP time (RFC 3550 §4): seconds since 1900 and their fraction.
fn ntp(unix_us: i64) -> (u32, u32) {
    let seconds = unix_us.div_euclid(1_000_000) + 2_208_988_800;
    let fraction = (unix_us.rem_euclid(1_000_000) << 32) / 1_000_000;
    (seconds as u32, fraction as u32)
}

struct Writer<'a> {
    buffer: &'a mut [u8; REPORT_BYTES],
    length: usize,
}

impl Writer<'_> {
    fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let places = self.buffer.iter_mut().skip(self.length);
        for (place, byte) in places.zip(bytes) {
            *place = *byte;
        }
        self.length = (self.length + bytes.len()).min(REPORT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtcp_types::{Compound, Packet};

    fn facts(has_sent: bool) -> SenderFacts {
        SenderFacts {
            ssrc: 0xdead_beef,
            timestamp: 1_600,
            packets: 10,
            octets: 1_600,
            has_sent,
            is_last: false,
        }
    }

    fn written(
        buffer: &mut [u8; REPORT_BYTES],
        facts: SenderFacts,
        reception: &mut Reception,
        unix_us: i64,
        now_ns: u64,
    ) -> usize {
        write_report(buffer, facts, (reception, &mut Reports::default()), unix_us, now_ns)
    }

    #[test]
    fn expected_loss_rises_quickly_and_comes_down_slowly() {
        let mut loss = ExpectedLoss::default();
        assert_eq!(loss.percent(), None);
        let mut reported = |fraction, times| {
            (0..times).map(|_| loss.note(fraction)).for_each(drop);
            loss.percent().unwrap()
        };
        assert_eq!(reported(0, 1), 8);
        assert_eq!(reported(0, 20), 0, "a clean path");
        assert_eq!(reported(51, 1), 10, "20 %");
        assert_eq!(reported(51, 2), 17);
        assert_eq!(reported(0, 1), 15);
        assert_eq!(reported(0, 4), 8, "not at once");
        assert!(reported(255, 20) >= 99, "all");
        assert_eq!(reported(0, 100), 0);
    }

    /// Two ends, each a parser of the other's reports: 40 ms there, 60 ms back, every tenth lost.
    #[test]
    fn round_trip_and_loss_come_back_in_reports() {
        const MS: u64 = 1_000_000;
        let (mut ours, mut theirs) = (Reports::default(), Reports::default());
        let mut reception = Reception::default();
        for sequence in (0..1_000_u16).filter(|sequence| sequence % 10 != 3) {
            let timestamp = u32::from(sequence) * 160;
            reception.packet(
                0xdead_beef,
                sequence,
                timestamp,
                u64::from(timestamp) * 125_000,
                8_000,
            );
        }
        let mut nobody = Reception::default();
        let mut buffer = [0; REPORT_BYTES];
        let length =
            write_report(&mut buffer, facts(true), (&mut nobody, &mut ours), 7_123_456, 900 * MS);
        assert!(reception.read(&buffer[..length], 5, &mut theirs, 5_000 * MS));

        let mut answer = [0; REPORT_BYTES];
        let peer = SenderFacts { ssrc: 5, is_last: true, ..facts(false) };
        let (later, unix_us) = (5_000 * MS + 1_500 * MS, 99);
        let length = write_report(&mut answer, peer, (&mut reception, &mut theirs), unix_us, later);
        let back_ns = 900 * MS + 40 * MS + 1_500 * MS + 60 * MS;
        assert!(nobody.read(&answer[..length], 0xdead_beef, &mut ours, back_ns));

        assert_eq!(ours.remote.lost, 100);
        let round_trip = ours.remote.round_trip_ns.unwrap();
        assert!(round_trip.abs_diff(100 * MS) < MS / 10, "{round_trip}");
        let packets: Vec<_> =
            Compound::parse(&answer[..length]).unwrap().map(Result::unwrap).collect();
        assert!(matches!(&packets[..], [Packet::Rr(_), Packet::Sdes(_), Packet::Bye(_)]));
    }

    #[test]
    fn a_report_that_nobody_sent_tells_no_round_trip() {
        let (mut reports, mut reception) = (Reports::default(), Reception::default());
        let mut bytes = vec![0x81, 201, 0, 7, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0xff, 0xff, 0xfe];
        bytes.extend([0; 8]);
        bytes.extend([0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0]);
        assert!(reception.read(&bytes, 9, &mut reports, 1));
        assert_eq!(reports.remote, RemoteView { lost: -2, round_trip_ns: None });
        assert!(reception.read(&bytes, 8, &mut reports, 1), "about somebody else");
    }

    #[test]
    fn mutated_reports_change_nothing_but_figures() {
        let (mut ours, mut reception) = (Reports::default(), Reception::default());
        reception.packet(7, 1, 0, 0, 8_000);
        let mut buffer = [0; REPORT_BYTES];
        let facts = SenderFacts { is_last: true, ..facts(true) };
        write_report(&mut buffer, facts, (&mut reception, &mut ours), 1_500_000, 900);
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..200_000_u64 {
            let mut bytes = buffer.to_vec();
            for _ in 0..1 + round % 5 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                let place = (dice >> 8) as usize % bytes.len();
                bytes[place] = dice as u8;
            }
            bytes.truncate((dice >> 32) as usize % (bytes.len() + 1));
            reception.read(&bytes, 0xdead_beef, &mut ours, round * 1_000);
        }
        assert_eq!((reception.lost(), reception.ssrc), (0, Some(7)));
    }

    #[test]
    fn reports_are_what_another_parser_reads() {
        let mut reception = Reception::default();
        for sequence in [65_534_u16, 65_535, 1, 2] {
            let timestamp = u32::from(sequence.wrapping_add(2)) * 160;
            let at_ns = 1_000_000_000 + u64::from(timestamp) * 125_000;
            reception.packet(7, sequence, timestamp, at_ns, 8_000);
        }
        let mut buffer = [0; REPORT_BYTES];
        let length = written(&mut buffer, facts(true), &mut reception, 1_500_000, 3_000_000_000);

        let packets: Vec<_> =
            Compound::parse(&buffer[..length]).unwrap().map(Result::unwrap).collect();
        let [Packet::Sr(report), Packet::Sdes(sdes)] = &packets[..] else { panic!("{packets:?}") };
        assert_eq!((report.ssrc(), report.packet_count()), (0xdead_beef, 10));
        assert_eq!(report.ntp_timestamp(), (2_208_988_801 << 32) | 1 << 31);
        let block = report.report_blocks().next().unwrap();
        assert_eq!((block.ssrc(), block.cumulative_lost(), block.fraction_lost()), (7, 1, 51));
        assert_eq!(block.extended_sequence_number(), 0x1_0002);
        assert_eq!(block.interarrival_jitter(), 0);
        assert_eq!(sdes.chunks().next().unwrap().items().next().unwrap().value(), b"deadbeef");
        assert_eq!(reception.lost(), 1);
    }

    #[test]
    fn a_silent_leg_without_a_peer_sends_an_empty_receiver_report() {
        let mut buffer = [0; REPORT_BYTES];
        let length = written(&mut buffer, facts(false), &mut Reception::default(), 0, 0);
        let packets: Vec<_> =
            Compound::parse(&buffer[..length]).unwrap().map(Result::unwrap).collect();
        let [Packet::Rr(report), Packet::Sdes(_)] = &packets[..] else { panic!("{packets:?}") };
        assert_eq!(report.n_reports(), 0);
    }

    #[test]
    fn the_peers_sender_report_comes_back_with_its_age() {
        let mut reception = Reception::default();
        reception.packet(7, 1, 0, 0, 8_000);
        let theirs = SenderReport::builder(7).ntp_timestamp(0x1122_3344_5566_7788);
        let mut bytes = [0; 28];
        use rtcp_types::RtcpPacketWriterExt;
        theirs.write_into(&mut bytes).unwrap();

        assert!(reception.read(&bytes, 0, &mut Reports::default(), 1_000_000_000));
        let block = reception.block(2_500_000_000).unwrap();
        assert_eq!(block[16..20], 0x3344_5566_u32.to_be_bytes());
        assert_eq!(block[20..24], 98_304_u32.to_be_bytes());
    }

    #[test]
    fn what_is_no_rtcp_is_refused() {
        let mut reception = Reception::default();
        for bytes in [&[0x80][..], &[0x80, 200, 0, 6], &[0x40, 201, 0, 0], &[0x80, 200, 0, 0]] {
            assert!(!reception.read(bytes, 0, &mut Reports::default(), 0), "{bytes:?}");
        }
    }

    #[test]
    fn a_new_stream_keeps_the_losses_of_the_old() {
        let mut reception = Reception::default();
        for (ssrc, sequence) in [(1, 10), (1, 13), (2, 900), (2, 901)] {
            reception.packet(ssrc, sequence, 0, 0, 8_000);
        }
        assert_eq!(reception.lost(), 2);
    }
}
