//! Responses of ours inside transactions.

use rsipstack::sip::{Header, StatusCode};
use rsipstack::transaction::transaction::Transaction;

use crate::sip::dialog::session::min_header;
use crate::sip::stack::spawn;
use crate::sip::wire::ALLOW;

/// Longest reason phrase we send, characters.
const MAX_REASON: usize = 100;

/// A final response that ends the transaction: an INVITE's is sent again until its ACK
/// (RFC 3261 §17.2.1), by a task that rsipstack's Timer D ends after 32 s.
pub(crate) async fn refuse(mut transaction: Transaction, status: StatusCode, extra: Vec<Header>) {
    if let Err(error) = transaction.reply_with(status, extra, None).await {
        return log::debug!("response not sent: {error}");
    }
    linger(transaction);
}

/// Keeps a finished INVITE transaction going until its ACK.
pub(super) fn linger(mut transaction: Transaction) {
    if transaction.is_terminated() {
        return;
    }
    spawn(async move { while transaction.receive().await.is_some() {} });
}

/// A status with the control plane's own words, made harmless.
pub(super) fn status_with(code: u16, reason: &str) -> StatusCode {
    let words: String = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
    if words.trim().is_empty() { code.into() } else { StatusCode::Other(code, words) }
}

pub(crate) fn allow() -> Header {
    Header::Allow(ALLOW.into())
}

pub(crate) fn retry_after(seconds: u32) -> Header {
    Header::RetryAfter(seconds.to_string().into())
}

/// RFC 3261 §20.43, code 305.
pub(super) fn incompatible_media() -> Header {
    Header::Warning("305 tapeline \"Incompatible media format: PCMU and PCMA are taken\"".into())
}

/// The refusal of a session that would be too short (RFC 4028 §9).
pub(super) fn too_brief(min: u32) -> (StatusCode, Vec<Header>) {
    (StatusCode::SessionIntervalTooSmall, vec![min_header(min)])
}

pub(super) fn sdp_type() -> Header {
    Header::ContentType("application/sdp".into())
}
