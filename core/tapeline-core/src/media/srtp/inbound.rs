//! Opening the peer's packets: roll-over counters guessed, tags checked before anything is decrypted,
//! replays refused (RFC 3711 §3.3). Pure.

use crate::media::srtp::Opened;
use crate::media::srtp::cipher::{ENCRYPTED, RTCP_WORD, RtpIndex, SessionKeys};
use crate::media::srtp::header::{rtcp_ssrc, rtp_header};
use crate::media::srtp::keys::MasterKey;
use crate::media::srtp::window::ReplayWindow;

/// Sources at once; only an authentic packet makes one, and takes the place of the one unheard longest.
const STREAMS: usize = 4;
const HALF: u16 = 0x8000;

#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    ssrc: u32,
    roll_over: u32,
    /// Of the packet with the highest index.
    sequence: u16,
    window: ReplayWindow,
    /// Number of the packet that was opened last; 0: nobody's place.
    used: u64,
}

impl Stream {
    /// Roll-over counter of a packet (RFC 3711 appendix A): the one that brings its index nearest to
    /// the highest. `None`: before the first packet there can be.
    fn roll_over_of(&self, sequence: u16) -> Option<u32> {
        let ahead = sequence.wrapping_sub(self.sequence);
        if ahead < HALF {
            let is_wrapped = sequence < self.sequence;
            self.roll_over.checked_add(u32::from(is_wrapped))
        } else {
            self.roll_over.checked_sub(u32::from(sequence > self.sequence))
        }
    }

    fn note(&mut self, index: RtpIndex) {
        let highest = u64::from(self.roll_over) << 16 | u64::from(self.sequence);
        if self.used == 0 || index.number() > highest {
            (self.roll_over, self.sequence) = (index.roll_over, index.sequence);
        }
        self.window.note(index.number());
    }
}

/// SRTCP carries its index: one window a sender is enough.
#[derive(Clone, Copy, Debug, Default)]
struct Reporter {
    ssrc: u32,
    window: ReplayWindow,
    used: u64,
}

pub(super) struct Inbound {
    keys: SessionKeys,
    streams: [Stream; STREAMS],
    reporters: [Reporter; STREAMS],
    opened: u64,
}

impl Inbound {
    pub fn new(master: &MasterKey) -> Self {
        Self {
            keys: SessionKeys::new(master),
            streams: Default::default(),
            reporters: Default::default(),
            opened: 0,
        }
    }

    /// New keys for streams that go on: some senders keep their roll-over counters.
    pub fn continue_from(&mut self, former: &Self) {
        for (place, stream) in self.streams.iter_mut().zip(&former.streams) {
            // What it has seen belongs to the old keys.
            *place = Stream { window: ReplayWindow::default(), used: 0, ..*stream };
        }
    }

    /// Opens a packet of the RTP socket in place.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Opened {
        let Some((header, ssrc, sequence)) = rtp_header(packet) else { return Opened::Malformed };
        let Some(length) = packet.len().checked_sub(self.keys.suite().tag_bytes()) else {
            return Opened::Malformed;
        };
        if header > length {
            return Opened::Malformed;
        }
        let index = |roll_over| RtpIndex { ssrc, roll_over, sequence };
        let known = self.streams.iter().position(|s| s.used > 0 && s.ssrc == ssrc);
        if let Some(stream) = known.and_then(|place| self.streams.get_mut(place)) {
            let Some(roll_over) = stream.roll_over_of(sequence) else { return Opened::Forged };
            if !stream.window.is_new(index(roll_over).number()) {
                return Opened::Replayed;
            }
            if self.keys.open_rtp(packet, header, index(roll_over)).is_err() {
                return Opened::Forged;
            }
            self.opened += 1;
            stream.note(index(roll_over));
            stream.used = self.opened;
            return Opened::Plain(length);
        }
        for roll_over in self.first_guesses(ssrc, sequence).into_iter().flatten() {
            if self.keys.open_rtp(packet, header, index(roll_over)).is_ok() {
                self.begin(index(roll_over));
                return Opened::Plain(length);
            }
        }
        Opened::Forged
    }

    /// A sender begins at 0 (RFC 3711 §3.3.1). When its first packets are lost it may have wrapped
    /// already; when only its keys are new it may have kept its counter.
    fn first_guesses(&self, ssrc: u32, sequence: u16) -> [Option<u32>; 3] {
        let former = self.streams.iter().find(|s| s.used == 0 && s.roll_over > 0 && s.ssrc == ssrc);
        let kept = former.and_then(|stream| stream.roll_over_of(sequence)).filter(|&kept| kept > 1);
        [Some(0), (sequence < HALF).then_some(1), kept]
    }

    fn begin(&mut self, index: RtpIndex) {
        self.opened += 1;
        let same = self.streams.iter().position(|s| s.ssrc == index.ssrc && s.used == 0);
        let oldest = (0..).zip(&self.streams).min_by_key(|(_, s)| s.used).map(|(place, _)| place);
        let Some(stream) = same.or(oldest).and_then(|place: usize| self.streams.get_mut(place))
        else {
            return;
        };
        *stream = Stream { ssrc: index.ssrc, ..Stream::default() };
        stream.note(index);
        stream.used = self.opened;
    }

    /// Opens a compound RTCP packet in place.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Opened {
        let word = self.keys.rtcp_word_at(packet.len());
        let word = word.and_then(|at| packet.get(at..)?.first_chunk::<RTCP_WORD>());
        let (Some(word), Some(ssrc)) = (word, rtcp_ssrc(packet)) else { return Opened::Malformed };
        let word = u32::from_be_bytes(*word);
        if word & ENCRYPTED == 0 {
            // Nobody may leave it out: UNENCRYPTED_SRTCP is not agreed with anybody.
            return Opened::Forged;
        }
        let index = word & !ENCRYPTED;
        let place = self.reporters.iter().position(|r| r.used > 0 && r.ssrc == ssrc);
        let known = place.and_then(|place| self.reporters.get(place));
        if known.is_some_and(|reporter| !reporter.window.is_new(u64::from(index))) {
            return Opened::Replayed;
        }
        let Ok(length) = self.keys.open_rtcp(packet, ssrc, index) else { return Opened::Forged };
        self.opened += 1;
        let oldest = || (0..).zip(&self.reporters).min_by_key(|(_, r)| r.used).map(|(at, _)| at);
        let Some(reporter) = place.or_else(oldest).and_then(|at| self.reporters.get_mut(at)) else {
            return Opened::Plain(length);
        };
        if reporter.ssrc != ssrc || reporter.used == 0 {
            *reporter = Reporter { ssrc, ..Reporter::default() };
        }
        reporter.window.note(u64::from(index));
        reporter.used = self.opened;
        Opened::Plain(length)
    }
}
