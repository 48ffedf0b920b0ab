//! BYE from us.

use std::cell::RefCell;
use std::rc::Rc;

use rsipstack::sip::{Header, Method, Request, SipMessage, StatusCodeKind, Version};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::random_text;
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::SipAddr;

use crate::sip::dialog::peer::{Peer, Way};
use crate::sip::stack::{Stack, spawn};

/// Sends BYE and repeats it until it is answered, at most 32 s (RFC 3261 §17.1.2, Timer F). The
/// dialog is over for us as soon as it has left (§15.1.1).
pub(super) async fn send_bye(stack: &Rc<Stack>, peer: &RefCell<Peer>) {
    let Some(mut transaction) = transaction(stack, &mut peer.borrow_mut()) else {
        return log::warn!("BYE could not be made for a dialog");
    };
    if let Err(error) = transaction.send().await {
        return log::debug!("BYE not sent: {error}");
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

fn transaction(stack: &Stack, peer: &mut Peer) -> Option<Transaction> {
    peer.local_seq += 1;
    let way = peer.way();
    let request = bye(stack, peer, &way);
    let key = TransactionKey::from_request(&request, TransactionRole::Client).ok()?;
    let connection = Some(peer.listener.connection.clone());
    let mut made = Transaction::new_client(key, request, stack.endpoint.clone(), connection);
    made.destination = Some(SipAddr::from(way.next_hop));
    Some(made)
}

fn bye(stack: &Stack, peer: &Peer, way: &Way) -> Request {
    let from = peer.listener.address_for(way.next_hop);
    let via = format!("SIP/2.0/UDP {from};branch=z9hG4bK{};rport", random_text(16));
    let mut headers = vec![
        Header::Via(via.into()),
        Header::MaxForwards("70".into()),
        Header::From(peer.local.clone().into()),
        Header::To(peer.remote.clone().into()),
        Header::CallId(peer.call_id.clone().into()),
        Header::CSeq(format!("{} BYE", peer.local_seq).into()),
        Header::UserAgent(stack.config.user_agent.clone().into()),
    ];
    headers.extend(way.routes.iter().map(|route| Header::Route(route.clone().into())));
    Request {
        method: Method::Bye,
        uri: way.uri.clone(),
        version: Version::V2,
        headers: headers.into(),
        body: Vec::new(),
    }
}
