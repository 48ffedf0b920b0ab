//! Offer and answer (RFC 3264) for one audio stream: what we take, and what we say.
//!
//! Pure: bytes in, values out. [`parse`] reads a peer's description, [`agree`] chooses from it,
//! [`LocalDescription`] writes ours. G.711 (both laws) and telephone-event at 8000 Hz.

mod choice;
mod local;
mod remote;

pub use choice::{Agreed, agree};
pub use local::LocalDescription;
pub use remote::{Audio, MAX_BODY, RemoteDescription, SdpError, Stream, parse};
