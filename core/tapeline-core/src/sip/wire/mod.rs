//! From a datagram to a request that rsipstack reads without surprise, or to a stateless refusal.
//!
//! Pure: bytes, source address and tag maker in, an [`Admission`] out.

mod admit;
mod field;
mod head;
mod info;
mod reply;
mod stun;
mod value;

pub(super) use admit::{Admission, admit};
pub(super) use field::{Extension, allows, first, supported};
pub(super) use head::{Head, call_id, trim};
pub(super) use info::digit;
pub(super) use reply::{ALLOW, TagMaker, stateless};
pub(super) use stun::stun_answer;
pub(super) use value::{
    contact_uri, display_name, list, parameter, percent_decoded, tag, uri_of, user_of, verbatim,
};
