//! A new INVITE: what is checked before a dialog exists, and what is reported.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use rsipstack::sip::{Header, HeadersExt, Request, StatusCode};
use rsipstack::transaction::random_text;
use rsipstack::transaction::transaction::Transaction;

use crate::boundary::counters::Counters;
use crate::boundary::event::{CallArrived, Event};
use crate::boundary::handle::LegHandle;
use crate::boundary::transport::Transport;
use crate::sdp::{self, Agreed, Preference, RemoteDescription, SdpError, Terms};
use crate::sip::dialog::inbox::Inbox;
use crate::sip::dialog::leg::{Leg, run};
use crate::sip::dialog::peer::{Peer, sequence};
use crate::sip::dialog::record::{DialogKey, LegRecord, Phase};
use crate::sip::dialog::replaces;
use crate::sip::dialog::response::{incompatible_media, refuse, retry_after, too_brief};
use crate::sip::dialog::session::{self, Asked, Rule};
use crate::sip::stack::Stack;
use crate::sip::transport::Line;
use crate::sip::wire::{display_name, tag, uri_of, user_of};

const MAX_EXTRA_HEADERS: usize = 32;
/// Characters kept of a header value in an event.
const MAX_VALUE: usize = 1_024;

/// The caller's offer and what we would agree on.
pub(super) struct Offered {
    pub remote: RemoteDescription,
    pub agreed: Agreed,
}

/// Refuses the INVITE, or makes a leg of it and reports it.
pub(crate) async fn arrive(
    stack: &Rc<Stack>,
    line: &Rc<Line>,
    source: SocketAddr,
    owner: String,
    mut invite: Transaction,
) {
    let codecs = &stack.config.codecs;
    let terms = stack.config.srtp.terms(line.is_secret());
    let offered = match offered(&invite.original.body, codecs, terms, line.is_ipv6()) {
        Ok(offered) => offered,
        Err((status, extra)) => return refuse(invite, status, extra).await,
    };
    let rule =
        Rule { seconds: stack.config.limits.session_expires, min: stack.config.limits.session_min };
    let session = match session::answer(&Asked::of(&invite.original.headers), rule, None) {
        Ok(session) => session,
        Err(min) => {
            let (status, extra) = too_brief(min);
            return refuse(invite, status, extra).await;
        }
    };
    let replaced = match replaced(stack, &invite.original) {
        Ok(replaced) => replaced,
        Err(status) => return refuse(invite, status, vec![]).await,
    };
    let Some(merge_key) = merge_key(&invite.original) else {
        return refuse(invite, StatusCode::BadRequest, vec![]).await;
    };
    if stack.tables.is_merged(&merge_key) {
        return refuse(invite, StatusCode::LoopDetected, vec![]).await;
    }
    let local_tag = random_text(16);
    add_tag(&mut invite.original, &local_tag);
    let Some(peer) = Peer::new(&invite.original, source, line.clone()) else {
        return refuse(invite, StatusCode::BadRequest, vec![]).await;
    };
    let Some(leg) = stack.slots.allocate::<LegHandle>() else {
        return refuse(invite, StatusCode::ServiceUnavailable, vec![retry_after(5)]).await;
    };
    let (mailbox, inbox) = Inbox::new(stack.clone());
    let (call_id, remote_tag, _) = merge_key.clone();
    let record = Rc::new(LegRecord {
        leg,
        key: RefCell::new(DialogKey { call_id, local_tag, remote_tag }),
        merge_key: Some(merge_key),
        mailbox,
        phase: Cell::new(Phase::Ringing),
        has_media: Cell::new(false),
        peer: RefCell::new(peer),
        invite: RefCell::new(Some(invite.original.clone())),
        invitation: RefCell::default(),
        reason: RefCell::default(),
        parting: RefCell::default(),
    });
    stack.trace.name(leg, &record.key.borrow().call_id);
    stack.tables.insert(record.clone());
    if let Err(error) = invite.send_trying().await {
        log::debug!("100 Trying not sent: {error}");
    }
    Counters::add(&stack.counters.calls_arrived, 1);
    let report = arrived(leg, line.transport(), source, owner, &invite.original);
    let report = CallArrived { replaces: replaced, ..report };
    stack.events.send(Event::CallArrived(Box::new(report)));
    run(Leg::arrived(stack.clone(), record, inbox, invite, offered, session));
}

