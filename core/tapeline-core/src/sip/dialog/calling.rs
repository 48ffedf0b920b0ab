//! A call of ours until the far end answers it: whom it calls, what it makes of the answers.
//!
//! | what comes | the leg |
//! |---|---|
//! | 180, 183 | reports it; SDP in it or its like opens the audio (early media) |
//! | 200 with an answer | is answered, and from here on like any other |
//! | 200 without a codec of ours | hangs up, `rejected` with 488 |
//! | 300 to 699 | `rejected`; neither redirection nor digest is followed |
//! | nothing within 64*T1, ICMP, no such host | `unreachable` |
//! | ring limit, hang-up, stop | CANCEL (`invitation`) |

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use rsipstack::transaction::random_text;
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout};

use crate::boundary::command::{CommandId, SipCommand};
use crate::boundary::counters::Counters;
use crate::boundary::dial::{Dial, DialHost};
use crate::boundary::event::{EndedBy, Event};
use crate::boundary::handle::LegHandle;
use crate::sdp::LocalDescription;
use crate::sip::dialog::inbox::Inbox;
use crate::sip::dialog::invitation::{self, Progress};
use crate::sip::dialog::leg::{Leg, Next};
use crate::sip::dialog::peer::Peer;
use crate::sip::dialog::record::{DialogKey, LegRecord, Phase};
use crate::sip::dialog::request::{Caller, invite};
use crate::sip::stack::{Stack, spawn_leg};
use crate::sip::transport::Line;

/// Request Terminated: what a cancelled INVITE is answered with.
const CANCELLED: u16 = 487;
/// RFC 3261 §8.1.3.1: what never came counts as a 408, a fault of the transport as a 503.
const TIMED_OUT: u16 = 408;
const UNREACHABLE: u16 = 503;
const NO_COMMON_CODEC: u16 = 488;

/// Makes a leg that calls, or fails the command and frees the leg's handle.
pub(crate) fn dial(stack: &Rc<Stack>, command: CommandId, handle: LegHandle, call: &Dial) {
    let made = made(stack, handle);
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

fn made(stack: &Rc<Stack>, handle: LegHandle) -> Result<Leg, String> {
    if stack.gate.borrow().is_draining() {
        return Err("the node takes no new calls".into());
    }
    if stack.is_full() {
        return Err("as many calls as configured are open".into());
    }
    let line = stack.lines.borrow().first().cloned().ok_or("no SIP address is bound")?;
    let sockets = stack.config.ports.bind_pair().map_err(|error| error.to_string())?;
    let call_id = random_text(24);
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
    });
    let mut leg = Leg::new(stack.clone(), record, inbox);
    leg.sockets = Some(sockets);
    Ok(leg)
}

impl Leg {
    /// From the command to the end of the leg.
    async fn call(mut self, call: Dial) {
        let found = {
            let limit = self.stack.config.limits.lookup;
            let mut search = std::pin::pin!(timeout(limit, addresses(&call)));
            loop {
                tokio::select! {
                    biased;
                    found = &mut search => break found.unwrap_or_default(),
                    Some(input) = self.inbox.receive() => {
                        if self.on_input(input).await == Next::Leave {
                            return;
                        }
                    }
                }
            }
        };
        let is_sent = self.invite(&call, &found);
        // Before anything that ends the leg.
        self.inbox.done();
        if !is_sent {
            log::info!("leg {:?} ends: no way to {:?}", self.record.leg, call.host);
            self.end(EndedBy::Unreachable, UNREACHABLE);
            return;
        }
        self.deadline = Some(Instant::now() + call.ring_limit);
        self.live().await;
    }

    /// Sends the INVITE to the first address that one of our sockets can send to.
    fn invite(&mut self, call: &Dial, found: &[SocketAddr]) -> bool {
        let way = found.iter().find_map(|&to| Some((line_for(&self.stack, to)?, to)));
        let (Some((line, destination)), Some(sockets)) = (way, &self.sockets) else {
            return false;
        };
        let here = line.address_for(destination).ip();
        self.local = Some(LocalDescription::new(here, sockets.port, self.stack.random()));
        self.protect_offer();
        let Some(local) = &mut self.local else { return false };
        let request = {
            let key = self.record.key.borrow();
            let agent = &self.stack.config.user_agent;
            let (call_id, local_tag) = (&key.call_id, &key.local_tag);
            let caller = Caller { call_id, local_tag, agent };
            let offer = local.offer(&self.stack.config.codecs, None);
            invite(call, &caller, &line, destination, offer)
        };
        invitation::send(&self.stack, &self.record, request, line, destination)
    }

    pub(super) async fn on_progress(&mut self, progress: Progress) -> Next {
        match progress {
            Progress::Answered(body) => return self.on_answer(&body).await,
            // What the 200 overtook.
            _ if self.record.phase.get() != Phase::Calling => {}
            Progress::Provisional(status, body) => self.on_provisional(status, &body),
            Progress::Refused(status) => return self.end(EndedBy::Rejected, status),
            Progress::Silent => return self.end(EndedBy::Unreachable, TIMED_OUT),
            Progress::Lost => return self.end(EndedBy::Unreachable, UNREACHABLE),
        }
        Next::Stay
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
    async fn on_answer(&mut self, body: &[u8]) -> Next {
        self.deadline = None;
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

/// Off the packet path: the lookup runs on a thread of the runtime's pool.
async fn addresses(call: &Dial) -> Vec<SocketAddr> {
    match &call.host {
        DialHost::Address(address) => vec![SocketAddr::new(*address, call.port)],
        DialHost::Name(name) => match lookup_host((name.as_str(), call.port)).await {
            Ok(found) => found.collect(),
            Err(error) => {
                log::debug!("{name} has no address: {error}");
                Vec::new()
            }
        },
    }
}

/// The socket of the destination's family; one that is not bound to this machine alone for one
/// outside of it.
fn line_for(stack: &Stack, destination: SocketAddr) -> Option<Rc<Line>> {
    let lines = stack.lines.borrow();
    lines.iter().find(|line| line.reaches(destination)).cloned()
}
