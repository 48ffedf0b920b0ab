//! BYE and CANCEL from us: requests that are repeated until they are answered.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use rsipstack::sip::{Method, Request, SipMessage, StatusCodeKind};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::SipAddr;

use crate::sip::dialog::peer::Peer;
use crate::sip::dialog::request::in_dialog;
use crate::sip::stack::{Stack, spawn};
use crate::sip::transport::Line;

/// Sends BYE. The dialog is over for us as soon as it has left (RFC 3261 §15.1.1).
pub(super) async fn send_bye(stack: &Rc<Stack>, peer: &RefCell<Peer>) {
    let (request, line, next_hop) = {
        let mut peer = peer.borrow_mut();
        peer.local_seq += 1;
        let way = peer.way();
        let agent = &stack.config.user_agent;
        let request = in_dialog(agent, &peer, &way, Method::Bye, peer.local_seq);
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
    let method = request.method;
    let Ok(key) = TransactionKey::from_request(&request, TransactionRole::Client) else {
        return log::warn!("{method} could not be made for a dialog");
    };
    let connection = Some(line.connection().clone());
    let mut transaction = Transaction::new_client(key, request, stack.endpoint.clone(), connection);
    transaction.destination = Some(SipAddr::from(next_hop));
    if let Err(error) = transaction.send().await {
        return log::debug!("{method} not sent: {error}");
    }
    let closing = stack.closing();
    spawn(async move {
        while let Some(message) = transaction.receive().await {
            if let SipMessage::Response(response) = message
                && response.status_code.kind() != StatusCodeKind::Provisional
            {
                break;
            }
        }
        drop(closing);
    });
}
