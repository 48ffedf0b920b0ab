//! The calls into libopus. Its functions read and write only the state, the packet and the samples
//! given; lengths come from slices. Its states hold no pointers into themselves.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr;

use opusic_sys as sys;

use crate::media::codec::Rate;

/// As strictly aligned as what malloc would give the library.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Block([u8; 16]);

fn blocks(bytes: c_int) -> Box<[Block]> {
    let count = usize::try_from(bytes).unwrap_or(0).div_ceil(size_of::<Block>());
    vec![Block([0; 16]); count].into_boxed_slice()
}

/// Lengths beyond it are cut; no packet or frame comes near.
fn length(of: usize) -> c_int {
    c_int::try_from(of).unwrap_or(c_int::MAX)
}

pub struct EncoderState(Box<[Block]>);

impl EncoderState {
    /// To be initialised before anything else; without that the library refuses to encode.
    pub fn new() -> Self {
        // SAFETY: a pure function of the number of channels.
        Self(blocks(unsafe { sys::opus_encoder_get_size(1) }))
    }

    fn pointer(&mut self) -> *mut sys::OpusEncoder {
        self.0.as_mut_ptr().cast()
    }

    pub fn init(&mut self, rate: Rate) -> bool {
        let (hz, application) = (rate.hz() as c_int, sys::OPUS_APPLICATION_VOIP);
        // SAFETY: the memory has the size that the library asked for one channel.
        unsafe { sys::opus_encoder_init(self.pointer(), hz, 1, application) == sys::OPUS_OK }
    }

    /// `request` is one that takes a single int.
    fn set(&mut self, request: c_int, value: c_int) -> bool {
        // SAFETY: the state was initialised; every request of this file takes one int by value.
        unsafe { sys::opus_encoder_ctl(self.pointer(), request, value) == sys::OPUS_OK }
    }

    pub fn set_bit_rate(&mut self, bits_per_second: c_int) -> bool {
        self.set(sys::OPUS_SET_BITRATE_REQUEST, bits_per_second)
    }

    pub fn set_complexity(&mut self, complexity: c_int) -> bool {
        self.set(sys::OPUS_SET_COMPLEXITY_REQUEST, complexity)
    }

    pub fn set_speech(&mut self) -> bool {
        self.set(sys::OPUS_SET_SIGNAL_REQUEST, sys::OPUS_SIGNAL_VOICE)
    }

    pub fn set_fec(&mut self, is_on: bool) -> bool {
        self.set(sys::OPUS_SET_INBAND_FEC_REQUEST, is_on.into())
    }

    pub fn set_loss(&mut self, percent: c_int) -> bool {
        self.set(sys::OPUS_SET_PACKET_LOSS_PERC_REQUEST, percent)
    }

    #[cfg(test)]
    pub fn set_dtx(&mut self) -> bool {
        self.set(sys::OPUS_SET_DTX_REQUEST, 1)
    }

    pub fn encode(&mut self, frame: &[i16], payload: &mut [u8]) -> usize {
        let (samples, room) = (length(frame.len()), length(payload.len()));
        // SAFETY: the state was initialised; with one channel the library reads `samples` samples
        // (it refuses numbers that are no frame) and writes at most `room` bytes.
        let written = unsafe {
            sys::opus_encode(self.pointer(), frame.as_ptr(), samples, payload.as_mut_ptr(), room)
        };
        usize::try_from(written).unwrap_or(0)
    }

    pub fn copy_from(&mut self, other: &Self) {
        self.0.copy_from_slice(&other.0);
    }
}

pub struct DecoderState(Box<[Block]>);

impl DecoderState {
    pub fn new() -> Self {
        // SAFETY: a pure function of the number of channels.
        Self(blocks(unsafe { sys::opus_decoder_get_size(1) }))
    }

    fn pointer(&mut self) -> *mut sys::OpusDecoder {
        self.0.as_mut_ptr().cast()
    }