/// Reads the offer; an INVITE without one gets ours in the 200.
fn offered(
    body: &[u8],
    codecs: &Preference,
    terms: Terms,
    is_ipv6: bool,
) -> Result<Option<Offered>, (StatusCode, Vec<Header>)> {
    if body.is_empty() {
        return Ok(None);
    }
    let mut remote = sdp::parse(body).map_err(|error| match error {
        SdpError::TooLarge => (StatusCode::RequestEntityTooLarge, vec![]),
        SdpError::Malformed(_) => (StatusCode::BadRequest, vec![]),
    })?;
    sdp::settle_offer(&mut remote, terms, None);
    match sdp::agree(&remote, codecs, is_ipv6, None) {
        Some(agreed) => Ok(Some(Offered { remote, agreed })),
        None => Err((StatusCode::NotAcceptableHere, vec![incompatible_media()])),
    }
}

/// The call that the INVITE shall take the place of (RFC 3891 §3).
fn replaced(stack: &Stack, invite: &Request) -> Result<Option<LegHandle>, StatusCode> {
    let mut lines = invite.headers.iter().filter_map(|header| match header {
        Header::Replaces(value) => Some(value.value()),
        _ => None,
    });
    let Some(value) = lines.next() else { return Ok(None) };
    let named = replaces::parse(value).filter(|_| lines.next().is_none());
    let named = named.ok_or(StatusCode::BadRequest)?;
    let record = stack.tables.dialog_named(&named.key);
    match record.map(|record| (record.leg, record.phase.get())) {
        Some((_, Phase::Answered | Phase::Confirmed)) if named.is_early_only => {
            Err(StatusCode::BusyHere)
        }
        Some((leg, Phase::Answered | Phase::Confirmed)) => Ok(Some(leg)),
        // One that rings with us was not begun by us.
        Some((_, Phase::Calling | Phase::Ringing | Phase::Ended)) | None => {
            Err(StatusCode::CallTransactionDoesNotExist)
        }
    }
}

fn merge_key(invite: &Request) -> Option<(String, String, u32)> {
    let call_id = invite.call_id_header().ok()?.value().to_owned();
    let from_tag = tag(invite.from_header().ok()?.value())?.to_owned();
    Some((call_id, from_tag, sequence(invite)?))
}

/// As text: rsipstack would escape the URI's escapes again.
fn add_tag(invite: &mut Request, local_tag: &str) {
    if let Ok(to) = invite.to_header_mut() {
        let tagged = format!("{};tag={local_tag}", to.value());
        to.replace(tagged);
    }
}

fn arrived(
    leg: LegHandle,
    transport: Transport,
    source: SocketAddr,
    owner: String,
    invite: &Request,
) -> CallArrived {
    let from = invite.from_header().map(|from| from.value().to_owned()).unwrap_or_default();
    let request_uri = invite.uri.to_string();
    let extra_headers = invite.headers.iter().filter_map(|header| match header {
        Header::Other(name, value)
            if name.get(..2).is_some_and(|x| x.eq_ignore_ascii_case("x-")) =>
        {
            Some((name.clone(), short(value)))
        }
        _ => None,
    });
    CallArrived {
        leg,
        called: short(&user_of(&request_uri)),
        caller: short(&user_of(uri_of(&from).unwrap_or_default())),
        caller_name: short(&display_name(&from)),
        request_uri: short(&request_uri),
        source: source.to_string(),
        sip_call_id: invite.call_id_header().map(|id| id.value().to_owned()).unwrap_or_default(),
        owner,
        transport,
        replaces: None,
        extra_headers: extra_headers.take(MAX_EXTRA_HEADERS).collect(),
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_VALUE).collect()
}
