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

use rsipstack::sip::{Method, Request, SipMessage, StatusCode};
use rsipstack::transaction::transaction::Transaction;
use tokio::time::{Instant, sleep_until};

use crate::boundary::command::{CommandId, RoomCommand, SipCommand};
use crate::boundary::counters::Counters;
use crate::boundary::event::{EndedBy, Event};
use crate::media::command::Agreement;
use crate::media::ports::PortPair;
use crate::sdp::LocalDescription;
use crate::sip::dialog::arrival::Offered;
use crate::sip::dialog::bye::send_bye;
use crate::sip::dialog::inbox::Inbox;
use crate::sip::dialog::invitation::Progress;
use crate::sip::dialog::record::{LegRecord, Phase};
use crate::sip::dialog::response::{linger, refuse, retry_after, sdp_type, status_with};
use crate::sip::resolve::Target;
use crate::sip::stack::{Stack, spawn_leg};
use crate::sip::transport::Line;

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
    /// The SIP thread stops.
    Stop,
    #[cfg(test)]
    Panic,
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
    ) -> Self {
        let deadline = Some(Instant::now() + stack.config.limits.ring_max);
        let mut leg = Self::new(stack, record, inbox);
        leg.invite = Some(invite);
        leg.offered = offered;
        leg.deadline = deadline;
        leg
    }

    pub(super) fn new(stack: Rc<Stack>, record: Rc<LegRecord>, inbox: Inbox) -> Self {
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
            hangs_up_after_ack: false,
        }
    }

    /// To its end, or to the next target: never `Stay`.
    pub(super) async fn live(&mut self) -> Next {
        loop {
            let deadline = self.deadline;
            let next = tokio::select! {
                biased;
                message = drive(&mut self.invite) => self.on_invite_event(message).await,
                Some(input) = self.inbox.receive() => self.on_input(input).await,
                () = wait_until(deadline) => self.on_deadline().await,
            };
            if next != Next::Stay {
                return next;
            }
        }
    }

    pub(super) async fn on_input(&mut self, input: Input) -> Next {
        match input {
            Input::Command(_, command) => self.on_command(command).await,
            Input::Request(incoming) => self.on_request(*incoming).await,
            Input::Progress(progress) => self.on_progress(progress).await,
            Input::LineOver => self.on_line_over().await,
            Input::Stop => self.on_stop().await,
            #[cfg(test)]
            Input::Panic => panic!("asked to"),
        }
    }

    /// ACK, CANCEL, or the end of the INVITE transaction without either.
    async fn on_invite_event(&mut self, message: Option<SipMessage>) -> Next {
        match (self.record.phase.get(), message) {
            (Phase::Ringing, Some(SipMessage::Request(r))) if r.method == Method::Cancel => {
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

    async fn on_command(&mut self, command: SipCommand) -> Next {
        match (self.record.phase.get(), command) {
            (Phase::Calling, command) => self.on_command_calling(&command),
            (Phase::Ringing, SipCommand::Ring { .. }) => {
                self.reply(StatusCode::Ringing, None).await;
                self.inbox.done();
                Next::Stay
            }
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
        if let Err((status, reason)) = self.prepare_audio() {
            self.inbox.failed(reason);
            return self.finish_ringing(status.into(), EndedBy::Command).await;
        }
        let Some(local) = &mut self.local else { return Next::Stay };
        let body = match &self.offered {
            Some(offered) => local.answer(&offered.remote, Some(&offered.agreed)),
            None => local.offer(&stack.config.codecs, None),
        };
        self.answer_is_due = self.offered.is_none();
        self.offered = None;
        self.reply(StatusCode::OK, Some(body)).await;
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
        if std::mem::take(&mut self.answer_is_due)
            && let Err(reason) = self.take_answer(&ack.body)
        {
            log::info!("leg {:?} ends: {reason}", self.record.leg);
            return self.hang_up(EndedBy::NoAck, 488).await;
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
        send_bye(&self.stack, &self.record.peer).await;
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
        self.stack.end(&self.record, by, status);
        self.inbox.close();
        if let Some(invite) = self.invite.take() {
            linger(invite);
        }
        Next::Leave
    }

    /// A response to the initial INVITE.
    async fn reply(&mut self, status: StatusCode, body: Option<String>) {
        let Some(invite) = &mut self.invite else { return };
        let contact = self.record.peer.borrow().contact();
        let mut headers = self.record.peer.borrow().record_routes();
        headers.push(contact);
        headers.push(super::response::allow());
        if body.is_some() {
            headers.push(sdp_type());
        }
        if let Err(error) = invite.reply_with(status, headers, body.map(String::into_bytes)).await {
            log::debug!("response not sent: {error}");
        }
    }

    pub(super) async fn ask_again(transaction: Transaction, status: StatusCode) {
        refuse(transaction, status, vec![retry_after(1)]).await;
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
