//! BYE, CANCEL and whatever else of ours is no INVITE: repeated until it is answered.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use rsipstack::sip::{Header, Method, Request, Response, SipMessage, StatusCodeKind};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::SipAddr;

use crate::boundary::reason::Reason;
use crate::sip::dialog::leg::{Input, Reply};
use crate::sip::dialog::peer::{Peer, Way};
use crate::sip::dialog::record::LegRecord;
use crate::sip::dialog::request::in_dialog;
use crate::sip::stack::{Stack, spawn};
use crate::sip::transport::Line;

/// Sends BYE. The dialog is over for us as soon as it has left (RFC 3261 §15.1.1).
pub(super) async fn send_bye(stack: &Rc<Stack>, peer: &RefCell<Peer>, reason: Option<Reason>) {
    let (request, line, next_hop) = {
        let mut peer = peer.borrow_mut();
        peer.local_seq += 1;
        let way = peer.way();
        let agent = &stack.config.user_agent;
        let mut request = in_dialog(agent, &peer, &way, Method::Bye, peer.local_seq);
        request.headers.extend(reason.as_ref().map(reason_header).into_iter().collect());
        (request, peer.line.clone(), way.next_hop)
    };
    send_until_answered(stack, request, &line, next_hop).await;
}

/// Repeats a request that is no INVITE until it is answered, at most 64*T1 (RFC 3261 §17.1.2,
/// Timer F).
pub(super) async fn send_until_answered(
    stack: &Rc<Stack>,
    request: Request,
    line: &Line,
    next_hop: SocketAddr,
) {
    if let Some(mut transaction) = started(stack, request, line, next_hop).await {
        let closing = stack.closing();
        spawn(async move {
            final_response(&mut transaction).await;
            drop(closing);
        });
    }
}

/// The same inside a dialog of a leg, whose task gets the answer.
pub(super) async fn ask(stack: &Rc<Stack>, record: &Rc<LegRecord>, request: Request, way: Way) {
    let method = request.method;
    let line = record.peer.borrow().line.clone();
    let started = started(stack, request, &line, way.next_hop).await;
    let mailbox = record.mailbox.clone();
    spawn(async move {
        let response = match started {
            Some(mut transaction) => final_response(&mut transaction).await,
            None => None,
        };
        let reply = Reply { method, response: response.map(Box::new) };
        if mailbox.send(Input::Reply(reply)).await.is_err() {
            log::debug!("the leg ended before its {method} was answered");
        }
    });
}

async fn started(
    stack: &Rc<Stack>,
    request: Request,
    line: &Line,
    next_hop: SocketAddr,
) -> Option<Transaction> {
    let method = request.method;
    let Ok(key) = TransactionKey::from_request(&request, TransactionRole::Client) else {
        log::warn!("{method} could not be made for a dialog");
        return None;
    };
    let connection = Some(line.connection().clone());
    let mut transaction = Transaction::new_client(key, request, stack.endpoint(), connection);
    transaction.destination = Some(SipAddr::from(next_hop));
    match transaction.send().await {
        Ok(()) => Some(transaction),
        Err(error) => {
            log::debug!("{method} not sent: {error}");
            None
        }
    }
}

/// None when none came within 64*T1.
async fn final_response(transaction: &mut Transaction) -> Option<Response> {
    while let Some(message) = transaction.receive().await {
        if let SipMessage::Response(response) = message
            && response.status_code.kind() != StatusCodeKind::Provisional
        {
            return Some(response);
        }
    }
    None
}

pub(super) fn reason_header(reason: &Reason) -> Header {
    Header::Reason(reason.to_string().into())
}
