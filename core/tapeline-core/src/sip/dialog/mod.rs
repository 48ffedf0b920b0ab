//! Dialogs and the legs they carry. Ours: rsipstack's own dialog layer loses requests (D7), leaks
//! on dead peers (D2) and sends BYEs to addresses behind a NAT.
//!
//! One task per leg ([`leg`]) owns its INVITE transaction and answers its requests in order. What
//! others need of it stands in its [`LegRecord`](record::LegRecord): where to post, and how to end
//! it when its task is gone. A call of ours has an [`Invitation`] beside it, which lives as long as
//! answers to its INVITE may come.

mod arrival;
mod audio;
mod bye;
mod calling;
mod client_invite;
mod in_dialog;
mod inbox;
mod invitation;
mod leg;
mod peer;
mod progress;
mod record;
mod refresh;
mod reinvite;
mod reliable;
mod replaces;
mod request;
mod response;
mod session;
mod transfer;

pub(super) use arrival::arrive;
pub(super) use calling::dial;
pub(super) use invitation::Invitation;
pub(super) use leg::{Incoming, Input};
pub(super) use peer::sequence;
pub(super) use record::{DialogKey, LegRecord, Phase};
pub(super) use reinvite::Reinvite;
pub(super) use response::{allow, refuse, retry_after};
