//! What a leg tells of itself: reports to the far end, figures and a judgement for whoever asks.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use crate::media::command::{Agreement, RtcpPlace};
use crate::media::frame::{TICK_NS, TICKS_PER_SECOND};
use crate::media::leg::quality::mos_x100;
use crate::media::leg::rtcp::{REPORT_BYTES, SenderFacts, write_report};
use crate::media::leg::{Leg, TickContext};
use crate::record::tap::TickTime;

/// RTCP every five seconds (RFC 3550 §6.2: the least interval).
const REPORT_TICKS: u64 = 5 * TICKS_PER_SECOND as u64;

impl Leg {
    pub(super) fn report(&mut self, context: &mut TickContext<'_>) {
        let phase = u64::from(self.handle.0.slot) * 7;
        if (context.number + phase).is_multiple_of(REPORT_TICKS) {
            self.send_report(context.now, false);
            self.judge(context.now);
            self.expect_loss();
        }
    }

    /// How much is sent twice: as much as the far end loses, or those who share what it encodes.
    fn expect_loss(&mut self) {
        let percent = self.expected_loss().max(std::mem::take(&mut self.listeners_loss));
        if let (Some(codec), Some(percent)) = (&mut self.codec, percent) {
            codec.encoder.expect_loss(percent);
        }
    }

    /// The leg ends: the far end is told in RTCP too (RFC 3550 §6.6).
    pub fn farewell(&mut self, now: TickTime) {
        self.send_report(now, true);
    }

    fn send_report(&mut self, now: TickTime, is_last: bool) {
        let target = self.receiver.latch.target();
        let to = target.and_then(|to| rtcp_place(to, &self.agreement));
        let (Some(link), Some((to, with_rtp))) = (&mut self.link, to) else { return };
        let packets = self.packetizer.packets;
        let facts = SenderFacts {
            ssrc: self.packetizer.ssrc(),
            timestamp: self.packetizer.timestamp(),
            packets,
            octets: self.packetizer.octets,
            has_sent: packets != self.packets_reported,
            is_last,
        };
        self.packets_reported = packets;
        let mut buffer = [0; REPORT_BYTES];
        let about = (&mut self.receiver.reception, &mut self.receiver.reports);
        let length = write_report(&mut buffer, facts, about, now.unix_us, now.monotonic_ns);
        // A peer without RTCP answers with ICMP: no fact worth counting.
        let _ = link.send_rtcp(to, with_rtp, buffer.get(..length).unwrap_or(&[]));
    }

    /// How the last five seconds sounded.
    fn judge(&mut self, now: TickTime) {
        let Some(stats) = &self.stats else { return };
        let totals = self.receiver.totals;
        let (received, concealed) = (totals.received, u64::from(totals.concealed_frames));
        let before = std::mem::replace(&mut self.judged, (received, concealed));
        if received == before.0 {
            stats.mos_x100.store(0, Ordering::Relaxed);
            return;
        }
        let loss_percent = (concealed - before.1) as f32 * 100.0 / REPORT_TICKS as f32;
        let one_way_ms = self.one_way_ms(self.delay_ms(now));
        stats.mos_x100.store(mos_x100(one_way_ms, loss_percent), Ordering::Relaxed);
    }

    /// From the far end's mouth to the room; `delay_ms` is the jitter buffer's.
    fn one_way_ms(&self, delay_ms: u32) -> f32 {
        let way_ns = self.receiver.reports.remote.round_trip_ns.unwrap_or(0) / 2;
        let here_ms = delay_ms + u32::from(self.agreement.packet_ms);
        way_ns as f32 / 1e6 + here_ms as f32
    }

    /// Ten times a second: levels and totals for whoever asks. Returns the buffer's delay.
    pub fn publish(&mut self, context: &mut TickContext<'_>) -> u32 {
        // The frame of this tick has been pulled: the next one's delay is that of the next tick.
        let delay_ms = self.buffer_delay_ms(context.now.monotonic_ns + TICK_NS);
        let (rx, tx) = (self.rx_level.take_cdb(), self.tx_level.take_cdb());
        let totals = &mut self.receiver.totals;
        let lost = self.receiver.reception.lost();
        context.counts.lost += lost.saturating_sub(totals.lost_told);
        totals.lost_told = totals.lost_told.max(lost);
        let totals = *totals;
        let Some(stats) = &self.stats else { return delay_ms };
        stats.packets_received.store(totals.received, Ordering::Relaxed);
        stats.packets_sent.store(u64::from(self.packetizer.packets), Ordering::Relaxed);
        stats.packets_lost.store(lost, Ordering::Relaxed);
        stats.packets_late.store(totals.late, Ordering::Relaxed);
        stats.frames_concealed.store(totals.concealed_frames.into(), Ordering::Relaxed);
        stats.buffer_delay_ms.store(delay_ms, Ordering::Relaxed);
        let receiver = &self.receiver;
        let round_trip_us =
            receiver.reports.remote.round_trip_ns.map_or(0, |ns| ns.max(1_000) / 1_000);
        let jitter_ms = receiver.reception.jitter_ms();
        stats.jitter_ms.store(jitter_ms, Ordering::Relaxed);
        stats.jitter_max_ms.fetch_max(jitter_ms, Ordering::Relaxed);
        if totals.frames > 0 {
            let loss_percent = totals.concealed_frames as f32 * 100.0 / totals.frames as f32;
            let mos_x100 = mos_x100(self.one_way_ms(delay_ms), loss_percent);
            stats.call_mos_x100.store(mos_x100, Ordering::Relaxed);
        }
        stats.round_trip_us.store(round_trip_us as u32, Ordering::Relaxed);
        let remote_lost = receiver.reports.remote.lost.max(0);
        stats.remote_lost.store(remote_lost.unsigned_abs().into(), Ordering::Relaxed);
        stats.level_rx_cdb.store(rx, Ordering::Relaxed);
        stats.level_tx_cdb.store(tx, Ordering::Relaxed);
        delay_ms
    }
}

/// Where our reports go when RTP goes to `to`, and whether on the RTP's own port. What the SDP names is
/// good as long as the peer is where the SDP says.
fn rtcp_place(to: SocketAddr, agreement: &Agreement) -> Option<(SocketAddr, bool)> {
    match agreement.rtcp {
        RtcpPlace::Multiplexed => Some((to, true)),
        RtcpPlace::At(place) if to == agreement.remote => Some((place, false)),
        RtcpPlace::At(_) | RtcpPlace::NextPort => {
            let port = to.port().checked_add(1)?;
            Some((SocketAddr::new(to.ip(), port), false))
        }
    }
}
