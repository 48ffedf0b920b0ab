//! Where the phones of our endpoints are (RFC 3261 §10.3). Pure: [`Bindings`] takes what a REGISTER
//! asks for with its instant; [`answer`] reads the request and writes the response.
//!
//! The way back to a phone is where its REGISTER really came from, whatever its Contact says: a NAT
//! lets nothing else in. A Path header is not needed for that and means nothing here.

mod answer;
mod bindings;

pub(super) use answer::{answer, tell};
pub(super) use bindings::{Bindings, Moment};
