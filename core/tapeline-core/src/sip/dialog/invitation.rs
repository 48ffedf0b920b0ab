//! An INVITE of ours from its first copy to the last answer that may still come: what the wire says
//! goes into [`ClientInvite`], what it decides is done here and told to the leg.
//!
//! It outlives its leg. A leg that ends before the answer leaves an invitation that cancels itself;
//! a 200 that crosses the CANCEL, or comes from a second phone, is acknowledged and hung up.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use rsipstack::sip::{Header, HeadersExt, Method, Request, Response};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::boundary::counters::Counters;
use crate::boundary::reason::Reason;
use crate::sip::dialog::bye::{reason_header, send_bye, send_until_answered};
use crate::sip::dialog::client_invite::{Action, ClientInvite, Input as Heard, State};
use crate::sip::dialog::leg::{Input, wait_until};
use crate::sip::dialog::peer::{Peer, sequence};
use crate::sip::dialog::record::{LegRecord, Phase};
use crate::sip::dialog::request::{FIRST, ack_of_refusal, bytes, cancel, in_dialog};
use crate::sip::guard::guarded;
use crate::sip::stack::{Stack, spawn};
use crate::sip::transport::Line;
use crate::sip::wire::{Extension, first, tag};
use crate::sys::undelivered::Undelivered;

/// Phones that may answer one INVITE; what more answers is not heard.
const MAX_DIALOGS: usize = 8;

/// What the far end made of our INVITE, as its leg is told.
pub(crate) enum Progress {
    /// 101 to 199 with its body.
    Provisional(u16, Vec<u8>),
    /// The 200; it is acknowledged, and the leg's record knows the peer. Its body may be that of a
    /// reliable provisional response before it.
    Answered(Box<Response>),
    Refused(Box<Response>),
    /// Not one response came within 64*T1.
    Silent,
    /// The INVITE could not be delivered.
    Lost,
}

/// A dialog that a 2xx made.
struct Confirmed {
    remote_tag: String,
    ack: Vec<u8>,
    next_hop: SocketAddr,
}

/// A dialog that a reliable provisional response made (RFC 3262 §4).
struct EarlyDialog {
    remote_tag: String,
    /// RSeq of the last that was acknowledged.
    rseq: u32,
    /// The far end's description.
    body: Vec<u8>,
}

pub(crate) struct Invitation {
    pub key: TransactionKey,
    pub call_id: String,
    request: Request,
    wire: Vec<u8>,
    destination: SocketAddr,
    line: RefCell<Rc<Line>>,
    transaction: RefCell<ClientInvite>,
    /// While it is wanted.
    leg: RefCell<Option<Rc<LegRecord>>>,
    dialogs: RefCell<Vec<Confirmed>>,
    early: RefCell<Vec<EarlyDialog>>,
    /// CSeq of our last request that has to do with it.
    last_seq: Cell<u32>,
    /// What CANCEL and BYE give as reason.
    parting: RefCell<Option<Reason>>,
    cancel_is_due: Cell<bool>,
    changed: Notify,
}

/// Sends the INVITE of `leg` for the first time; false when it has no key, which is a fault of ours.
pub(super) fn send(
    stack: &Rc<Stack>,
    leg: &Rc<LegRecord>,
    request: Request,
    line: Rc<Line>,
    destination: SocketAddr,
) -> bool {
    let Ok(key) = TransactionKey::from_request(&request, TransactionRole::Client) else {
        return false;
    };
    let last_seq = sequence(&request).unwrap_or(FIRST);
    let call_id = leg.key.borrow().call_id.clone();
    let invitation = Rc::new(Invitation {
        key,
        call_id,
        wire: bytes(request.clone()),
        request,
        destination,
        transaction: RefCell::new(ClientInvite::new(
            stack.config.limits.t1,
            line.transport().is_reliable(),
            Instant::now(),
        )),
        line: RefCell::new(line),
        leg: RefCell::new(Some(leg.clone())),
        dialogs: RefCell::default(),
        early: RefCell::default(),
        last_seq: Cell::new(last_seq),
        parting: RefCell::default(),
        cancel_is_due: Cell::new(false),
        changed: Notify::new(),
    });
    leg.invitation.replace(Some(invitation.clone()));
    stack.tables.insert_invitation(invitation.clone());
    if !invitation.line().can_send(&invitation.wire, destination)
        && invitation.decide(Heard::Lost) == Action::GiveUp
    {
        invitation.tell(Progress::Lost);
    }
    let stack = stack.clone();
    spawn(async move {
        if guarded(invitation.clone().keep(stack.clone())).await.is_err() {
            Counters::add(&stack.counters.caught_panics, 1);
            log::error!("a panic ended an INVITE of ours");
        }
        stack.tables.remove_invitation(&invitation);
    });
    true
}

