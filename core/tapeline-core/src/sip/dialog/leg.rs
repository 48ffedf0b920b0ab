//! The task of one leg.
//!
//! ```text
//! Ringing ──200──▶ Answered ──ACK──▶ Confirmed ──BYE either way──▶ Ended
//!    │                │ 64*T1: BYE        ▲                          ▲
//!    └── CANCEL 487, final response, ring maximum 480, BYE ──────────┘
//!                                         │                          │
//! Calling ──200 with an answer────────────┘                          │
//!    └── CANCEL, refusal, silence (`calling`) ───────────────────────┘
//! ```
//!
//! It owns the transaction of a caller's INVITE until its ACK; rsipstack retransmits only while `receive` is
//! polled. `receive` may be dropped by `select!`: over our sockets every send is immediate
//! (`transport::udp`), so it is only ever suspended where it waits for the next event.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

use rsipstack::sip::{Header, Method, Request, Response, SipMessage, StatusCode};
use rsipstack::transaction::transaction::Transaction;
use tokio::time::{Instant, sleep_until};

use crate::boundary::command::{CommandId, RoomCommand, SipCommand};
use crate::boundary::counters::Counters;
use crate::boundary::event::{EndedBy, Event};
use crate::boundary::reason::Reason;
use crate::media::command::Agreement;
use crate::media::ports::PortPair;
use crate::sdp::{LocalDescription, Preference};
use crate::sip::config::SrtpRule;
use crate::sip::dialog::arrival::Offered;
use crate::sip::dialog::bye::send_bye;
use crate::sip::dialog::calling::Outgoing;
use crate::sip::dialog::inbox::Inbox;
use crate::sip::dialog::invitation::Progress;
use crate::sip::dialog::progress::Early;
use crate::sip::dialog::record::{LegRecord, Phase};
use crate::sip::dialog::reliable::Reliable;
use crate::sip::dialog::response::{allow, linger, refuse, retry_after, sdp_type, status_with};
use crate::sip::dialog::session::{Agreed, Session};
use crate::sip::dialog::transfer::Transfer;
use crate::sip::resolve::Target;
use crate::sip::stack::{Stack, spawn, spawn_leg};
use crate::sip::transport::Line;
use crate::sip::wire::{Extension, supported};

/// A request inside a dialog.
pub(crate) struct Incoming {
    pub transaction: Transaction,
    pub source: SocketAddr,
    pub line: Rc<Line>,
}

/// What reaches a leg's task.
pub(crate) enum Input {
    Command(CommandId, SipCommand),
    Request(Box<Incoming>),
    /// Of the INVITE that called the far end.
    Progress(Progress),
    /// The stream of its peer is over, and the peer has not come back by another.
    LineOver,
    /// To a request of ours inside the call.
    Reply(Reply),
    /// The SIP thread stops.
    Stop,
    #[cfg(test)]
    Panic,
}

/// The final answer to a request of ours; None: none came.
pub(crate) struct Reply {
    pub method: Method,
    pub response: Option<Box<Response>>,
}

/// Whether the task goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Leave,
    /// The INVITE of ours is tried at the next target.
    Again,
}

pub(super) struct Leg {
    pub stack: Rc<Stack>,
    pub record: Rc<LegRecord>,
    pub inbox: Inbox,
    /// The INVITE or re-INVITE whose ACK is due.
    pub invite: Option<Transaction>,
    /// The 200 to `invite` carried our offer: the ACK must bring the answer.
    pub answer_is_due: bool,
    pub offered: Option<Offered>,
    pub local: Option<LocalDescription>,
    /// Provisional statuses that were reported; once each.
    pub rung: Vec<u16>,
    /// Bound, not yet the media thread's: we wait for the answer to our offer.
    pub sockets: Option<PortPair>,
    pub agreement: Option<Agreement>,
    pub deadline: Option<Instant>,
    /// Of a call of ours: where else it may be tried, and why it ended where it was.
    pub untried: VecDeque<Target>,
    pub last_end: (EndedBy, u16),
    /// What the caller takes of reliable provisional responses.
    pub reliability: Extension,
    /// RSeq of the last one.
    pub rseq: u32,
    pub reliable: Option<Reliable>,
    pub early: Option<Early>,
    /// What our 200 to the INVITE will say of the session's timer.
    pub session_answer: Option<Agreed>,
    pub session: Option<Session>,
    /// The far end takes UPDATE.
    pub takes_update: bool,
    /// Method of our refresh that is not answered.
    pub is_refreshing: Option<Method>,
    pub transfer: Transfer,
    pub has_been_referred: bool,
    /// What we sent to call the far end, while it may be sent again.
    pub outgoing: Option<Outgoing>,
    /// What may be agreed on, and how it is protected: the node's, or as the call wants it.
    pub codecs: Preference,
    pub srtp: SrtpRule,
    /// SRTP is offered though it need not be.
    pub offers_srtp: bool,
    /// BYE must wait for the ACK (RFC 3261 §15).
    hangs_up_after_ack: bool,
}

