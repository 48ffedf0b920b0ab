//! Provisional responses of ours: ringing, early media, and what makes them reliable (RFC 3262).
//!
//! | caller | 180 | 183 with our SDP |
//! |---|---|---|
//! | knows no 100rel | plain | plain |
//! | `Supported: 100rel` | plain | reliable |
//! | `Require: 100rel` | reliable | reliable |
//!
//! While a reliable one waits for its PRACK nothing else is sent: another must not overtake it, and a 2xx
//! must not when there was SDP in it (§3). What is commanded meanwhile waits.

use rsipstack::sip::StatusCode;
use rsipstack::transaction::transaction::Transaction;
use tokio::time::Instant;

use crate::boundary::command::SipCommand;
use crate::boundary::event::EndedBy;
use crate::sip::dialog::leg::{Leg, Next};
use crate::sip::dialog::peer::sequence;
use crate::sip::dialog::reliable::{Due, Reliable};
use crate::sip::dialog::response::{refuse, sdp_type};
use crate::sip::wire::{Extension, first};

/// Our SDP stood in a provisional response.
pub(super) struct Early {
    /// The 200 repeats it; None when it was our offer, which the PRACK answered.
    pub repeated: Option<String>,
    /// Offer and answer have met, by PRACK: the far end may send another offer (RFC 3311 §5.1).
    pub is_settled: bool,
}

impl Leg {
    /// 180.
    pub(super) async fn ring(&mut self) -> Next {
        let is_reliable = self.reliability == Extension::Required;
        // RFC 3262 §5: the first reliable response to an INVITE without an offer brings ours.
        let brings_offer = is_reliable && self.offered.is_none() && self.early.is_none();
        let body = match brings_offer.then(|| self.describe_early()) {
            None => None,
            Some(Ok(body)) => Some(body),
            Some(Err((status, reason))) => {
                self.inbox.failed(reason);
                return self.finish_ringing(status.into(), EndedBy::Command).await;
            }
        };
        self.send_provisional(180, body, is_reliable).await;
        self.inbox.done();
        Next::Stay
    }

    /// 183 with our SDP: from here on the caller hears us. Again: nothing more happens.
    pub(super) async fn progress(&mut self) -> Next {
        if self.early.is_some() {
            self.inbox.done();
            return Next::Stay;
        }
        let is_reliable = self.reliability > Extension::Unknown;
        if self.offered.is_none() && !is_reliable {
            let reason = "the caller made no offer and takes no reliable responses: it hears \
                          nothing before the answer";
            self.inbox.failed(reason);
            return Next::Stay;
        }
        match self.describe_early() {
            Ok(body) => {
                self.send_provisional(183, Some(body), is_reliable).await;
                self.inbox.done();
                Next::Stay
            }
            Err((status, reason)) => {
                self.inbox.failed(reason);
                self.finish_ringing(status.into(), EndedBy::Command).await
            }
        }
    }

    fn describe_early(&mut self) -> Result<String, (u16, String)> {
        let is_answer = self.offered.is_some();
        let body = self.describe()?;
        self.early = Some(Early { repeated: is_answer.then(|| body.clone()), is_settled: false });
        Ok(body)
    }

    async fn send_provisional(&mut self, status: u16, body: Option<String>, is_reliable: bool) {
        let mut headers = self.invite_headers();
        if body.is_some() {
            headers.push(sdp_type());
        }
        if !is_reliable {
            return self.send_reply(status.into(), headers, body).await;
        }
        let invite = self.invite.as_ref();
        let sequence = invite.and_then(|invite| sequence(&invite.original)).unwrap_or_default();
        self.rseq += 1;
        let clock = (self.stack.config.limits.t1, Instant::now());
        let reliable = Reliable::new((self.rseq, sequence), status, headers, body, clock);
        self.reliable = Some(reliable);
        self.repeat_provisional().await;
    }

    async fn repeat_provisional(&mut self) {
        let Some(reliable) = &self.reliable else { return };
        let (status, headers) = (reliable.status.into(), reliable.headers.clone());
        let body = reliable.body.clone();
        self.send_reply(status, headers, body).await;
    }

    pub(super) async fn on_reliable_clock(&mut self, now: Instant) -> Next {
        match self.reliable.as_mut().and_then(|reliable| reliable.on_clock(now)) {
            None => Next::Stay,
            Some(Due::Repeat) => {
                self.repeat_provisional().await;
                Next::Stay
            }
            // RFC 3262 §3: the INVITE is rejected.
            Some(Due::GiveUp) => {
                self.finish_ringing(StatusCode::ServerTimeOut, EndedBy::NoAck).await
            }
        }
    }

    /// Whether a command must wait for a PRACK.
    pub(super) fn must_wait(&self, command: &SipCommand) -> bool {
        let Some(reliable) = self.reliable.as_ref().filter(|it| it.due_at().is_some()) else {
            return false;
        };
        match command {
            SipCommand::Ring { .. } | SipCommand::Progress { .. } => true,
            SipCommand::Answer { .. } | SipCommand::AnswerInto { .. } => reliable.body.is_some(),
            _ => false,
        }
    }

    pub(super) async fn on_prack(&mut self, mut transaction: Transaction) -> Next {
        let Some(rack) = first!(transaction.original.headers, RAck) else {
            refuse(transaction, StatusCode::BadRequest, vec![]).await;
            return Next::Stay;
        };
        if self.reliable.take_if(|reliable| reliable.is_meant_by(rack)).is_none() {
            refuse(transaction, StatusCode::CallTransactionDoesNotExist, vec![]).await;
            return Next::Stay;
        }
        let body = std::mem::take(&mut transaction.original.body);
        let awaits_answer =
            self.early.as_ref().is_some_and(|early| early.repeated.is_none() && !early.is_settled);
        let answer = match (awaits_answer, body.is_empty()) {
            (true, _) => {
                if let Err(reason) = self.take_answer(&body) {
                    log::info!("leg {:?} ends: {reason}", self.record.leg);
                    refuse(transaction, StatusCode::NotAcceptableHere, vec![]).await;
                    let status = StatusCode::NotAcceptableHere;
                    return self.finish_ringing(status, EndedBy::NoAck).await;
                }
                None
            }
            (false, true) => None,
            // RFC 3262 §5: another offer.
            (false, false) => match self.renegotiate(&body) {
                Ok(answer) => {
                    self.repeat_in_200(&answer);
                    Some(answer.into_bytes())
                }
                Err((status, extra)) => {
                    refuse(transaction, status, extra).await;
                    return self.go_on().await;
                }
            },
        };
        let headers = if answer.is_some() { vec![sdp_type()] } else { Vec::new() };
        if let Err(error) = transaction.reply_with(StatusCode::OK, headers, answer).await {
            log::debug!("response not sent: {error}");
        }
        self.go_on().await
    }

    /// What was agreed on last is what the 200 repeats.
    pub(super) fn repeat_in_200(&mut self, answer: &str) {
        if let Some(repeated) = self.early.as_mut().and_then(|early| early.repeated.as_mut()) {
            answer.clone_into(repeated);
        }
    }

    /// The PRACK has come: what waited for it is done.
    async fn go_on(&mut self) -> Next {
        if let Some(early) = &mut self.early {
            early.is_settled = true;
        }
        while self.reliable.is_none()
            && let Some(command) = self.inbox.resume()
        {
            if self.on_command(command).await == Next::Leave {
                return Next::Leave;
            }
        }
        Next::Stay
    }
}
