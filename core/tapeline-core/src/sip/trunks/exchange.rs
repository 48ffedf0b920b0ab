//! A request of ours outside any dialog, and the final response to it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use rsipstack::sip::{Header, Method, Request, Response, SipMessage, StatusCodeKind, Version};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::random_text;
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::SipAddr;
use tokio::time::timeout;

use crate::boundary::destination::Destination;
use crate::sip::stack::Stack;
use crate::sip::transport::{Line, reach};
use crate::sip::wire::verbatim;

/// How a request travels.
#[derive(Clone)]
pub(super) struct Way {
    pub line: Rc<Line>,
    pub address: SocketAddr,
}

/// The first target that can be reached at all.
pub(super) async fn way_to(stack: &Rc<Stack>, destination: &Destination) -> Option<Way> {
    for target in stack.resolver().targets(destination, || stack.random()).await {
        if let Some(line) = reach(stack, &target, false).await {
            return Some(Way { line, address: target.address });
        }
    }
    None
}

/// What the requests of one series share (RFC 3261 §10.2.4), and how many there were.
pub(super) struct Series {
    call_id: String,
    tag: String,
    sequence: u32,
}

/// From and To are URIs.
pub(super) struct Asking<'a> {
    pub method: Method,
    pub uri: &'a str,
    pub from: &'a str,
    pub to: &'a str,
}

impl Series {
    pub fn new() -> Self {
        Self { call_id: random_text(24), tag: random_text(16), sequence: 0 }
    }

    /// The next request.
    pub fn request(&mut self, stack: &Stack, way: &Way, asking: &Asking<'_>) -> Request {
        self.sequence += 1;
        let Asking { method, uri, from, to } = asking;
        let (transport, here) = (way.line.transport().via(), way.line.address_for(way.address));
        let branch = random_text(16);
        let via = format!("SIP/2.0/{transport} {here};branch=z9hG4bK{branch};rport");
        let headers = vec![
            Header::Via(via.into()),
            Header::MaxForwards("70".into()),
            Header::From(format!("<{from}>;tag={}", self.tag).into()),
            Header::To(format!("<{to}>").into()),
            Header::CallId(self.call_id.clone().into()),
            Header::CSeq(format!("{} {method}", self.sequence).into()),
            Header::UserAgent(stack.config.user_agent.clone().into()),
        ];
        Request {
            method: *method,
            uri: verbatim(uri),
            version: Version::V2,
            headers: headers.into(),
            body: Vec::new(),
        }
    }
}

/// Sends it until it is answered, for `limit` at most; none is a final response that never came.
pub(super) async fn ask(
    stack: &Rc<Stack>,
    way: &Way,
    request: Request,
    limit: Duration,
) -> Option<Response> {
    let key = TransactionKey::from_request(&request, TransactionRole::Client).ok()?;
    let connection = Some(way.line.connection().clone());
    let mut transaction = Transaction::new_client(key, request, stack.endpoint(), connection);
    transaction.destination = Some(SipAddr::from(way.address));
    if let Err(error) = transaction.send().await {
        log::debug!("request to {} not sent: {error}", way.address);
        return None;
    }
    let answer = async {
        while let Some(message) = transaction.receive().await {
            if let SipMessage::Response(response) = message
                && response.status_code.kind() != StatusCodeKind::Provisional
            {
                return Some(response);
            }
        }
        None
    };
    timeout(limit, answer).await.ok().flatten()
}
