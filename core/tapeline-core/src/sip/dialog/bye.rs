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
use crate::sip::dialog::peer::{Peer, SharedLogin, Way, sequence};
use crate::sip::dialog::record::LegRecord;
use crate::sip::dialog::request::{again, in_dialog};
use crate::sip::stack::{Stack, spawn};
use crate::sip::transport::Line;

/// Sends BYE. The dialog is over for us as soon as it has left (RFC 3261 §15.1.1).
pub(super) async fn send_bye(stack: &Rc<Stack>, peer: &RefCell<Peer>, reason: Option<Reason>) {
    let (request, line, next_hop, login) = {
        let mut peer = peer.borrow_mut();
        peer.local_seq += 1;
        let way = peer.way();
        let agent = &stack.config.user_agent;
        let mut request = in_dialog(agent, &peer, &way, Method::Bye, peer.local_seq);
        request.headers.extend(reason.as_ref().map(reason_header).into_iter().collect());
        (request, peer.line.clone(), way.next_hop, peer.login.clone())
    };
    let Some(transaction) = started(stack, request.clone(), &line, next_hop).await else { return };
    let sent = Sent { request, line, next_hop, transaction };
    let (stack, closing) = (stack.clone(), stack.closing());
    spawn(async move {
        proved(&stack, sent, login, |sequence| sequence + 1).await;
        drop(closing);
    });
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
    let login = record.peer.borrow().login.clone();
    let transaction = started(stack, request.clone(), &line, way.next_hop).await;
    let (stack, record) = (stack.clone(), record.clone());
    let mailbox = record.mailbox.clone();
    spawn(async move {
        let next = |_| {
            let mut peer = record.peer.borrow_mut();
            peer.local_seq += 1;
            peer.local_seq
        };
        let response = match transaction {
            Some(transaction) => {
                let sent = Sent { request, line, next_hop: way.next_hop, transaction };
                proved(&stack, sent, login, next).await
            }
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

/// A request that is on its way.
struct Sent {
    request: Request,
    line: Rc<Line>,
    next_hop: SocketAddr,
    transaction: Transaction,
}

/// The final response, after what was asked for has been proved (RFC 3261 §22.2). `next` makes the
/// CSeq of one more request out of the last one's.
async fn proved(
    stack: &Rc<Stack>,
    mut sent: Sent,
    login: Option<SharedLogin>,
    next: impl Fn(u32) -> u32,
) -> Option<Response> {
    if let Some(login) = &login {
        login.borrow_mut().begin();
    }
    loop {
        let response = final_response(&mut sent.transaction).await?;
        let Some(login) = &login else { return Some(response) };
        if !login.borrow_mut().take_response(&response) {
            return Some(response);
        }
        let number = next(sequence(&sent.request)?);
        let Sent { request, line, next_hop, .. } = &sent;
        let request = again(request, line, *next_hop, number, &mut login.borrow_mut());
        let transaction = started(stack, request.clone(), &sent.line, sent.next_hop).await?;
        sent = Sent { request, transaction, ..sent };
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
