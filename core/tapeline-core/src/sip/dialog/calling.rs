//! A call of ours until the far end answers it: whom it calls, what it makes of the answers.
//!
//! | what comes | the leg |
//! |---|---|
//! | 180, 183 | reports it; SDP in it or its like opens the audio (early media) |
//! | 200 with an answer | is answered, and from here on like any other |
//! | 200 without a codec of ours | hangs up, `rejected` with 488 |
//! | 422 | once more, with the session interval it wants (RFC 4028) |
//! | 503, and other targets are left | is tried at the next (RFC 3263 §4.3) |
//! | 401, 407 | once more, with what the account proves (RFC 3261 §22.2) |
//! | 488, 606 to SRTP that was only offered | once more, without it |
//! | 300 to 699 | `rejected`; no redirection is followed |
//! | nothing within 64*T1, ICMP, no connection | the next target, then `unreachable` |
//! | no such host | `unreachable` |
//! | ring limit, hang-up, stop | CANCEL (`invitation`) |

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use rsipstack::sip::{Header, Request, Response};
use rsipstack::transaction::random_text;
use tokio::time::Instant;

use crate::boundary::command::{CommandId, SipCommand};
use crate::boundary::counters::Counters;
use crate::boundary::dial::{CallSrtp, Dial};
use crate::boundary::event::{EndedBy, Event};
use crate::boundary::handle::LegHandle;
use crate::boundary::transport::Transport;
use crate::sdp::LocalDescription;
use crate::sip::config::SrtpPolicy;
use crate::sip::dialog::inbox::Inbox;
use crate::sip::dialog::invitation::{self, Progress};
use crate::sip::dialog::leg::{Leg, Next};
use crate::sip::dialog::peer::Peer;
use crate::sip::dialog::record::{DialogKey, LegRecord, Phase};
use crate::sip::dialog::request::{Caller, FIRST, bytes, invite};
use crate::sip::dialog::session::{self, Asked, Rule};
use crate::sip::digest::Login;
use crate::sip::resolve::Target;
use crate::sip::stack::{Stack, spawn_leg};
use crate::sip::transport::{Line, reach};

/// Request Terminated: what a cancelled INVITE is answered with.
const CANCELLED: u16 = 487;
/// RFC 3261 §8.1.3.1: what never came counts as a 408, a fault of the transport as a 503.
const TIMED_OUT: u16 = 408;
const UNREACHABLE: u16 = 503;
const NO_COMMON_CODEC: u16 = 488;
/// RFC 3261 §18.1.1: a longer request may be cut to pieces on its way.
const MAX_DATAGRAM_REQUEST: usize = 1_300;
const INTERVAL_TOO_SMALL: u16 = 422;

/// Makes a leg that calls, or fails the command and frees the leg's handle.
pub(crate) fn dial(stack: &Rc<Stack>, command: CommandId, handle: LegHandle, call: &Dial) {
    let made = made(stack, handle, call);
    let mut leg = match made {
        Ok(leg) => leg,
        Err(reason) => {
            stack.slots.release(handle.0);
            return stack.failed(command, reason);
        }
    };
    Counters::add(&stack.counters.calls_dialled, 1);
    let record = leg.record.clone();
    stack.tables.insert(record.clone());
    leg.inbox.open_with(command);
    spawn_leg(stack.clone(), record, leg.call(call.clone()));
}