/// Starts the task.
pub(super) fn run(leg: Leg) {
    let (stack, record) = (leg.stack.clone(), leg.record.clone());
    let mut leg = leg;
    spawn_leg(stack, record, async move {
        leg.live().await;
    });
}

impl Leg {
    pub(super) fn arrived(
        stack: Rc<Stack>,
        record: Rc<LegRecord>,
        inbox: Inbox,
        invite: Transaction,
        offered: Option<Offered>,
        session_answer: Agreed,
    ) -> Self {
        let deadline = Some(Instant::now() + stack.config.limits.ring_max);
        let mut leg = Self::new(stack, record, inbox);
        leg.reliability = Extension::of(&invite.original.headers, "100rel");
        leg.note_abilities(&invite.original.headers);
        leg.session_answer = Some(session_answer);
        leg.invite = Some(invite);
        leg.offered = offered;
        leg.deadline = deadline;
        leg
    }

    pub(super) fn new(stack: Rc<Stack>, record: Rc<LegRecord>, inbox: Inbox) -> Self {
        // RFC 3262 §3: from 1 to 2^31 - 1, and far from its end.
        let rseq = (stack.random() >> 40) as u32;
        let (codecs, srtp) = (stack.config.codecs.clone(), stack.config.srtp);
        Self {
            stack,
            record,
            inbox,
            invite: None,
            answer_is_due: false,
            offered: None,
            local: None,
            rung: Vec::new(),
            sockets: None,
            agreement: None,
            deadline: None,
            untried: VecDeque::new(),
            last_end: (EndedBy::Unreachable, 503),
            reliability: Extension::Unknown,
            rseq,
            reliable: None,
            early: None,
            session_answer: None,
            session: None,
            takes_update: false,
            is_refreshing: None,
            transfer: Transfer::None,
            has_been_referred: false,
            outgoing: None,
            codecs,
            srtp,
            offers_srtp: false,
            hangs_up_after_ack: false,
        }
    }

    /// To its end, or to the next target: never `Stay`.
    pub(super) async fn live(&mut self) -> Next {
        loop {
            let due_at = self.due_at();
            let next = tokio::select! {
                biased;
                message = drive(&mut self.invite) => self.on_invite_event(message).await,
                Some(input) = self.inbox.receive() => self.on_input(input).await,
                () = wait_until(due_at) => self.on_clock(Instant::now()).await,
            };
            if next != Next::Stay {
                return next;
            }
        }
    }

    fn due_at(&self) -> Option<Instant> {
        let provisional = self.reliable.as_ref().and_then(Reliable::due_at);
        let others = [provisional, self.session_due_at(), self.transfer_due_at()];
        self.deadline.into_iter().chain(others.into_iter().flatten()).min()
    }

    async fn on_clock(&mut self, now: Instant) -> Next {
        if self.deadline.is_some_and(|at| at <= now) {
            return self.on_deadline().await;
        }
        self.on_transfer_clock(now).await;
        if self.on_reliable_clock(now).await == Next::Leave {
            return Next::Leave;
        }
        self.on_session_clock(now).await
    }

    pub(super) async fn on_input(&mut self, input: Input) -> Next {
        match input {
            Input::Command(_, command) => self.on_command(command).await,
            Input::Request(incoming) => self.on_request(*incoming).await,
            Input::Progress(progress) => self.on_progress(progress).await,
            Input::LineOver => self.on_line_over().await,
            Input::Reply(reply) => self.on_reply(reply).await,
            Input::Stop => self.on_stop().await,
            #[cfg(test)]
            Input::Panic => panic!("asked to"),
        }
    }

    /// ACK, CANCEL, or the end of the INVITE transaction without either.
    async fn on_invite_event(&mut self, message: Option<SipMessage>) -> Next {
        match (self.record.phase.get(), message) {
            (Phase::Ringing, Some(SipMessage::Request(r))) if r.method == Method::Cancel => {
                self.record.note_reason(&r.headers);
                self.finish_ringing(StatusCode::RequestTerminated, EndedBy::RemoteCancel).await
            }
            (Phase::Ringing, None) => {
                self.invite = None;
                self.end(EndedBy::Unreachable, 408)
            }
            (_, Some(SipMessage::Request(request))) if request.method == Method::Ack => {
                self.on_ack(&request).await
            }
            (_, None) => self.on_no_ack().await,
            _ => Next::Stay,
        }
    }

