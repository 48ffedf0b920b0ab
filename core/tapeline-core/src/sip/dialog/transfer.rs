//! REFER inside a call, and the NOTIFYs that tell how it goes (RFC 3515). Whether a transfer is made is
//! decided elsewhere; here it is asked, answered and reported.
//!
//! ```text
//! (none) ──REFER──▶ Asked ──accept: 202, NOTIFY 100──▶ Accepted ──report 1xx: NOTIFY──▶ Accepted
//!                     └─refuse, or nobody decides──▶ (none) ◀──report 2xx–6xx: NOTIFY, the end──┘
//! ```

use rsipstack::sip::{Header, Method, Request, StatusCode};
use rsipstack::transaction::transaction::Transaction;
use tokio::time::Instant;

use crate::boundary::event::{Event, TransferAsked};
use crate::sip::dialog::bye::send_until_answered;
use crate::sip::dialog::leg::Leg;
use crate::sip::dialog::peer::sequence;
use crate::sip::dialog::record::{DialogKey, Phase};
use crate::sip::dialog::replaces;
use crate::sip::dialog::request::in_dialog;
use crate::sip::dialog::response::{allow, refuse};
use crate::sip::wire::{Extension, first, percent_decoded, uri_of};

/// Bytes of a `Refer-To`.
const MAX_TARGET: usize = 1_024;
/// Of T1: how long somebody may decide about it, half of what the far end waits.
const DECISION: u32 = 32;
/// Of a subscription, seconds: as long as a call may ring.
const EXPIRES_S: u64 = 180;

/// What becomes of a REFER.
#[derive(Default)]
pub(super) enum Transfer {
    #[default]
    None,
    Asked {
        transaction: Box<Transaction>,
        until: Instant,
    },
    Accepted {
        /// Of the NOTIFYs; None: they are not wanted (RFC 4488).
        event: Option<String>,
    },
}

/// Whom a `Refer-To` names.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    uri: String,
    /// Value of the `Replaces` that is to go with the call.
    replaces: Option<String>,
}

impl Leg {
    pub(super) async fn on_refer(&mut self, transaction: Transaction) {
        let is_up = matches!(self.record.phase.get(), Phase::Answered | Phase::Confirmed);
        if !is_up || !matches!(self.transfer, Transfer::None) {
            return Self::ask_again(transaction, StatusCode::RequestPending).await;
        }
        let target = match target(&transaction.original) {
            Ok(target) => target,
            Err(status) => return refuse(transaction, status.into(), vec![]).await,
        };
        let named = target.replaces.as_deref().and_then(replaces::parse);
        let replaced = named.and_then(|named| {
            // Some name the dialog from their own side, some from the other's.
            let DialogKey { call_id, local_tag, remote_tag } = named.key.clone();
            let turned = DialogKey { call_id, local_tag: remote_tag, remote_tag: local_tag };
            let tables = &self.stack.tables;
            tables.dialog_named(&named.key).or_else(|| tables.dialog_named(&turned))
        });
        let asked = TransferAsked {
            leg: self.record.leg,
            target: target.uri,
            replaces: replaced.map(|record| record.leg),
            replaces_header: target.replaces.unwrap_or_default(),
        };
        let until = Instant::now() + self.stack.config.limits.t1 * DECISION;
        self.transfer = Transfer::Asked { transaction: Box::new(transaction), until };
        self.stack.events.send(Event::TransferAsked(Box::new(asked)));
    }

    pub(super) fn transfer_due_at(&self) -> Option<Instant> {
        match &self.transfer {
            Transfer::Asked { until, .. } => Some(*until),
            Transfer::None | Transfer::Accepted { .. } => None,
        }
    }

    /// Nobody has decided: the far end must not wait for longer.
    pub(super) async fn on_transfer_clock(&mut self, now: Instant) {
        if self.transfer_due_at().is_some_and(|until| until <= now) {
            self.refuse_open_transfer(StatusCode::TemporarilyUnavailable).await;
        }
    }

    /// False: there is none to refuse.
    pub(super) async fn refuse_open_transfer(&mut self, status: StatusCode) -> bool {
        match std::mem::take(&mut self.transfer) {
            Transfer::Asked { transaction, .. } => {
                refuse(*transaction, status, vec![]).await;
                true
            }
            other => {
                self.transfer = other;
                false
            }
        }
    }

    pub(super) async fn accept_transfer(&mut self) {
        let Transfer::Asked { mut transaction, .. } = std::mem::take(&mut self.transfer) else {
            return self.inbox.failed("no transfer is asked for");
        };
        let request = &transaction.original;
        let is_silent = is_silent(request);
        let number = sequence(request).unwrap_or_default();
        let mut headers = vec![self.record.peer.borrow().contact(), allow()];
        if is_silent {
            headers.push(Header::Other("Refer-Sub".into(), "false".into()));
        }
        if let Err(error) = transaction.reply_with(StatusCode::Accepted, headers, None).await {
            log::debug!("response not sent: {error}");
        }
        // RFC 3515 §2.4.6: the first REFER of a dialog needs no id, every other does.
        let id = if self.has_been_referred { format!(";id={number}") } else { String::new() };
        self.has_been_referred = true;
        let event = (!is_silent).then(|| format!("refer{id}"));
        self.transfer = Transfer::Accepted { event };
        self.notify(100).await;
        self.inbox.done();
    }