fn made(stack: &Rc<Stack>, handle: LegHandle, call: &Dial) -> Result<Leg, String> {
    if stack.gate.borrow().is_draining() {
        return Err("the node takes no new calls".into());
    }
    if stack.is_full() {
        return Err("as many calls as configured are open".into());
    }
    let line = stack.lines.any().ok_or("no SIP address is bound")?;
    let sockets = stack.config.ports.bind_pair().map_err(|error| error.to_string())?;
    let call_id = random_text(24);
    stack.trace.begin(&call_id);
    stack.trace.name(handle, &call_id);
    let (mailbox, inbox) = Inbox::new(stack.clone());
    let key = DialogKey {
        call_id: call_id.clone(),
        local_tag: random_text(16),
        remote_tag: String::new(),
    };
    let record = Rc::new(LegRecord {
        leg: handle,
        key: RefCell::new(key),
        merge_key: None,
        mailbox,
        phase: Cell::new(Phase::Calling),
        has_media: Cell::new(false),
        peer: RefCell::new(Peer::nobody(call_id, line)),
        invite: RefCell::default(),
        invitation: RefCell::default(),
        reason: RefCell::default(),
        parting: RefCell::default(),
    });
    let mut leg = Leg::new(stack.clone(), record, inbox);
    leg.sockets = Some(sockets);
    if let Some(wanted) = &call.codecs {
        leg.codecs =
            stack.config.codecs.narrowed(wanted).ok_or("the node has none of these codecs")?;
    }
    if let Some(srtp) = call.srtp {
        leg.offers_srtp = srtp == CallSrtp::Offer;
        leg.srtp.policy = match srtp {
            CallSrtp::Never => SrtpPolicy::Never,
            CallSrtp::Offer => SrtpPolicy::Accept,
            CallSrtp::Require => SrtpPolicy::Require,
        };
    }
    leg.record.peer.borrow_mut().login = call
        .account
        .as_ref()
        .map(|account| Rc::new(RefCell::new(Login::new(&account.username, &account.password))));
    Ok(leg)
}

/// What was sent to call the far end.
pub(super) struct Outgoing {
    call: Dial,
    line: Rc<Line>,
    destination: SocketAddr,
    /// CSeq of the last INVITE.
    sequence: u32,
    /// What it asked for.
    session: Rule,
}

impl Leg {
    /// From the command to the end of the leg; target after target, as long as one does not take the
    /// call and has not rung either.
    async fn call(mut self, call: Dial) {
        let stack = self.stack.clone();
        let search = stack.resolver().targets(&call.destination, || stack.random());
        let Some(found) = self.meanwhile(search).await else { return };
        self.untried = found.into();
        while let Some(target) = self.untried.pop_front() {
            match self.try_at(&call, &target).await {
                None => return,
                Some(false) => continue,
                Some(true) => {}
            }
            // Before anything that ends the leg.
            self.inbox.done();
            if self.deadline.is_none() {
                self.deadline = Some(Instant::now() + call.ring_limit);
            }
            if self.live().await == Next::Leave {
                return;
            }
        }
        self.inbox.done();
        log::info!("leg {:?} ends: no way to {:?}", self.record.leg, call.destination.host);
        let (by, status) = self.last_end;
        self.end(by, status);
    }

    /// Whether the INVITE is on its way; `None` when the leg has ended meanwhile.
    async fn try_at(&mut self, call: &Dial, target: &Target) -> Option<bool> {
        let stack = self.stack.clone();
        let is_route = call.destination.is_route;
        let Some(mut line) = self.meanwhile(reach(&stack, target, is_route)).await? else {
            return Some(false);
        };
        let Some(mut request) = self.invite(call, &line, target) else { return Some(false) };
        let may_grow = call.destination.transport.is_none() && !line.transport().is_reliable();
        if may_grow && size(&request) > MAX_DATAGRAM_REQUEST {
            // RFC 3261 §18.1.1; a peer without TCP gets its datagram all the same.
            let larger = Target { transport: Transport::Tcp, ..target.clone() };
            if let Some(stream) = self.meanwhile(reach(&stack, &larger, false)).await? {
                line = stream;
                let Some(again) = self.invite(call, &line, target) else { return Some(false) };
                request = again;
            }
        }
        Some(invitation::send(&self.stack, &self.record, request, line, target.address))
    }

