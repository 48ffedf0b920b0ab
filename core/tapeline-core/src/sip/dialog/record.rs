//! What the rest of the SIP thread knows of a leg.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use rsipstack::sip::{Headers, Request, SipMessage, StatusCode};
use tokio::sync::mpsc;

use crate::boundary::event::EndedBy;
use crate::boundary::handle::LegHandle;
use crate::boundary::reason::Reason;
use crate::sip::dialog::bye::send_bye;
use crate::sip::dialog::invitation::Invitation;
use crate::sip::dialog::leg::Input;
use crate::sip::dialog::peer::Peer;
use crate::sip::stack::Stack;
use crate::sip::transport::Line;
use crate::sip::wire::first;

/// Characters kept of the far end's reason.
const MAX_REASON: usize = 256;

/// RFC 3261 §12: Call-ID, our tag, the peer's tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DialogKey {
    pub call_id: String,
    pub local_tag: String,
    pub remote_tag: String,
}

/// The states of a leg; it only moves down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Our INVITE has no final response.
    Calling,
    /// Our final response has not left.
    Ringing,
    /// Our 200 left, its ACK has not come.
    Answered,
    Confirmed,
    /// Reported; nothing of it is left in the tables.
    Ended,
}

/// Shared between the leg's task and the tables; outlives a task that panicked.
pub(crate) struct LegRecord {
    pub leg: LegHandle,
    /// Without the peer's tag as long as a call of ours is not answered.
    pub key: RefCell<DialogKey>,
    /// The same request by another way (RFC 3261 §8.2.2.2): Call-ID, From tag, CSeq. None when the
    /// INVITE was ours.
    pub merge_key: Option<(String, String, u32)>,
    pub mailbox: mpsc::Sender<Input>,
    pub phase: Cell<Phase>,
    /// The media thread knows the leg.
    pub has_media: Cell<bool>,
    pub(super) peer: RefCell<Peer>,
    /// Until it has a final response.
    pub(super) invite: RefCell<Option<Request>>,
    /// The INVITE of ours that it came from.
    pub invitation: RefCell<Option<Rc<Invitation>>>,
    /// `Reason:` of the far end's last word.
    pub reason: RefCell<String>,
    /// What our last word will give as reason.
    pub parting: RefCell<Option<Reason>>,
}

impl LegRecord {
    /// Whether what it says to its peer leaves by this line.
    pub(crate) fn lives_on(&self, line: &Rc<Line>) -> bool {
        match &*self.invitation.borrow() {
            Some(ours) if self.phase.get() == Phase::Calling => ours.lives_on(line),
            _ => Rc::ptr_eq(&self.peer.borrow().line, line),
        }
    }

    /// The peer whose line was over speaks by another.
    pub(crate) fn come_back(&self, line: &Rc<Line>, source: SocketAddr) {
        let mut peer = self.peer.borrow_mut();
        if peer.line.is_over() {
            peer.line = line.clone();
            peer.source = source;
        }
    }

    /// Keeps the `Reason:` of a message that ends the call (RFC 3326).
    pub(super) fn note_reason(&self, headers: &Headers) {
        if let Some(reason) = first!(headers, Reason) {
            self.reason.replace(reason.chars().take(MAX_REASON).collect());
        }
    }

    /// The end of a leg whose task is gone: a word to the peer and the report.
    pub(crate) async fn abandon(self: Rc<Self>, stack: Rc<Stack>) {
        let phase = self.phase.get();
        stack.end(&self, EndedBy::Fault, 500);
        match phase {
            Phase::Answered | Phase::Confirmed => {
                let reason = Reason::known(500, "Server Internal Error");
                send_bye(&stack, &self.peer, Some(reason)).await;
            }
            Phase::Ringing => self.refuse_without_transaction(&stack).await,
            // Its invitation cancels itself.
            Phase::Calling | Phase::Ended => {}
        }
    }

    /// Once: the transaction that would repeat it went with the task.
    async fn refuse_without_transaction(&self, stack: &Stack) {
        let Some(invite) = self.invite.take() else { return };
        let status = StatusCode::ServerInternalError;
        let response = stack.endpoint().make_response(&invite, status, None);
        let connection = self.peer.borrow().line.connection().clone();
        if let Err(error) = connection.send(SipMessage::Response(response), None).await {
            log::debug!("response not sent: {error}");
        }
    }
}