    async fn on_deadline(&mut self) -> Next {
        match self.record.phase.get() {
            Phase::Ringing => {
                let status = StatusCode::TemporarilyUnavailable;
                self.finish_ringing(status, EndedBy::Unanswered).await
            }
            Phase::Calling => self.on_ring_limit(),
            _ => self.on_no_ack().await,
        }
    }

    pub(super) async fn on_command(&mut self, command: SipCommand) -> Next {
        if self.must_wait(&command) {
            self.inbox.defer(command);
            return Next::Stay;
        }
        let command = match command {
            SipCommand::HangUpFor { leg, reason } => {
                self.record.parting.replace(Some(reason));
                SipCommand::HangUp { leg }
            }
            command => command,
        };
        match (self.record.phase.get(), command) {
            (Phase::Calling, command) => self.on_command_calling(&command),
            (Phase::Ringing, SipCommand::Ring { .. }) => self.ring().await,
            (Phase::Ringing, SipCommand::Progress { .. }) => self.progress().await,
            (Phase::Ringing, SipCommand::Answer { .. }) => self.answer(None).await,
            (Phase::Ringing, SipCommand::AnswerInto { leg, room, settings }) => {
                self.answer(Some(RoomCommand::Join { leg, room, settings })).await
            }
            (Phase::Ringing, SipCommand::Reject { status, reason, .. }) => {
                if !(300..700).contains(&status) {
                    self.inbox.failed(format!("{status} is no status to reject a call with"));
                    return Next::Stay;
                }
                let next =
                    self.finish_ringing(status_with(status, &reason), EndedBy::Command).await;
                self.inbox.done();
                next
            }
            (Phase::Ringing, SipCommand::HangUp { .. }) => {
                let status = StatusCode::TemporarilyUnavailable;
                let next = self.finish_ringing(status, EndedBy::Command).await;
                self.inbox.done();
                next
            }
            (Phase::Answered, SipCommand::HangUp { .. }) => {
                self.hangs_up_after_ack = true;
                self.inbox.done();
                Next::Stay
            }
            (Phase::Confirmed, SipCommand::HangUp { .. }) => {
                let next = self.hang_up(EndedBy::Command, 200).await;
                self.inbox.done();
                next
            }
            (Phase::Answered | Phase::Confirmed, SipCommand::AcceptTransfer { .. }) => {
                self.accept_transfer().await;
                Next::Stay
            }
            (Phase::Answered | Phase::Confirmed, SipCommand::RefuseTransfer { status, .. }) => {
                self.refuse_transfer(status).await;
                Next::Stay
            }
            (Phase::Answered | Phase::Confirmed, SipCommand::ReportTransfer { status, .. }) => {
                self.report_transfer(status).await;
                Next::Stay
            }
            (phase, _) => {
                self.inbox.failed(format!("the leg is {phase:?}").to_lowercase());
                Next::Stay
            }
        }
    }

    /// What is said from here on nobody hears; the transaction of a caller's INVITE ends by its final
    /// response all the same.
    async fn on_line_over(&mut self) -> Next {
        if self.record.phase.get() == Phase::Ringing {
            return self.finish_ringing(StatusCode::RequestTimeout, EndedBy::Unreachable).await;
        }
        self.end(EndedBy::Unreachable, 408)
    }

    async fn on_stop(&mut self) -> Next {
        match self.record.phase.get() {
            Phase::Ringing => {
                self.finish_ringing(StatusCode::ServiceUnavailable, EndedBy::Command).await
            }
            Phase::Calling => self.cancel(),
            // There is no time left to wait for the ACK.
            _ => self.hang_up(EndedBy::Command, 200).await,
        }
    }