    /// Awaits something while what reaches the leg is done; `None` when that ended it.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                Some(input) = self.inbox.receive() => {
                    if self.on_input(input).await == Next::Leave {
                        return None;
                    }
                }
            }
        }
    }

    fn invite(&mut self, call: &Dial, line: &Rc<Line>, target: &Target) -> Option<Request> {
        let here = line.address_for(target.address).ip();
        let port = self.sockets.as_ref()?.port;
        self.local = Some(LocalDescription::new(here, port, self.stack.random()));
        {
            // Whether keys may stand in the offer, and of which family the answer is.
            let mut peer = self.record.peer.borrow_mut();
            peer.line = line.clone();
            peer.source = target.address;
        }
        self.protect_offer();
        let outgoing = Outgoing {
            call: call.clone(),
            line: line.clone(),
            destination: target.address,
            sequence: FIRST,
            session: self.session_rule(),
        };
        self.request_of(outgoing, Vec::new())
    }

    /// Each time with what `outgoing` says by now; `extra` is of this one alone.
    fn request_of(&mut self, outgoing: Outgoing, mut extra: Vec<Header>) -> Option<Request> {
        let Outgoing { call, line, destination, sequence, session } = &outgoing;
        extra.extend(session::request_headers(session.seconds, session.min, None));
        let offer = self.local.as_mut()?.offer(&self.codecs, None);
        let mut request = {
            let key = self.record.key.borrow();
            let agent = &self.stack.config.user_agent;
            let (call_id, local_tag) = (&key.call_id, &key.local_tag);
            let caller = Caller { call_id, local_tag, agent, sequence: *sequence, extra };
            invite(call, caller, line, *destination, offer)
        };
        let login = self.record.peer.borrow().login.clone();
        let proofs = login.map(|login| login.borrow_mut().proofs(&request));
        request.headers.extend(proofs.unwrap_or_default());
        self.outgoing = Some(outgoing);
        Some(request)
    }

    /// A target that does not take the call at all (RFC 3263 §4.3) is followed by the next one.
    fn fail_over(&mut self, by: EndedBy, status: u16) -> Next {
        if self.untried.is_empty() || self.agreement.is_some() {
            return self.end(by, status);
        }
        self.last_end = (by, status);
        let invitation = self.record.invitation.take();
        if let Some(invitation) = invitation {
            invitation.leave(None);
        }
        Next::Again
    }

    pub(super) async fn on_progress(&mut self, progress: Progress) -> Next {
        match progress {
            Progress::Answered(response) => return self.on_answer(&response).await,
            // What the 200 overtook.
            _ if self.record.phase.get() != Phase::Calling => {}
            Progress::Provisional(status, body) => self.on_provisional(status, &body),
            Progress::Refused(response) => return self.on_refusal(&response),
            Progress::Silent => return self.fail_over(EndedBy::Unreachable, TIMED_OUT),
            Progress::Lost => return self.fail_over(EndedBy::Unreachable, UNREACHABLE),
        }
        Next::Stay
    }

    fn on_refusal(&mut self, response: &Response) -> Next {
        let status = response.status_code.code();
        let is_sent_again = match status {
            INTERVAL_TOO_SMALL => self.asks_for_longer_session(response),
            401 | 407 => self.proves_who_we_are(response),
            488 | 606 => self.offers_plain_audio(),
            _ => false,
        };
        if is_sent_again {
            return Next::Stay;
        }
        self.record.note_reason(&response.headers);
        match status {
            UNREACHABLE => self.fail_over(EndedBy::Rejected, status),
            _ => self.end(EndedBy::Rejected, status),
        }
    }

    /// RFC 4028 §7.3; once, by an interval that is longer than ours.
    fn asks_for_longer_session(&mut self, response: &Response) -> bool {
        let wanted = Asked::of(&response.headers).min;
        let Some(mut outgoing) = self.outgoing.take_if(|it| it.session.seconds < wanted) else {
            return false;
        };
        outgoing.session = Rule { seconds: wanted, min: wanted };
        self.send_again(outgoing)
    }

    fn proves_who_we_are(&mut self, response: &Response) -> bool {
        let login = self.record.peer.borrow().login.clone();
        let is_asked = login.is_some_and(|login| login.borrow_mut().take_response(response));
        let outgoing = self.outgoing.take_if(|_| is_asked);
        outgoing.is_some_and(|outgoing| self.send_again(outgoing))
    }

    /// Nobody insisted on SRTP.
    fn offers_plain_audio(&mut self) -> bool {
        let was_protected = self.local.as_ref().is_some_and(|local| !local.keys().is_empty());
        if !std::mem::take(&mut self.offers_srtp) || !was_protected {
            return false;
        }
        self.protect_offer();
        let outgoing = self.outgoing.take();
        outgoing.is_some_and(|outgoing| self.send_again(outgoing))
    }

    /// A transaction of its own in the same call (RFC 3261 §8.1.3.5).
    fn send_again(&mut self, mut outgoing: Outgoing) -> bool {
        outgoing.sequence += 1;
        let (line, destination) = (outgoing.line.clone(), outgoing.destination);
        self.request_of(outgoing, Vec::new()).is_some_and(|request| {
            invitation::send(&self.stack, &self.record, request, line, destination)
        })
    }

    fn on_provisional(&mut self, status: u16, body: &[u8]) {
        // A body that is no answer of use may be put right by the 200; a second one waits for it,
        // so that no far end keeps the media thread busy.
        if !body.is_empty()
            && self.agreement.is_none()
            && let Err(reason) = self.take_answer(body)
        {
            log::debug!("early media of leg {:?} not taken: {reason}", self.record.leg);
        }
        if matches!(status, 180 | 183) && !self.rung.contains(&status) {
            self.rung.push(status);
            let leg = self.record.leg;
            self.stack.events.send(Event::CallRinging { leg, sip_status: status });
        }
    }

    /// The 200 is acknowledged already; some far ends repeat the answer of their 183 in it, some
    /// leave it out.
    async fn on_answer(&mut self, response: &Response) -> Next {
        self.deadline = None;
        self.note_abilities(&response.headers);
        let body = &response.body;
        let asked = self.outgoing.take().map_or(0, |outgoing| outgoing.session.seconds);
        let agreed = session::settle(&Asked::of(&response.headers), asked, self.session_rule());
        self.run_session(&agreed, true);
        let is_agreed = self.agreement.is_some() && body.is_empty();
        if !is_agreed && let Err(reason) = self.take_answer(body) {
            log::info!("leg {:?} ends: {reason}", self.record.leg);
            return self.hang_up(EndedBy::Rejected, NO_COMMON_CODEC).await;
        }
        Counters::add(&self.stack.counters.calls_answered, 1);
        self.stack.events.send(Event::CallAnswered { leg: self.record.leg });
        Next::Stay
    }

    pub(super) fn on_command_calling(&mut self, command: &SipCommand) -> Next {
        match command {
            SipCommand::HangUp { .. } => {
                let next = self.cancel();
                self.inbox.done();
                next
            }
            _ => {
                let reason = "the leg is calling: only the far end can ring, answer or reject";
                self.inbox.failed(reason);
                Next::Stay
            }
        }
    }

    /// Over for us at once; the invitation sees to the rest.
    pub(super) fn cancel(&mut self) -> Next {
        self.end(EndedBy::Command, CANCELLED)
    }

    pub(super) fn on_ring_limit(&mut self) -> Next {
        let is_heard = self.record.invitation.borrow().as_ref().is_some_and(|i| i.is_heard());
        self.end(if is_heard { EndedBy::Unanswered } else { EndedBy::Unreachable }, TIMED_OUT)
    }
}

fn size(request: &Request) -> usize {
    bytes(request.clone()).len()
}
