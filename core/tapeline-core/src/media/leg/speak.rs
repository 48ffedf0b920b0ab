//! The sending half of a leg: what the room says, or a key, becomes packets of its own stream.

use crate::boundary::event::Event;
use crate::media::command::{Agreement, Direction, KeyEvents};
use crate::media::frame::{FRAME_MAX, TICK_MS, TICKS_PER_SECOND, energy};
use crate::media::leg::keying::{Keyed, Pressed};
use crate::media::leg::link::Sent;
use crate::media::leg::send::frame_ms;
use crate::media::leg::{Leg, TickContext};

impl Leg {
    /// Second half: sends what the room says. `frame` has the codec's rate.
    pub fn send(&mut self, frame: &[i16], context: &mut TickContext<'_>) {
        let (keyed, done) = self.keying.tick();
        if let Some(command) = done {
            context.events.send(Event::CommandDone { command });
        }
        match (keyed, self.agreement.telephone_event) {
            (Keyed::Audio, _) => self.send_frame(frame, context),
            (Keyed::Nothing, Some(_)) => self.send_encoded(&[], energy(frame), context),
            (Keyed::Pressed(pressed), Some(events)) => {
                self.send_event(events, pressed, context);
                self.send_encoded(&[], energy(frame), context);
            }
            (keyed, None) => {
                let mut tones = [0; FRAME_MAX];
                let tones = tones.get_mut(..frame.len()).unwrap_or(&mut []);
                if let Keyed::Pressed(pressed) = keyed {
                    pressed.sound(self.agreement.codec.rate_hz(), tones);
                }
                self.send_frame(tones, context);
            }
        }
    }

    /// A telephone-event in the leg's own stream; its time is that of the tick, which passes by itself.
    /// On another clock than the stream's its timestamp goes on from the stream's all the same, as
    /// RFC 7160 has it of clocks that change: only durations are counted on its own.
    fn send_event(&mut self, events: KeyEvents, pressed: Pressed, context: &mut TickContext<'_>) {
        let Self { link, receiver, agreement, packetizer, .. } = self;
        if pressed.is_start {
            self.key_timestamp = packetizer.timestamp();
        }
        let target = receiver.latch.target().filter(|_| may_send(agreement));
        let (Some(link), Some(to)) = (link, target) else { return };
        let is_connected = receiver.latch.is_connected();
        let payload = pressed.payload(events.clock_hz / TICKS_PER_SECOND);
        let event = (self.key_timestamp, pressed.is_start, payload);
        packetizer.event(events.payload_type, event, |packet| {
            count(link.send_rtp(to, is_connected, packet), context);
        });
    }

    fn send_frame(&mut self, frame: &[i16], context: &mut TickContext<'_>) {
        if !self.takes_ticks() && may_send(&self.agreement) {
            return self.send_halves(frame, context);
        }
        let payload = std::mem::take(&mut context.payload);
        let length = match &mut self.codec {
            Some(codec) if may_send(&self.agreement) => {
                codec.encode(frame, context.number, payload)
            }
            _ => 0,
        };
        self.send_encoded(payload.get(..length).unwrap_or(&[]), energy(frame), context);
        context.payload = payload;
    }

    /// Two frames of half a tick, a packet each.
    fn send_halves(&mut self, frame: &[i16], context: &mut TickContext<'_>) {
        self.tx_level.add(energy(frame), frame.len());
        let payload = std::mem::take(&mut context.payload);
        for half in frame.chunks((frame.len() / 2).max(1)) {
            let codec = self.codec.as_mut();
            let length = codec.map_or(0, |codec| codec.encoder.encode(half, payload));
            self.packetize(payload.get(..length).unwrap_or(&[]), context);
        }
        context.payload = payload;
        self.report(context);
    }

    /// Encodes for itself and those who share its stream; returns the bytes written to `payload`.
    pub fn encode_once(&mut self, frame: &[i16], number: u64, payload: &mut [u8]) -> usize {
        self.codec.as_mut().map_or(0, |codec| codec.encode(frame, number, payload))
    }

    /// Sends what is encoded already; `energy` is the sum of squares of what it is.
    pub fn send_encoded(&mut self, payload: &[u8], energy: u64, context: &mut TickContext<'_>) {
        self.tx_level.add(energy, self.rx().len());
        self.packetize(payload, context);
        self.report(context);
    }

    /// A tick of the leg's own stream, or half of one where packets are shorter; an empty one is a pause.
    fn packetize(&mut self, payload: &[u8], context: &mut TickContext<'_>) {
        let Self { link, receiver, agreement, packetizer, codec, .. } = self;
        match (link, receiver.latch.target(), codec) {
            (Some(link), Some(to), Some(codec)) if may_send(agreement) => {
                let is_connected = receiver.latch.is_connected();
                packetizer.push(payload, agreement, &mut codec.packet, |packet| {
                    count(link.send_rtp(to, is_connected, packet), context);
                });
            }
            _ => packetizer.pause(agreement.codec, 1),
        }
    }

    /// Percent of its packets that the far end is expected to lose; `None` before its first report.
    pub fn expected_loss(&self) -> Option<u8> {
        self.receiver.reports.loss.percent()
    }

    /// Somebody hears what it encodes.
    pub fn note_listener(&mut self, expected_loss: Option<u8>) {
        self.listeners_loss = self.listeners_loss.max(expected_loss);
    }

    /// It takes a tick at once: what others encode suits it.
    pub fn takes_ticks(&self) -> bool {
        u32::from(frame_ms(&self.agreement)) == TICK_MS
    }
}

pub(super) fn may_send(agreement: &Agreement) -> bool {
    matches!(agreement.direction, Direction::SendRecv | Direction::SendOnly)
}

fn count(sent: Sent, context: &mut TickContext<'_>) {
    match sent {
        Sent::Gone => context.counts.sent += 1,
        Sent::Unreachable => context.counts.unreachable += 1,
        Sent::Dropped => {}
    }
}
