//! Requests inside a dialog (RFC 3261 §12.2.2, §14.2; RFC 3311).

use rsipstack::sip::{Header, Method, Request, StatusCode};
use rsipstack::transaction::transaction::Transaction;
use tokio::time::Instant;

use crate::boundary::event::EndedBy;
use crate::media::command::{Agreement, Direction, MediaCommand};
use crate::sdp::{self, RemoteDescription, SdpError};
use crate::sip::dialog::leg::{Incoming, Leg, Next};
use crate::sip::dialog::peer::sequence;
use crate::sip::dialog::record::Phase;
use crate::sip::dialog::response::{allow, incompatible_media, refuse, sdp_type, too_brief};
use crate::sip::dialog::session::{self, Agreed, Asked};
use crate::sip::wire::{digit, supported};

/// Why a new offer is refused; the dialog stays as it was.
type Refused = (StatusCode, Vec<Header>);

impl Leg {
    pub(super) async fn on_request(&mut self, incoming: Incoming) -> Next {
        let Incoming { transaction, source, line } = incoming;
        let method = transaction.original.method;
        let seq = sequence(&transaction.original).unwrap_or(0);
        if seq < self.record.peer.borrow().remote_seq {
            refuse(transaction, StatusCode::ServerInternalError, vec![]).await;
            return Next::Stay;
        }
        self.note_abilities(&transaction.original.headers);
        {
            let mut peer = self.record.peer.borrow_mut();
            peer.remote_seq = seq;
            peer.source = source;
            peer.line = line;
        }
        match method {
            Method::Bye => return self.on_bye(transaction).await,
            Method::PRack => return self.on_prack(transaction).await,
            Method::Refer => self.on_refer(transaction).await,
            Method::Invite => self.on_reinvite(transaction).await,
            Method::Update => self.on_update(transaction).await,
            Method::Info => {
                self.on_info(&transaction.original);
                refuse(transaction, StatusCode::OK, vec![allow()]).await;
            }
            Method::Options => {
                refuse(transaction, StatusCode::OK, vec![allow(), supported()]).await;
            }
            _ => refuse(transaction, StatusCode::MethodNotAllowed, vec![allow()]).await,
        }
        Next::Stay
    }

    /// A key that the phone tells by name instead of in its RTP.
    fn on_info(&self, request: &Request) {
        let content_type = request.headers.iter().find_map(|header| match header {
            Header::ContentType(value) => Some(value.value()),
            _ => None,
        });
        let heard = content_type.and_then(|content_type| digit(content_type, &request.body));
        let Some((digit, duration_ms)) = heard.filter(|_| self.agreement.is_some()) else { return };
        let leg = self.record.leg;
        let key = MediaCommand::Key { leg, digit, duration_ms };
        if self.stack.media.send(key).is_err() {
            log::warn!("a key told by INFO was lost: the media thread takes no commands");
        }
    }

    async fn on_bye(&mut self, transaction: Transaction) -> Next {
        self.record.note_reason(&transaction.original.headers);
        refuse(transaction, StatusCode::OK, vec![]).await;
        match self.record.phase.get() {
            // A caller may leave an early dialog so (§15); its INVITE still wants an answer.
            Phase::Ringing => {
                self.finish_ringing(StatusCode::RequestTerminated, EndedBy::RemoteBye).await
            }
            _ => {
                // No more 200 for a dialog that is over.
                self.invite = None;
                self.end(EndedBy::RemoteBye, 200)
            }
        }
    }

    async fn on_reinvite(&mut self, mut transaction: Transaction) {
        if self.record.phase.get() == Phase::Ringing {
            // §14.2: the first INVITE has no final response yet.
            return Self::ask_again(transaction, StatusCode::ServerInternalError).await;
        }
        if self.invite.is_some() || self.is_refreshing == Some(Method::Invite) {
            // §14.2: ours and theirs cross.
            return Self::ask_again(transaction, StatusCode::RequestPending).await;
        }
        let agreed = match self.session_in(&transaction.original) {
            Ok(agreed) => agreed,
            Err((status, extra)) => return refuse(transaction, status, extra).await,
        };
        let before = self.agreement.clone();
        let body = match self.renegotiate(&transaction.original.body) {
            Ok(body) => body,
            Err((status, extra)) => return refuse(transaction, status, extra).await,
        };
        self.answer_is_due = transaction.original.body.is_empty();
        self.report_change(before.as_ref());
        let mut headers = self.success_headers(&transaction, true);
        headers.extend(agreed.headers());
        self.run_session(&agreed, false);
        let body = Some(body.into_bytes());
        if let Err(error) = transaction.reply_with(StatusCode::OK, headers, body).await {
            log::debug!("response not sent: {error}");
        }
        self.invite = Some(transaction);
        self.deadline = Some(Instant::now() + self.stack.config.limits.ack_limit());
    }

