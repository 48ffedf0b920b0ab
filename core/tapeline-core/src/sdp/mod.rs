//! Offer and answer (RFC 3264) for one audio stream: what we take, and what we say.
//!
//! Pure: bytes in, values out. [`parse`] reads a peer's description, [`agree`] chooses from it what a
//! node's [`Preference`] allows, [`LocalDescription`] writes ours.

mod choice;
mod format;
mod local;
mod preference;
mod protection;
mod remote;

pub use choice::{Agreed, agree};
pub use format::Formats;
pub use local::LocalDescription;
pub use preference::Preference;
pub use protection::{Terms, offered_keys, settle_answer, settle_offer};
pub use remote::{Audio, MAX_BODY, RemoteDescription, SdpError, Stream, parse};
