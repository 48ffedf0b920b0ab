//! Codecs and resamplers allocate and free nothing once they are made, libopus included: the C library's
//! own allocator is counted, not Rust's.
#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing)]

use std::cell::Cell;
use std::ffi::c_void;

use tapeline_core::media::codec::{
    Codec, ComfortNoise, Decoder, Encoder, PACKET_MAX, PAYLOAD_MAX, Rate,
};
use tapeline_core::media::resample::Resampler;

thread_local! {
    static IS_COUNTING: Cell<bool> = const { Cell::new(false) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn note() {
    if IS_COUNTING.get() {
        COUNT.set(COUNT.get() + 1);
    }
}

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(place: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_free(place: *mut c_void);
}

// SAFETY: the program's own names go before those of glibc, whose functions do the work unchanged; what
// is counted is in cells without destructors, which allocate nothing.
#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    note();
    unsafe { __libc_malloc(size) }
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    note();
    unsafe { __libc_calloc(count, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(place: *mut c_void, size: usize) -> *mut c_void {
    note();
    unsafe { __libc_realloc(place, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn free(place: *mut c_void) {
    note();
    unsafe { __libc_free(place) }
}

fn counted(work: impl FnOnce()) -> u64 {
    COUNT.set(0);
    IS_COUNTING.set(true);
    work();
    IS_COUNTING.set(false);
    COUNT.get()
}

#[test]
fn what_is_made_is_counted() {
    let made = counted(|| drop(std::hint::black_box(Decoder::new(Codec::Opus(Rate::Wide)))));
    assert!(made >= 2, "{made}");
}

#[test]
fn codecs_allocate_nothing_once_they_are_made() {
    let rates = Rate::ALL;
    let wide = rates.into_iter().flat_map(|rate| [Codec::L16(rate), Codec::Opus(rate)]);
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722].into_iter().chain(wide) {
        let mut encoder = Encoder::new(codec).unwrap();
        let mut other = Encoder::new(codec).unwrap();
        let mut decoder = Decoder::new(codec).unwrap();
        let (mut payload, mut out) = ([0; PAYLOAD_MAX], [0; PACKET_MAX]);
        let (mut frame, mut made_up) = ([0; 960], [0; 960]);
        let is_opus = matches!(codec, Codec::Opus(_));
        let frame = &mut frame[..codec.rate().frame()];

        let made = counted(|| {
            for tick in 0..100_i16 {
                let mut noise = 0_i16;
                frame.fill_with(|| {
                    noise = noise.wrapping_mul(31).wrapping_add(tick * 7 + 1);
                    noise / 4
                });
                let place = &mut made_up[..frame.len()];
                let length = encoder.encode(frame, &mut payload);
                match tick % 10 {
                    3 => assert_eq!(decoder.conceal(place), is_opus),
                    4 => _ = decoder.recover(&payload[..length], place),
                    5 => other.continue_from(&encoder),
                    6 => encoder.expect_loss(tick as u8),
                    7 => other.reset(),
                    8 => _ = decoder.decode(&[tick as u8; 40], &mut out),
                    9 if tick > 80 => decoder.reset(),
                    _ => {}
                }
                assert!(decoder.decode(&payload[..length], &mut out) > 0);
            }
        });

        assert_eq!(made, 0, "{codec:?}");
    }
}

#[test]
fn resamplers_and_noise_allocate_nothing() {
    let mut noise = ComfortNoise::new();
    for from in Rate::ALL {
        for to in Rate::ALL {
            let mut resampler = Resampler::new(from, to);
            let (input, mut out) = ([100; 960], [0; 960]);
            let made = counted(|| {
                resampler.prime(&input[..from.frame()]);
                resampler.process(&input[..from.frame()], &mut out[..to.frame()]);
                noise.update(&[40, 90, 130]);
                noise.fill(&mut out);
            });
            assert_eq!(made, 0, "{from:?} to {to:?}");
        }
    }
}