    async fn on_update(&mut self, mut transaction: Transaction) {
        let has_offer = !transaction.original.body.is_empty();
        let is_ringing = self.record.phase.get() == Phase::Ringing;
        let is_settled = !is_ringing || self.early.as_ref().is_some_and(|early| early.is_settled);
        if has_offer && !is_settled {
            // RFC 3311 §5.2: the offer in the INVITE has no answer yet.
            return Self::ask_again(transaction, StatusCode::ServerInternalError).await;
        }
        if has_offer && (self.answer_is_due || self.is_refreshing == Some(Method::Invite)) {
            return Self::ask_again(transaction, StatusCode::RequestPending).await;
        }
        let agreed = match self.session_in(&transaction.original) {
            Ok(agreed) => agreed,
            Err((status, extra)) => return refuse(transaction, status, extra).await,
        };
        let before = self.agreement.clone();
        let body = match has_offer.then(|| self.renegotiate(&transaction.original.body)) {
            None => None,
            Some(Ok(body)) => {
                self.repeat_in_200(&body);
                Some(body.into_bytes())
            }
            Some(Err((status, extra))) => return refuse(transaction, status, extra).await,
        };
        let mut headers = self.success_headers(&transaction, body.is_some());
        if !is_ringing {
            self.report_change(before.as_ref());
            headers.extend(agreed.headers());
            self.run_session(&agreed, false);
        }
        if let Err(error) = transaction.reply_with(StatusCode::OK, headers, body).await {
            log::debug!("response not sent: {error}");
        }
    }

    /// What the request makes of the session's timer.
    fn session_in(&self, request: &Request) -> Result<Agreed, Refused> {
        let is_ours = self.session.as_ref().map(|session| session.is_ours);
        let asked = Asked::of(&request.headers);
        session::answer(&asked, self.session_rule(), is_ours).map_err(too_brief)
    }

    /// Contact and what goes with it; the peer's own Contact becomes the target.
    fn success_headers(&self, transaction: &Transaction, has_sdp: bool) -> Vec<Header> {
        let mut peer = self.record.peer.borrow_mut();
        peer.refresh_target(&transaction.original);
        let mut headers = vec![peer.contact(), allow(), supported()];
        if has_sdp {
            headers.push(sdp_type());
        }
        headers
    }

    /// The body of our 200 to a new offer, or our offer when there is none.
    pub(super) fn renegotiate(&mut self, offer: &[u8]) -> Result<String, Refused> {
        if offer.is_empty() {
            self.protect_offer();
            let current = self.agreement.clone();
            let local = self.local.as_mut().ok_or((StatusCode::ServerInternalError, vec![]))?;
            return Ok(local.offer(&self.codecs, current.as_ref()));
        }
        let mut remote = sdp::parse(offer).map_err(|error| match error {
            SdpError::TooLarge => (StatusCode::RequestEntityTooLarge, vec![]),
            SdpError::Malformed(_) => (StatusCode::BadRequest, vec![]),
        })?;
        let is_ipv6 = self.record.peer.borrow().line.is_ipv6();
        let keep = self.agreement.as_ref().map(|a| a.codec);
        let current = self.agreement.as_ref().and_then(|a| a.srtp.as_ref());
        sdp::settle_offer(&mut remote, self.srtp_terms(), current);
        let agreed = sdp::agree(&remote, &self.codecs, is_ipv6, keep);
        let agreement = match &agreed {
            Some(agreed) => agreed.agreement.clone(),
            None => self.silenced(&remote)?,
        };
        self.change_media(agreement).map_err(|_| (StatusCode::ServerInternalError, vec![]))?;
        let local = self.local.as_mut().ok_or((StatusCode::ServerInternalError, vec![]))?;
        Ok(local.answer(&remote, agreed.as_ref()))
    }

    /// Every stream switched off is a hold too (RFC 3264 §8.2); anything else has no codec of ours.
    fn silenced(&self, remote: &RemoteDescription) -> Result<Agreement, Refused> {
        let is_off = remote.streams.iter().all(|stream| stream.port == 0);
        let current = self.agreement.clone().filter(|_| is_off);
        current
            .map(|agreement| Agreement { direction: Direction::Inactive, ..agreement })
            .ok_or((StatusCode::NotAcceptableHere, vec![incompatible_media()]))
    }
}
