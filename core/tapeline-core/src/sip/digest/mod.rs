//! Digest authentication (RFC 8760, RFC 7616), both sides, on the raw header values: rsipstack's reads
//! `nc` as a decimal byte and knows neither SHA-256 nor lists of `qop` (D4, D5).
//!
//! Pure: instants in, header values out. [`Verifier`] asks for a proof and checks it; it keeps no
//! password, only its two hashes. [`Login`] proves to somebody else who we are.

mod algorithm;
mod fields;
mod login;
mod message;
mod nonce;
mod verifier;

pub(super) use login::Login;
pub(super) use verifier::{Proof, Verifier};
