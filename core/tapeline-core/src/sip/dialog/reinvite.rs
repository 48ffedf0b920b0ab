//! A re-INVITE of ours from its first copy to the last answer that may still come (RFC 3261 §14.1). Its
//! 2xx is acknowledged here, at once and each time; the leg is told once.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use rsipstack::sip::{Method, Request, Response};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::boundary::counters::Counters;
use crate::sip::dialog::client_invite::{Action, ClientInvite, Input as Heard, State};
use crate::sip::dialog::leg::{Input, Reply, wait_until};
use crate::sip::dialog::peer::{Way, sequence};
use crate::sip::dialog::record::LegRecord;
use crate::sip::dialog::request::{ack_of_refusal, bytes, in_dialog};
use crate::sip::guard::guarded;
use crate::sip::stack::{Stack, spawn};
use crate::sip::transport::Line;

/// Of T1: how long a far end may work on one.
const PATIENCE: u32 = 128;

pub(crate) struct Reinvite {
    pub key: TransactionKey,
    request: Request,
    wire: Vec<u8>,
    next_hop: SocketAddr,
    transaction: RefCell<ClientInvite>,
    /// Of the 2xx that came, and where it goes.
    ack: RefCell<Option<(Vec<u8>, SocketAddr)>>,
    leg: Rc<LegRecord>,
    changed: Notify,
}

/// Sends it for the first time.
pub(super) fn send(stack: &Rc<Stack>, leg: &Rc<LegRecord>, request: Request, way: &Way) {
    let Ok(key) = TransactionKey::from_request(&request, TransactionRole::Client) else {
        return log::warn!("a re-INVITE could not be made for a dialog");
    };
    let is_reliable = leg.peer.borrow().line.transport().is_reliable();
    let transaction = ClientInvite::new(stack.config.limits.t1, is_reliable, Instant::now());
    let reinvite = Rc::new(Reinvite {
        key,
        wire: bytes(request.clone()),
        request,
        next_hop: way.next_hop,
        transaction: RefCell::new(transaction),
        ack: RefCell::default(),
        leg: leg.clone(),
        changed: Notify::new(),
    });
    stack.tables.insert_reinvite(reinvite.clone());
    reinvite.line().send(&reinvite.wire, reinvite.next_hop);
    let patience = stack.config.limits.t1 * PATIENCE;
    let stack = stack.clone();
    spawn(async move {
        if guarded(reinvite.clone().keep(patience)).await.is_err() {
            Counters::add(&stack.counters.caught_panics, 1);
            log::error!("a panic ended a re-INVITE of ours");
        }
        stack.tables.remove_reinvite(&reinvite);
    });
}

impl Reinvite {
    /// A response with our branch, Call-ID, tag and CSeq.
    pub fn on_response(&self, stack: &Stack, response: Response) {
        if self.leg.mailbox.capacity() == 0 {
            // Not heard at all: the far end repeats what matters.
            return;
        }
        let heard = match response.status_code.code() {
            100..=199 => Heard::Provisional,
            200..=299 => Heard::Success,
            _ => Heard::Refusal,
        };
        let was_open = self.is_open();
        let action = self.transaction.borrow_mut().on(heard, Instant::now());
        self.changed.notify_one();
        match action {
            Action::Confirm if was_open => {
                self.leg.peer.borrow_mut().refresh_target(&response);
                self.ack.replace(Some(self.ack_of_success(stack)));
                self.acknowledge();
            }
            Action::Confirm => self.acknowledge(),
            Action::Refuse => {
                let ack = bytes(ack_of_refusal(&self.request, &response));
                self.line().send(&ack, self.next_hop);
            }
            _ => return,
        }
        if was_open {
            self.tell(Some(response));
        }
    }

    /// The peer may have come back by another.
    fn line(&self) -> Rc<Line> {
        self.leg.peer.borrow().line.clone()
    }

    fn is_open(&self) -> bool {
        matches!(self.transaction.borrow().state(), State::Calling | State::Proceeding)
    }

    /// With the CSeq of the INVITE, which may be another than the dialog's by now.
    fn ack_of_success(&self, stack: &Stack) -> (Vec<u8>, SocketAddr) {
        let peer = self.leg.peer.borrow();
        let way = peer.way();
        let number = sequence(&self.request).unwrap_or_default();
        let ack = in_dialog(&stack.config.user_agent, &peer, &way, Method::Ack, number);
        (bytes(ack), way.next_hop)
    }

    fn acknowledge(&self) {
        if let Some((ack, next_hop)) = &*self.ack.borrow() {
            self.line().send(ack, *next_hop);
        }
    }

    fn tell(&self, response: Option<Response>) {
        let reply = Reply { method: Method::Invite, response: response.map(Box::new) };
        if self.leg.mailbox.try_send(Input::Reply(reply)).is_err() {
            log::debug!("leg {:?} ended before its re-INVITE was answered", self.leg.leg);
        }
    }

    /// Its timers, until nothing can come any more. A far end that goes on working on it counts as
    /// silent in the end.
    async fn keep(self: Rc<Self>, patience: Duration) {
        let gives_up_at = Instant::now() + patience;
        while self.transaction.borrow().state() != State::Over {
            let deadline = self.transaction.borrow().deadline();
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep_until(gives_up_at), if self.is_open() => return self.tell(None),
                () = wait_until(deadline) => {
                    let action = self.transaction.borrow_mut().on_clock(Instant::now());
                    match action {
                        Action::SendInvite => self.line().send(&self.wire, self.next_hop),
                        Action::GiveUp => self.tell(None),
                        _ => {}
                    }
                }
            }
        }
    }
}