    /// Binds sockets, gives them to the media thread, sends the 200: in that order, so that no
    /// packet comes before its leg.
    async fn answer(&mut self, then: Option<RoomCommand>) -> Next {
        let stack = self.stack.clone();
        let body = match self.early.take() {
            Some(early) => early.repeated,
            None => match self.describe() {
                Ok(body) => {
                    self.answer_is_due = self.offered.is_none();
                    Some(body)
                }
                Err((status, reason)) => {
                    self.inbox.failed(reason);
                    return self.finish_ringing(status.into(), EndedBy::Command).await;
                }
            },
        };
        self.offered = None;
        if let Some(reliable) = &mut self.reliable {
            reliable.stop();
        }
        let mut headers = self.invite_headers();
        if body.is_some() {
            headers.push(sdp_type());
        }
        if let Some(agreed) = self.session_answer.take() {
            headers.extend(agreed.headers());
            self.run_session(&agreed, false);
        }
        self.send_reply(StatusCode::OK, headers, body).await;
        self.record.phase.set(Phase::Answered);
        self.record.invite.take();
        self.deadline = Some(Instant::now() + stack.config.limits.ack_limit());
        stack.gate.borrow_mut().answered();
        Counters::add(&stack.counters.calls_answered, 1);
        stack.events.send(Event::CallAnswered { leg: self.record.leg });
        match then {
            None => self.inbox.done(),
            Some(action) => self.inbox.keep_for_media(action),
        }
        if !self.answer_is_due {
            self.inbox.hand_to_media();
        }
        Next::Stay
    }

    async fn on_ack(&mut self, ack: &Request) -> Next {
        self.invite = None;
        self.deadline = None;
        if self.record.phase.get() == Phase::Answered {
            self.record.phase.set(Phase::Confirmed);
            self.stack.gate.borrow_mut().acknowledged();
        }
        if std::mem::take(&mut self.answer_is_due) {
            let before = self.agreement.clone();
            if let Err(reason) = self.take_answer(&ack.body) {
                log::info!("leg {:?} ends: {reason}", self.record.leg);
                return self.hang_up(EndedBy::NoAck, 488).await;
            }
            self.report_change(before.as_ref());
        }
        if self.hangs_up_after_ack {
            return self.hang_up(EndedBy::Command, 200).await;
        }
        Next::Stay
    }

    /// 64*T1 without ACK (RFC 3261 §13.3.1.4).
    async fn on_no_ack(&mut self) -> Next {
        let by = if self.hangs_up_after_ack { EndedBy::Command } else { EndedBy::NoAck };
        self.hang_up(by, 408).await
    }

    pub(super) async fn hang_up(&mut self, by: EndedBy, status: u16) -> Next {
        let said = self.record.parting.take().or_else(|| why(by, status));
        send_bye(&self.stack, &self.record.peer, said).await;
        self.end(by, status)
    }

    /// A final response to the INVITE that is no 2xx, and the end.
    pub(super) async fn finish_ringing(&mut self, status: StatusCode, by: EndedBy) -> Next {
        let code = status.code();
        if let Some(invite) = self.invite.take() {
            refuse(invite, status, vec![]).await;
        }
        self.end(by, code)
    }

    pub(super) fn end(&mut self, by: EndedBy, status: u16) -> Next {
        if self.record.parting.borrow().is_none() {
            self.record.parting.replace(why(by, status));
        }
        if let Transfer::Asked { transaction, .. } = std::mem::take(&mut self.transfer) {
            spawn(refuse(*transaction, StatusCode::CallTransactionDoesNotExist, vec![]));
        }
        self.stack.end(&self.record, by, status);
        self.inbox.close();
        if let Some(invite) = self.invite.take() {
            linger(invite);
        }
        Next::Leave
    }

    /// Of every response that makes a dialog (RFC 3261 §12.1.1).
    pub(super) fn invite_headers(&self) -> Vec<Header> {
        let peer = self.record.peer.borrow();
        let mut headers = peer.record_routes();
        headers.extend([peer.contact(), allow(), supported()]);
        headers
    }

    /// A response to the initial INVITE.
    pub(super) async fn send_reply(
        &mut self,
        status: StatusCode,
        headers: Vec<Header>,
        body: Option<String>,
    ) {
        let Some(invite) = &mut self.invite else { return };
        if let Err(error) = invite.reply_with(status, headers, body.map(String::into_bytes)).await {
            log::debug!("response not sent: {error}");
        }
    }

    pub(super) async fn ask_again(transaction: Transaction, status: StatusCode) {
        refuse(transaction, status, vec![retry_after(1)]).await;
    }
}

/// What our BYE or CANCEL gives as reason where nobody has said one (RFC 3326).
fn why(by: EndedBy, status: u16) -> Option<Reason> {
    match (by, status) {
        (EndedBy::NoAck | EndedBy::Rejected, 488) => {
            Some(Reason::known(488, "Not Acceptable Here"))
        }
        (EndedBy::NoAck, _) => Some(Reason::known(408, "No ACK")),
        (EndedBy::Expired, _) => Some(Reason::known(408, "Session expired")),
        (EndedBy::Unanswered, _) => Some(Reason::known(408, "No answer")),
        _ => None,
    }
}

async fn drive(invite: &mut Option<Transaction>) -> Option<SipMessage> {
    match invite {
        Some(invite) => invite.receive().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
