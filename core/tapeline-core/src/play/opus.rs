//! Opus in Ogg (RFC 7845), decoded at the rate that is wanted; both channels become their mean.

use crate::media::codec::{Codec, Decoder, PACKET_MAX, Rate};
use crate::play::input::Input;
use crate::play::ogg::{OggReader, Packet};
use crate::play::source::{DAMAGED, Fault};

const NO_OPUS: Fault = Fault("the Ogg file holds no Opus");
const TOO_MANY_CHANNELS: Fault = Fault("the Opus has more than two channels");

/// Positions, durations and what is skipped count at this rate (RFC 7845 §4).
const POSITION_HZ: u64 = 48_000;
/// Packets in a row that cannot be decoded.
const BAD_PACKETS: u32 = 100;

pub struct OpusSource {
    packets: OggReader<Input>,
    decoder: Decoder,
    rate: Rate,
    stream: Stream,
    decoded: Box<[i16; PACKET_MAX]>,
}

/// What is known of the stream that is read; the next one in the file has its own.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    has_tags: bool,
    gain: f32,
    /// Samples of 48 kHz: what is left out at the start, decoded so far, and where the first came from.
    skip: u64,
    decoded: u64,
    base: Option<u64>,
    /// Beyond it nothing is heard.
    end: Option<u64>,
}

impl OpusSource {
    pub fn open(input: Input, rate: Rate) -> Result<Self, Fault> {
        let decoder = Decoder::new(Codec::Opus(rate)).map_err(|fault| Fault(fault.0))?;
        let (packets, decoded) = (OggReader::new(input), Box::new([0; PACKET_MAX]));
        let mut source = Self { packets, decoder, rate, stream: Stream::default(), decoded };
        let Some(packet) = source.packets.packet()? else { return Err(NO_OPUS) };
        source.stream = Stream::of(packet.bytes)?;
        Ok(source)
    }

    pub fn rate_hz(&self) -> u32 {
        self.rate.hz()
    }

    /// One packet's audio; those that cannot be decoded are left out. False at the end.
    pub fn read(&mut self, mono: &mut Vec<f32>) -> Result<bool, Fault> {
        for _ in 0..BAD_PACKETS {
            let Some(packet) = self.packets.packet()? else { return Ok(false) };
            if packet.is_first {
                self.stream = Stream::of(packet.bytes)?;
                self.decoder.reset();
                continue;
            }
            if !self.stream.has_tags {
                self.stream.has_tags = true;
                continue;
            }
            let count = self.decoder.decode(packet.bytes, self.decoded.as_mut());
            let heard = self.stream.heard(&packet, count, self.rate);
            let samples = self.decoded.get(heard).unwrap_or(&[]);
            let scale = self.stream.gain / 32_768.0;
            mono.extend(samples.iter().map(|it| (f32::from(*it) * scale).clamp(-1.0, 1.0)));
            if count > 0 {
                return Ok(true);
            }
        }
        Err(DAMAGED)
    }
}

impl Stream {
    /// From its identification header (RFC 7845 §5.1).
    fn of(packet: &[u8]) -> Result<Self, Fault> {
        let [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', version, channels, rest @ ..] = packet
        else {
            return Err(NO_OPUS);
        };
        let [skip_low, skip_high, _, _, _, _, gain_low, gain_high, family, ..] = rest else {
            return Err(DAMAGED);
        };
        if version & 0xf0 != 0 || *channels == 0 {
            return Err(DAMAGED);
        }
        if *family != 0 || *channels > 2 {
            return Err(TOO_MANY_CHANNELS);
        }
        // Q7.8 dB.
        let gain_db = f32::from(i16::from_le_bytes([*gain_low, *gain_high])) / 256.0;
        Ok(Self {
            gain: 10.0_f32.powf(gain_db / 20.0),
            skip: u16::from_le_bytes([*skip_low, *skip_high]).into(),
            ..Self::default()
        })
    }

    /// Which of a packet's samples are heard: not those before the stream's start, nor those that its
    /// last page's position leaves out (RFC 7845 §4.2, §4.4).
    fn heard(&mut self, packet: &Packet<'_>, count: usize, rate: Rate) -> std::ops::Range<usize> {
        let positions = POSITION_HZ / u64::from(rate.hz());
        let (from, to) = (self.decoded, self.decoded + count as u64 * positions);
        self.decoded = to;
        let position = packet.position.and_then(|it| u64::try_from(it).ok());
        if packet.is_last_page
            && let Some(position) = position
        {
            self.end = Some(position.saturating_sub(self.base.unwrap_or(0)));
        }
        // A station's stream does not begin at 0 for those who tune in.
        if packet.ends_page && self.base.is_none() {
            self.base = position.map(|position| position.saturating_sub(to));
        }
        let place = |at: u64| (at.clamp(from, to) - from) / positions;
        let end = place(self.end.unwrap_or(to)) as usize;
        (place(self.skip) as usize).min(end)..end
    }
}