impl Invitation {
    /// The far end has answered provisionally at least.
    pub fn is_heard(&self) -> bool {
        self.transaction.borrow().state() != State::Calling
    }

    /// Cancelled, and the far end has not settled it.
    pub fn is_leaving(&self) -> bool {
        self.transaction.borrow().is_leaving()
    }

    /// Its leg is gone: from here on nobody wants an answer.
    pub fn leave(&self, reason: Option<Reason>) {
        self.parting.replace(reason);
        self.leg.take();
        if self.decide(Heard::Cancel) == Action::SendCancel {
            self.cancel_is_due.set(true);
        }
    }

    /// An ICMP error, which anyone may forge: it must quote what was sent.
    pub fn on_undelivered(&self, lost: &Undelivered) {
        let is_ours = lost.destination == self.destination
            && !lost.quoted.is_empty()
            && self.wire.starts_with(&lost.quoted);
        if is_ours && self.decide(Heard::Lost) == Action::GiveUp {
            self.tell(Progress::Lost);
        }
    }

    pub fn lives_on(&self, line: &Rc<Line>) -> bool {
        Rc::ptr_eq(&self.line.borrow(), line)
    }

    /// The stream that carried the INVITE is over before anybody said a word to it.
    pub fn on_line_over(&self, line: &Rc<Line>) {
        if self.lives_on(line) && self.decide(Heard::Lost) == Action::GiveUp {
            self.tell(Progress::Lost);
        }
    }

    fn line(&self) -> Rc<Line> {
        self.line.borrow().clone()
    }

    fn decide(&self, heard: Heard) -> Action {
        let action = self.transaction.borrow_mut().on(heard, Instant::now());
        self.changed.notify_one();
        action
    }

    /// A response with our branch, Call-ID, tag and CSeq.
    pub async fn on_response(
        &self,
        stack: &Rc<Stack>,
        line: &Rc<Line>,
        response: Response,
        source: SocketAddr,
    ) {
        let leg = self.leg.borrow().clone();
        if leg.as_ref().is_some_and(|leg| leg.mailbox.capacity() == 0) {
            // Not heard at all: the far end repeats what matters.
            return;
        }
        if self.line.borrow().is_over() {
            // The far end came back by another stream.
            self.line.replace(line.clone());
        }
        let status = response.status_code.code();
        let heard = match status {
            100..=199 => Heard::Provisional,
            200..=299 => Heard::Success,
            _ => Heard::Refusal,
        };
        match self.decide(heard) {
            Action::SendCancel => self.cancel_is_due.set(true),
            Action::Ring if status > 100 => self.ring(stack, line, response, source).await,
            Action::Confirm => self.confirm(stack, line, response, source).await,
            Action::Refuse => {
                let ack = ack_of_refusal(&self.request, &response);
                self.line().send(&bytes(ack), self.destination);
                self.tell(Progress::Refused(Box::new(response)));
            }
            _ => {}
        }
        stack.changed.notify_one();
    }

    /// RFC 3261 §13.2.2.4: every 2xx is acknowledged; the first dialog is the leg's, all others end.
    async fn confirm(
        &self,
        stack: &Rc<Stack>,
        line: &Rc<Line>,
        mut response: Response,
        source: SocketAddr,
    ) {
        let to = response.to_header().map(|to| to.value().to_owned()).unwrap_or_default();
        let remote_tag = tag(&to).unwrap_or_default().to_owned();
        if self.acknowledge(&remote_tag) || self.dialogs.borrow().len() >= MAX_DIALOGS {
            return;
        }
        let peer = Peer::answered(&self.request, &response, source, line.clone());
        let Some(mut peer) = peer else { return };
        peer.local_seq = self.last_seq.get();
        let is_first = self.dialogs.borrow().is_empty();
        self.dialogs.borrow_mut().push(self.confirmed(stack, &peer, remote_tag.clone()));
        self.acknowledge(&remote_tag);
        let leg = self.leg.borrow().clone().filter(|_| is_first);
        match leg {
            Some(leg) => {
                // At once: a hang-up that waits in its mailbox must find a call to hang up.
                peer.login = leg.peer.borrow_mut().login.take();
                leg.peer.replace(peer);
                leg.phase.set(Phase::Confirmed);
                if response.body.is_empty() {
                    response.body = self.early_body(&remote_tag);
                }
                stack.tables.name_peer(&leg, remote_tag);
                self.tell(Progress::Answered(Box::new(response)));
            }
            None => {
                // Another phone was faster, or the call was given up: then that is why.
                let elsewhere = || Reason::known(200, "Call completed elsewhere");
                let given_up = self.parting.borrow().clone().filter(|_| is_first);
                let reason = given_up.or_else(|| (!is_first).then(elsewhere));
                send_bye(stack, &RefCell::new(peer), reason).await;
            }
        }
    }