    pub(super) async fn refuse_transfer(&mut self, status: u16) {
        if !(300..700).contains(&status) {
            return self.inbox.failed(format!("{status} is no status to refuse a transfer with"));
        }
        match self.refuse_open_transfer(status.into()).await {
            true => self.inbox.done(),
            false => self.inbox.failed("no transfer is asked for"),
        }
    }

    pub(super) async fn report_transfer(&mut self, status: u16) {
        if !(100..700).contains(&status) {
            return self.inbox.failed(format!("{status} is no SIP status"));
        }
        if !matches!(self.transfer, Transfer::Accepted { .. }) {
            return self.inbox.failed("no transfer is under way");
        }
        self.notify(status).await;
        if status >= 200 {
            self.transfer = Transfer::None;
        }
        self.inbox.done();
    }

    /// RFC 3515 §2.4.4 and §2.4.5.
    async fn notify(&mut self, status: u16) {
        let Transfer::Accepted { event: Some(event) } = &self.transfer else { return };
        let state = match status {
            200.. => "terminated;reason=noresource".to_owned(),
            _ => format!("active;expires={EXPIRES_S}"),
        };
        let (mut request, line, next_hop) = {
            let mut peer = self.record.peer.borrow_mut();
            peer.local_seq += 1;
            let way = peer.way();
            let agent = &self.stack.config.user_agent;
            let request = in_dialog(agent, &peer, &way, Method::Notify, peer.local_seq);
            (request, peer.line.clone(), way.next_hop)
        };
        request.headers.extend(vec![
            self.record.peer.borrow().contact(),
            Header::Event(event.clone().into()),
            Header::SubscriptionState(state.into()),
            Header::ContentType("message/sipfrag;version=2.0".into()),
        ]);
        let status = StatusCode::from(status);
        request.body = format!("SIP/2.0 {status}\r\n").into_bytes();
        send_until_answered(&self.stack, request, &line, next_hop).await;
    }
}

/// RFC 4488: no NOTIFYs, please.
fn is_silent(request: &Request) -> bool {
    let asks = request.headers.iter().any(|header| match header {
        Header::Other(name, value) => {
            name.eq_ignore_ascii_case("Refer-Sub") && value.trim().eq_ignore_ascii_case("false")
        }
        _ => false,
    });
    asks || Extension::of(&request.headers, "norefersub") == Extension::Required
}

/// The status is that of the refusal.
fn target(request: &Request) -> Result<Target, u16> {
    let mut targets = request.headers.iter().filter(|it| matches!(it, Header::ReferTo(_)));
    if targets.next().is_none() || targets.next().is_some() {
        return Err(400);
    }
    let value = first!(request.headers, ReferTo).unwrap_or_default();
    let whole = uri_of(value).filter(|uri| uri.len() <= MAX_TARGET).ok_or(400_u16)?;
    let (uri, headers) = whole.split_once('?').unwrap_or((whole, ""));
    let (scheme, rest) = uri.split_once(':').ok_or(400_u16)?;
    if !["sip", "sips", "tel"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err(416);
    }
    let is_other_method = |parameter: &str| {
        let (name, method) = parameter.split_once('=').unwrap_or_default();
        name.eq_ignore_ascii_case("method") && !method.eq_ignore_ascii_case("INVITE")
    };
    if rest.is_empty() {
        return Err(400);
    }
    if uri.split(';').skip(1).any(is_other_method) {
        return Err(501);
    }
    let replaces = headers.split('&').find_map(|header| {
        let (name, value) = header.split_once('=')?;
        name.eq_ignore_ascii_case("Replaces").then(|| percent_decoded(value))
    });
    Ok(Target { uri: uri.to_owned(), replaces })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsipstack::sip::Version;

    fn asked(lines: &[&str]) -> Result<Target, u16> {
        let headers: Vec<_> =
            lines.iter().map(|line| Header::ReferTo((*line).to_owned().into())).collect();
        target(&Request {
            method: Method::Refer,
            uri: Default::default(),
            version: Version::V2,
            headers: headers.into(),
            body: Vec::new(),
        })
    }

    #[test]
    fn whom_a_refer_names_is_read_within_bounds() {
        let of = |uri: &str, replaces: Option<&str>| {
            Ok(Target { uri: uri.into(), replaces: replaces.map(str::to_owned) })
        };
        let long = format!("<sip:{}@x>", "a".repeat(MAX_TARGET));
        let too_long = [long.as_str()];
        let cases: Vec<(&[&str], Result<Target, u16>)> = vec![
            (&["<sip:bob@h;user=phone>;x=y"], of("sip:bob@h;user=phone", None)),
            (&["sip:bob@h"], of("sip:bob@h", None)),
            (&["\"B\" <tel:+49>"], of("tel:+49", None)),
            (
                &["<sip:bob@h?X=1&replaces=c%401%3Bto-tag%3Da%3Bfrom-tag%3Db>"],
                of("sip:bob@h", Some("c@1;to-tag=a;from-tag=b")),
            ),
            (&["<sip:bob@h;method=INVITE>"], of("sip:bob@h;method=INVITE", None)),
            (&["<sip:bob@h;method=BYE>"], Err(501)),
            (&[], Err(400)),
            (&["<sip:a@h>", "<sip:b@h>"], Err(400)),
            (&["<http://h/>"], Err(416)),
            (&["<sip:>"], Err(400)),
            (&["<sip:bob@h"], Err(400)),
            (&too_long, Err(400)),
        ];
        for (lines, expected) in cases {
            assert_eq!(asked(lines), expected, "{lines:?}");
        }
    }
}
