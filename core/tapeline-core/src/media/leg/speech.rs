//! What a leg needs of its codec: states and buffers of its size. Made off the tick, because it allocates.

use crate::media::codec::{Codec, CodecFault, Decoder, Encoder, Rate};
use crate::media::command::Agreement;
use crate::media::frame::Frame;
use crate::media::jitter::{JitterBuffer, Pulled};
use crate::media::leg::send::{packet_bytes, payload_bytes};
use crate::media::resample::Resampler;

/// One codec of one leg, in both directions.
pub struct LegCodec {
    pub codec: Codec,
    pub buffer: JitterBuffer,
    pub encoder: Encoder,
    /// What the leg says in this tick, at the codec's rate.
    pub frame: Frame,
    /// The packet that is being filled.
    pub packet: Box<[u8]>,
    /// What was encoded last, and in which tick.
    payload: Box<[u8]>,
    length: usize,
    /// What is encoded next.
    next: Box<[u8]>,
    encoded_in: u64,
    silence: Silence,
}

/// How far the encoder has come in a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// It has so many silent ticks behind it.
    Ticks(u8),
    /// It makes the same payload again and again: it need not be asked.
    Settled,
}

/// Silence flushes what an encoder remembers within 200 ms.
const SETTLING_TICKS: u8 = 10;

impl LegCodec {
    pub fn new(codec: Codec) -> Result<Box<Self>, CodecFault> {
        Ok(Box::new(Self {
            codec,
            buffer: JitterBuffer::new(Decoder::new(codec)?),
            encoder: Encoder::new(codec)?,
            frame: Frame::silence(codec.rate_hz()),
            packet: vec![0; packet_bytes(codec)].into_boxed_slice(),
            payload: vec![0; payload_bytes(codec)].into_boxed_slice(),
            next: vec![0; payload_bytes(codec)].into_boxed_slice(),
            length: 0,
            encoded_in: u64::MAX,
            silence: Silence::Ticks(0),
        }))
    }

    /// One tick, once: whoever asks again in the same tick gets what was made. Returns the bytes
    /// written to `out`.
    pub fn encode(&mut self, frame: &[i16], number: u64, out: &mut [u8]) -> usize {
        if self.encoded_in != number {
            self.encoded_in = number;
            self.encode_tick(frame);
        }
        let made = self.payload.get(..self.length).unwrap_or(&[]);
        out.iter_mut().zip(made).for_each(|(out, byte)| *out = *byte);
        made.len().min(out.len())
    }

    /// Nobody speaks: what an encoder that goes round in circles made of silence is kept and sent again.
    fn encode_tick(&mut self, frame: &[i16]) {
        let is_silent = frame.iter().all(|sample| *sample == 0);
        if is_silent && self.silence == Silence::Settled {
            return;
        }
        let length = self.encoder.encode(frame, &mut self.next).min(self.next.len());
        let is_same = self.payload.get(..self.length) == self.next.get(..length);
        // Each packet of Opus can be decoded after any other.
        let is_forgiving = matches!(self.codec, Codec::Opus(_));
        self.silence = match self.silence {
            _ if !is_silent => Silence::Ticks(0),
            Silence::Ticks(ticks) if ticks < SETTLING_TICKS => Silence::Ticks(ticks + 1),
            Silence::Ticks(_) if is_same || is_forgiving => Silence::Settled,
            silence => silence,
        };
        std::mem::swap(&mut self.payload, &mut self.next);
        self.length = length;
    }

    /// Encodes on as `other` would.
    pub fn continue_from(&mut self, other: &Self) {
        self.encoder.continue_from(&other.encoder);
        self.payload.copy_from_slice(&other.payload);
        self.length = other.length;
        self.silence = other.silence;
    }

    /// After a caught panic: what may be half done begins anew.
    pub fn reset(&mut self) {
        self.buffer.reset();
        self.encoder.reset();
        self.frame.silence_it();
        self.silence = Silence::Ticks(0);
    }
}

/// The codec of before a re-INVITE: heard until the first frame of the new one.
pub struct Former {
    pub payload_type: u8,
    pub codec: Box<LegCodec>,
    next: Rate,
    /// The new codec is heard: nobody needs this one any more.
    pub is_over: bool,
}

impl Former {
    /// `next` is the rate of the codec that follows.
    pub fn new(agreement: &Agreement, codec: Box<LegCodec>, next: Rate) -> Self {
        Self { payload_type: agreement.payload_type, codec, next, is_over: false }
    }

    /// A frame of it at the new codec's rate.
    pub fn pull(&mut self, now_ns: u64, out: &mut [i16]) -> Pulled {
        // Its last frame is all that the filter has to remember.
        let mut resampler = Resampler::new(self.codec.codec.rate(), self.next);
        resampler.prime(self.codec.frame.samples());
        let pulled = self.codec.buffer.pull(now_ns, self.codec.frame.samples_mut());
        resampler.process(self.codec.frame.samples(), out);
        pulled
    }
}