    async fn ring(
        &self,
        stack: &Rc<Stack>,
        line: &Rc<Line>,
        response: Response,
        source: SocketAddr,
    ) {
        if self.is_new(stack, line, &response, source).await {
            self.tell(Progress::Provisional(response.status_code.code(), response.body));
        }
    }

    /// False for what is to be forgotten: a reliable provisional response that was heard already, or
    /// one out of order (RFC 3262 §4). A new one gets its PRACK.
    async fn is_new(
        &self,
        stack: &Rc<Stack>,
        line: &Rc<Line>,
        response: &Response,
        source: SocketAddr,
    ) -> bool {
        let is_reliable = Extension::of(&response.headers, "100rel") == Extension::Required;
        let number = first!(response.headers, RSeq).and_then(|it| it.trim().parse::<u32>().ok());
        let to = response.to_header().map(|to| to.value().to_owned()).unwrap_or_default();
        let (Some(number), Some(remote_tag)) = (number.filter(|_| is_reliable), tag(&to)) else {
            return true;
        };
        if !self.is_next(remote_tag, number, &response.body) {
            return false;
        }
        let peer = Peer::answered(&self.request, response, source, line.clone());
        let Some(mut peer) = peer else { return true };
        peer.local_seq = self.last_seq.get() + 1;
        self.last_seq.set(peer.local_seq);
        let way = peer.way();
        let agent = &stack.config.user_agent;
        let mut prack = in_dialog(agent, &peer, &way, Method::PRack, peer.local_seq);
        let invited = sequence(&self.request).unwrap_or(FIRST);
        prack.headers.push(Header::RAck(format!("{number} {invited} INVITE").into()));
        send_until_answered(stack, prack, line, way.next_hop).await;
        true
    }

    /// Remembers a reliable response when it is the one to come.
    fn is_next(&self, remote_tag: &str, number: u32, body: &[u8]) -> bool {
        let mut early = self.early.borrow_mut();
        let Some(known) = early.iter_mut().find(|dialog| dialog.remote_tag == remote_tag) else {
            let is_taken = early.len() < MAX_DIALOGS;
            if is_taken {
                let (remote_tag, body) = (remote_tag.to_owned(), body.to_vec());
                early.push(EarlyDialog { remote_tag, rseq: number, body });
            }
            return is_taken;
        };
        if known.rseq.checked_add(1) != Some(number) {
            return false;
        }
        known.rseq = number;
        if !body.is_empty() {
            known.body = body.to_vec();
        }
        true
    }

    fn early_body(&self, remote_tag: &str) -> Vec<u8> {
        let mut early = self.early.borrow_mut();
        let known = early.iter_mut().find(|dialog| dialog.remote_tag == remote_tag);
        known.map(|dialog| std::mem::take(&mut dialog.body)).unwrap_or_default()
    }

    /// Whether the dialog is known.
    fn acknowledge(&self, remote_tag: &str) -> bool {
        let dialogs = self.dialogs.borrow();
        let known = dialogs.iter().find(|dialog| dialog.remote_tag == remote_tag);
        if let Some(dialog) = known {
            self.line().send(&dialog.ack, dialog.next_hop);
        }
        known.is_some()
    }

    fn tell(&self, progress: Progress) {
        let Some(leg) = self.leg.borrow().clone() else { return };
        if leg.mailbox.try_send(Input::Progress(progress)).is_err() {
            log::debug!("leg {:?} is gone before its INVITE is answered", leg.leg);
        }
    }

    fn confirmed(&self, stack: &Stack, peer: &Peer, remote_tag: String) -> Confirmed {
        let way = peer.way();
        let number = sequence(&self.request).unwrap_or(FIRST);
        let ack = in_dialog(&stack.config.user_agent, peer, &way, Method::Ack, number);
        Confirmed { remote_tag, ack: bytes(ack), next_hop: way.next_hop }
    }

    /// Its timers, until nothing can come any more.
    async fn keep(self: Rc<Self>, stack: Rc<Stack>) {
        while self.transaction.borrow().state() != State::Over {
            if self.cancel_is_due.take() {
                let mut request = cancel(&self.request);
                let reason = self.parting.borrow().as_ref().map(reason_header);
                request.headers.extend(reason.into_iter().collect());
                send_until_answered(&stack, request, &self.line(), self.destination).await;
            }
            let deadline = self.transaction.borrow().deadline();
            tokio::select! {
                () = self.changed.notified() => {}
                () = wait_until(deadline) => self.on_clock(),
            }
        }
        stack.changed.notify_one();
    }

    fn on_clock(&self) {
        let action = self.transaction.borrow_mut().on_clock(Instant::now());
        match action {
            Action::SendInvite => self.line().send(&self.wire, self.destination),
            Action::GiveUp => self.tell(Progress::Silent),
            _ => {}
        }
    }
}