    pub fn init(&mut self, rate: Rate) -> bool {
        // SAFETY: the memory has the size that the library asked for one channel.
        unsafe { sys::opus_decoder_init(self.pointer(), rate.hz() as c_int, 1) == sys::OPUS_OK }
    }

    /// What may stand in a packet's padding is not even looked at.
    pub fn ignore_extensions(&mut self) -> bool {
        let request = sys::OPUS_SET_IGNORE_EXTENSIONS_REQUEST;
        // SAFETY: the state was initialised; the request takes one int by value.
        unsafe { sys::opus_decoder_ctl(self.pointer(), request, 1 as c_int) == sys::OPUS_OK }
    }

    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        if payload.is_empty() {
            return 0;
        }
        self.run(Some(payload), out, false)
    }

    pub fn conceal(&mut self, out: &mut [i16]) -> bool {
        self.run(None, out, false) == out.len()
    }

    pub fn recover(&mut self, successor: &[u8], out: &mut [i16]) -> bool {
        self.run(Some(successor), out, true) == out.len()
    }

    fn run(&mut self, payload: Option<&[u8]>, out: &mut [i16], is_fec: bool) -> usize {
        let (data, bytes) = payload.map_or((ptr::null(), 0), |it| (it.as_ptr(), length(it.len())));
        let (samples, room) = (out.as_mut_ptr(), length(out.len()));
        // SAFETY: the state was initialised; the library reads `bytes` bytes, a null pointer means a
        // lost packet, and with one channel it writes at most `room` samples.
        let written =
            unsafe { sys::opus_decode(self.pointer(), data, bytes, samples, room, is_fec.into()) };
        usize::try_from(written).unwrap_or(0).min(out.len())
    }
}

/// In units of the RTP clock, 48 kHz; 0: it is no packet of Opus.
pub fn duration(payload: &[u8]) -> u32 {
    // SAFETY: the library reads at most the first two of the bytes given.
    let samples =
        unsafe { sys::opus_packet_get_nb_samples(payload.as_ptr(), length(payload.len()), 48_000) };
    u32::try_from(samples).unwrap_or(0)
}

/// True when the packet carries its forerunner once more (LBRR, RFC 6716 §2.1.7).
pub fn has_fec(payload: &[u8]) -> bool {
    // SAFETY: the library reads the first byte, which is there, then no more than the length given.
    !payload.is_empty()
        && unsafe { sys::opus_packet_has_lbrr(payload.as_ptr(), length(payload.len())) == 1 }
}

#[cfg(test)]
pub fn stereo_encoder(rate: Rate, bit_rate: c_int) -> EncoderState {
    // SAFETY: a pure function of the number of channels.
    let mut encoder = EncoderState(blocks(unsafe { sys::opus_encoder_get_size(2) }));
    let (hz, application) = (rate.hz() as c_int, sys::OPUS_APPLICATION_VOIP);
    // SAFETY: the memory has the size that the library asked for two channels.
    let taken = unsafe { sys::opus_encoder_init(encoder.pointer(), hz, 2, application) };
    assert_eq!(taken, sys::OPUS_OK);
    assert!(encoder.set_bit_rate(bit_rate));
    assert!(encoder.set(sys::OPUS_SET_FORCE_CHANNELS_REQUEST, 2));
    encoder
}

#[cfg(test)]
pub fn encode_stereo(encoder: &mut EncoderState, frame: &[[i16; 2]]) -> Vec<u8> {
    let mut payload = vec![0; 1_276];
    let (samples, room) = (length(frame.len()), length(payload.len()));
    // SAFETY: an encoder of two channels reads `samples` pairs and writes at most `room` bytes.
    let written = unsafe {
        let pairs = frame.as_ptr().cast();
        sys::opus_encode(encoder.pointer(), pairs, samples, payload.as_mut_ptr(), room)
    };
    payload.truncate(usize::try_from(written).unwrap());
    payload
}
