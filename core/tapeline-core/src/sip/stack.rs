//! What everything on the SIP thread shares: tables, endpoint, and the ways in.

mod judge;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use rsipstack::EndpointBuilder;
use rsipstack::sip::{Header, HeadersExt, Method, Request, SipMessage, StatusCode};
use rsipstack::transaction::TransactionReceiver;
use rsipstack::transaction::endpoint::{EndpointInnerRef, EndpointOption};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use self::judge::Verdict;
use crate::boundary::command::{CommandId, SipCommand};
use crate::boundary::counters::Counters;
use crate::boundary::event::{EndedBy, Event};
use crate::boundary::handle::{LegHandle, SlotAllocator};
use crate::boundary::identity::{Credentials, Route};
use crate::boundary::sink::EventSink;
use crate::media::command::{MediaCommand, MediaHandle};
use crate::sip::config::{Limits, SipConfig};
use crate::sip::dialog::{Incoming, Input, LegRecord, Phase};
use crate::sip::dialog::{allow, arrive, dial, refuse, retry_after};
use crate::sip::digest::Verifier;
use crate::sip::gate::Gate;
use crate::sip::guard::guarded;
use crate::sip::handle::LegStatsTable;
use crate::sip::registrar::{self, Bindings, Moment};
use crate::sip::resolve::Resolver;
use crate::sip::strikes::STRANGER;
use crate::sip::tables::{OurInvite, Tables};
use crate::sip::trace::Trace;
use crate::sip::transport::{Line, Lines, Tls};
use crate::sip::trunks::Trunks;
use crate::sip::wire::{self, ALLOW, Admission, TagMaker, stateless, supported, tag};
use crate::sys::undelivered::Undelivered;

/// Everything of one incarnation of the thread.
pub(super) struct Stack {
    pub config: Rc<SipConfig>,
    pub media: MediaHandle,
    pub events: EventSink,
    pub counters: Arc<Counters>,
    pub slots: Arc<SlotAllocator>,
    pub stats: LegStatsTable,
    /// The last messages of each call.
    pub trace: Arc<Trace>,
    pub tls: Arc<Tls>,
    endpoint: RefCell<EndpointInnerRef>,
    pub gate: RefCell<Gate>,
    verifier: RefCell<Verifier>,
    /// Where the phones of our endpoints are.
    pub bindings: RefCell<Bindings>,
    pub trunks: Trunks,
    pub lines: Rc<Lines>,
    resolver: OnceCell<Resolver>,
    arrivals: RefCell<TransactionReceiver>,
    tags: TagMaker,
    random: RandomState,
    drawn: Cell<u64>,
    pub tables: Tables,
    /// Where the supervisor asks from.
    pub probes: HashSet<SocketAddr>,
    /// Every loop of the thread starts anew.
    pub renewed: Notify,
    /// Legs the media thread could not be told to drop yet.
    unremoved: RefCell<Vec<LegHandle>>,
    pub has_unremoved: Notify,
    /// BYEs of ours that wait for an answer.
    closing: Cell<usize>,
    pub changed: Notify,
}

/// Held while a BYE of ours waits for its answer.
pub(super) struct Closing(Rc<Stack>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.closing.set(self.0.closing.get() - 1);
        self.0.changed.notify_one();
    }
}

/// Tasks live on the thread's own set and end with it.
pub(super) fn spawn<F: Future<Output = ()> + 'static>(task: F) {
    tokio::task::spawn_local(task);
}

/// A leg's task; a panic in it ends that leg and no other.
pub(super) fn spawn_leg<F>(stack: Rc<Stack>, record: Rc<LegRecord>, task: F)
where
    F: Future<Output = ()> + 'static,
{
    spawn(async move {
        if guarded(task).await.is_err() {
            Counters::add(&stack.counters.caught_panics, 1);
            log::error!("a panic ended leg {:?}", record.leg);
            let ended = guarded(record.clone().abandon(stack.clone())).await;
            if ended.is_err() {
                stack.end(&record, EndedBy::Fault, 500);
            }
        }
    });
}

impl Stack {
    pub fn new(
        config: Rc<SipConfig>,
        media: MediaHandle,
        events: EventSink,
        counters: Arc<Counters>,
        slots: Arc<SlotAllocator>,
        stats: LegStatsTable,
        tls: Arc<Tls>,
    ) -> Result<Self, String> {
        let (endpoint, arrivals) = endpoint(&config)?;
        let now = Instant::now();
        let gate = Gate::new(config.access.clone(), config.limits.rate_in_all, now);
        let mut key = [0; 64];
        getrandom::fill(&mut key).map_err(|error| error.to_string())?;
        let verifier = Verifier::new(&config.realm, key, now);
        Ok(Self {
            config,
            media,
            events,
            counters,
            slots,
            stats,
            trace: Arc::default(),
            tls,
            endpoint: RefCell::new(endpoint),
            probes: HashSet::new(),
            renewed: Notify::new(),
            gate: RefCell::new(gate),
            verifier: RefCell::new(verifier),
            bindings: RefCell::default(),
            trunks: Trunks::default(),
            lines: Rc::default(),
            resolver: OnceCell::new(),
            arrivals: RefCell::new(arrivals),
            tags: TagMaker::default(),
            random: RandomState::new(),
            drawn: Cell::new(0),
            tables: Tables::default(),
            unremoved: RefCell::default(),
            has_unremoved: Notify::new(),
            closing: Cell::new(0),
            changed: Notify::new(),
        })
    }

    /// Of all transactions that begin now.
    pub fn endpoint(&self) -> EndpointInnerRef {
        self.endpoint.borrow().clone()
    }

    /// A new endpoint and new loops for a thread that is deaf. Dialogs stay; what is open of the old
    /// endpoint's transactions runs out by its own timers.
    pub fn renew(&self) -> Result<(), String> {
        let (endpoint, arrivals) = endpoint(&self.config)?;
        let old = self.endpoint.replace(endpoint);
        self.arrivals.replace(arrivals);
        let life = self.config.limits.t1 * 128;
        spawn(async move {
            let timers = guarded(async move { old.process_timer().await });
            if let Ok(Err(_)) = timeout(life, timers).await {
                log::error!("the timers of an earlier endpoint panicked");
            }
        });
        self.renewed.notify_waiters();
        Ok(())
    }

    pub fn done(&self, command: CommandId) {
        self.events.send(Event::CommandDone { command });
    }

    pub fn failed(&self, command: CommandId, reason: String) {
        self.events.send(Event::CommandFailed { command, reason: reason.into() });
    }

    /// Made at its first use, when the runtime it asks on is there.
    pub fn resolver(&self) -> &Resolver {
        let Limits { lookup, .. } = self.config.limits;
        self.resolver.get_or_init(|| Resolver::new(&self.config.dns, lookup))
    }

    /// A number nobody can foretell.
    pub fn random(&self) -> u64 {
        self.drawn.set(self.drawn.get() + 1);
        self.random.hash_one(self.drawn.get())
    }

    pub fn closing(self: &Rc<Self>) -> Closing {
        self.closing.set(self.closing.get() + 1);
        Closing(self.clone())
    }

    /// No leg, no INVITE to cancel, and nothing of ours that waits for an answer.
    pub fn is_quiet(&self) -> bool {
        self.tables.leg_count() == 0 && self.closing.get() == 0 && !self.tables.is_any_leaving()
    }

    pub fn is_full(&self) -> bool {
        self.tables.leg_count() >= self.config.limits.dialogs
    }

    // ---- commands

    pub fn on_command(self: &Rc<Self>, id: CommandId, command: SipCommand) {
        let leg = match &command {
            SipCommand::Dial { leg, call } => return dial(self, id, *leg, call),
            SipCommand::SetAccess { access } => {
                self.gate.borrow_mut().set_access(access.clone());
                return self.done(id);
            }
            SipCommand::SetCredentials { credentials } => {
                self.set_credentials(credentials);
                return self.done(id);
            }
            SipCommand::SetSources { sources } => {
                self.gate.borrow_mut().set_sources(sources.clone());
                return self.done(id);
            }
            SipCommand::SetLocations { locations } => {
                self.bindings.borrow_mut().restore(locations, Moment::present());
                return self.done(id);
            }
            SipCommand::Register { registration } => {
                self.trunks.register(self, (**registration).clone());
                return self.done(id);
            }
            SipCommand::Unregister { trunk } => {
                return match self.trunks.unregister(trunk) {
                    true => self.done(id),
                    false => self.failed(id, "no such registration".into()),
                };
            }
            SipCommand::Watch { watch } => {
                self.trunks.watch(self, watch.clone());
                return self.done(id);
            }
            SipCommand::SetDraining { draining } => {
                self.gate.borrow_mut().set_draining(*draining);
                return self.done(id);
            }
            SipCommand::Ring { leg }
            | SipCommand::Answer { leg }
            | SipCommand::AnswerInto { leg, .. }
            | SipCommand::Reject { leg, .. }
            | SipCommand::HangUp { leg }
            | SipCommand::HangUpFor { leg, .. }
            | SipCommand::Progress { leg }
            | SipCommand::AcceptTransfer { leg }
            | SipCommand::RefuseTransfer { leg, .. }
            | SipCommand::ReportTransfer { leg, .. } => *leg,
        };
        match self
            .tables
            .leg(leg)
            .map(|record| record.mailbox.try_send(Input::Command(id, command)))
        {
            None => self.failed(id, "no such leg".into()),
            Some(Err(_)) => self.failed(id, "the leg is busy or has ended".into()),
            Some(Ok(())) => {}
        }
    }

    /// Who is no owner any more has no phones here either.
    fn set_credentials(&self, credentials: &Credentials) {
        let owners: HashSet<&str> = credentials.0.values().map(|it| it.owner.as_str()).collect();
        let gone = self.bindings.borrow_mut().keep_only(|owner| owners.contains(owner));
        gone.iter().for_each(|owner| registrar::tell(self, owner));
        self.verifier.borrow_mut().set(credentials.0.clone());
    }

    /// Registrations end by themselves; called now and then.
    pub fn expire_bindings(&self) {
        let changed = self.bindings.borrow_mut().expire(Instant::now());
        changed.iter().for_each(|owner| registrar::tell(self, owner));
    }

    /// Tells every leg to end.
    pub fn stop_legs(&self) {
        self.gate.borrow_mut().set_draining(true);
        for record in self.tables.legs() {
            if record.mailbox.try_send(Input::Stop).is_err() {
                self.end(&record, EndedBy::Command, 503);
            }
        }
    }

    /// Ends what is left without another word to the peers.
    pub fn drop_legs(&self, by: EndedBy) {
        for record in self.tables.legs() {
            self.end(&record, by, 500);
        }
    }

    // ---- messages

    /// A datagram, or one message of a stream.
    pub async fn on_message(self: &Rc<Self>, line: &Rc<Line>, datagram: &[u8], source: SocketAddr) {
        #[cfg(test)]
        planted(datagram).await;
        let is_probe = self.probes.contains(&source);
        if !is_probe {
            Counters::add(&self.counters.sip_received, 1);
        }
        let message = wire::trim(datagram);
        let is_known = wire::call_id(message).is_some_and(|id| self.tables.knows_call(id));
        let now = Instant::now();
        let is_charged = !is_known && !is_probe;
        if is_charged && self.gate.borrow().is_silenced(source.ip(), now) {
            return Counters::add(&self.counters.sip_silenced, 1);
        }
        if is_charged && !self.gate.borrow_mut().charge(source.ip(), now) {
            return Counters::add(&self.counters.sip_rate_limited, 1);
        }
        if !line.transport().is_reliable()
            && let Some(answer) = wire::stun_answer(datagram, source)
        {
            return line.send(&answer, source);
        }
        let is_allowed = is_known
            || self.gate.borrow().owner(source.ip()).is_some()
            || self.bindings.borrow().is_source(source);
        if message.is_empty() {
            // RFC 5626 §3.5.1: a keep-alive of two line ends is answered with one.
            if datagram == b"\r\n\r\n" && is_allowed {
                line.send(b"\r\n", source);
            }
            return;
        }
        match wire::admit(message, source, &self.tags) {
            Admission::Ignore => Counters::add(&self.counters.sip_malformed, 1),
            Admission::Refuse { .. } if !is_allowed => {
                self.strike(source, STRANGER, now);
            }
            Admission::Refuse { status, reply } => {
                if status == 400 {
                    Counters::add(&self.counters.sip_malformed, 1);
                }
                line.send(&reply, source);
            }
            Admission::Response(response) => {
                self.trace.received(line.transport(), source, message);
                match self.tables.invite_of(&response) {
                    Some(OurInvite::First(ours)) => {
                        ours.on_response(self, line, response, source).await;
                    }
                    Some(OurInvite::Again(ours)) => ours.on_response(self, response),
                    None => {
                        let message = SipMessage::Response(response);
                        self.to_transaction(line, source, String::new(), message).await;
                    }
                }
            }
            Admission::Request { request, key, head } => {
                let (status, extra) = match self.judge(&request, &key, &head, source, is_known) {
                    Verdict::Drop => return,
                    Verdict::Take { owner } => {
                        self.note_taken(line, source, &request, message);
                        self.take_back(line, &request, source);
                        let message = SipMessage::Request(request);
                        return self.to_transaction(line, source, owner, message).await;
                    }
                    Verdict::Refuse(503) => (503, vec![("Retry-After", "5".to_owned())]),
                    Verdict::Refuse(405) => (405, vec![("Allow", ALLOW.to_owned())]),
                    Verdict::Refuse(status) => (status, vec![]),
                    Verdict::Challenge { is_stale } => {
                        Counters::add(&self.counters.sip_challenged, 1);
                        let values = self.verifier.borrow_mut().challenges(is_stale, now);
                        (401, values.map(|value| ("WWW-Authenticate", value)).to_vec())
                    }
                };
                let extra: Vec<_> = extra.iter().map(|(n, value)| (*n, value.as_str())).collect();
                if let Some(reply) = stateless(&head, source, &self.tags, status, &extra) {
                    line.send(&reply, source);
                }
            }
        }
    }

    /// A new call's trace begins with its INVITE.
    fn note_taken(&self, line: &Line, source: SocketAddr, request: &Request, message: &[u8]) {
        if request.method == Method::Invite
            && to_tag(request).is_none()
            && let Ok(call_id) = request.call_id_header()
        {
            self.trace.begin(call_id.value());
        }
        self.trace.received(line.transport(), source, message);
    }

    /// An ICMP error; it concerns an INVITE that nobody has answered, else it means nothing.
    pub fn on_undelivered(&self, lost: &Undelivered) {
        if lost.is_unreachable {
            self.tables.invitations().iter().for_each(|ours| ours.on_undelivered(lost));
        }
    }

    /// A stream has ended. INVITEs of ours that nobody has answered are lost with it; dialogs live on
    /// for a while in which their peer may come back by another line.
    pub fn on_line_over(self: &Rc<Self>, line: &Rc<Line>) {
        self.tables.invitations().iter().for_each(|ours| ours.on_line_over(line));
        if !self.tables.legs().iter().any(|record| record.lives_on(line)) {
            return;
        }
        let (stack, line) = (self.clone(), line.clone());
        spawn(async move {
            sleep(stack.config.limits.streams.grace).await;
            for record in stack.tables.legs().iter().filter(|record| record.lives_on(&line)) {
                if record.mailbox.try_send(Input::LineOver).is_err() {
                    stack.end(record, EndedBy::Unreachable, 408);
                }
            }
        });
    }

    /// The ACK of a dialog whose line is over comes by the peer's new one; its other requests are
    /// noted where they are answered.
    fn take_back(&self, line: &Rc<Line>, request: &Request, source: SocketAddr) {
        if request.method != Method::Ack || !line.transport().is_reliable() {
            return;
        }
        let record = to_tag(request).and_then(|tag| self.tables.dialog_of(request, tag));
        if let Some(record) = record {
            record.come_back(line, source);
        }
    }

    /// Hands a message to rsipstack and takes what new transaction it made of it. Both are
    /// immediate, so a new transaction always belongs to this very datagram.
    async fn to_transaction(
        self: &Rc<Self>,
        line: &Rc<Line>,
        source: SocketAddr,
        owner: String,
        message: SipMessage,
    ) {
        let connection = line.connection().clone();
        let endpoint = self.endpoint();
        let received = endpoint.on_received_message(message, connection, &source.into()).await;
        if let Err(error) = received {
            log::debug!("message from {source} dropped: {error}");
        }
        loop {
            let arrival = self.arrivals.borrow_mut().try_recv();
            let Ok(transaction) = arrival else { return };
            self.on_transaction(line, source, owner.clone(), transaction).await;
        }
    }

    async fn on_transaction(
        self: &Rc<Self>,
        line: &Rc<Line>,
        source: SocketAddr,
        owner: String,
        transaction: Transaction,
    ) {
        let request = &transaction.original;
        let unknown = StatusCode::CallTransactionDoesNotExist;
        let Some(local_tag) = to_tag(request) else {
            return match request.method {
                Method::Invite => arrive(self, line, source, owner, transaction).await,
                Method::Options => self.answer_options(transaction).await,
                Method::Register => {
                    let route = Route { transport: line.transport(), address: source };
                    registrar::answer(self, &owner, route, transaction).await;
                }
                // A transfer is of a call.
                Method::Refer => {
                    refuse(transaction, StatusCode::MethodNotAllowed, vec![allow()]).await;
                }
                _ => refuse(transaction, unknown, vec![]).await,
            };
        };
        let Some(record) = self.tables.dialog_of(request, local_tag) else {
            return refuse(transaction, unknown, vec![]).await;
        };
        let incoming = Incoming { transaction, source, line: line.clone() };
        let refused = match record.mailbox.try_send(Input::Request(Box::new(incoming))) {
            Ok(()) => return,
            Err(tokio::sync::mpsc::error::TrySendError::Full(input)) => (input, false),
            Err(tokio::sync::mpsc::error::TrySendError::Closed(input)) => (input, true),
        };
        if let (Input::Request(incoming), is_gone) = refused {
            let status = if is_gone { unknown } else { StatusCode::ServerInternalError };
            refuse(incoming.transaction, status, vec![retry_after(1)]).await;
        }
    }

    /// A peer asks whether we live and what we do (RFC 3261 §11).
    async fn answer_options(&self, transaction: Transaction) {
        let status = if self.gate.borrow().is_draining() {
            StatusCode::ServiceUnavailable
        } else {
            StatusCode::OK
        };
        let accept = Header::Accept("application/sdp".into());
        refuse(transaction, status, vec![allow(), supported(), accept]).await;
    }

    /// Takes a leg out of every table and reports it; once per leg.
    pub fn end(&self, record: &Rc<LegRecord>, by: EndedBy, sip_status: u16) {
        let leg = record.leg;
        match record.phase.replace(Phase::Ended) {
            Phase::Ended => return,
            Phase::Answered => self.gate.borrow_mut().acknowledged(),
            Phase::Calling | Phase::Ringing | Phase::Confirmed => {}
        }
        self.tables.remove(record);
        let invitation = record.invitation.take();
        if let Some(invitation) = invitation {
            invitation.leave(record.parting.take());
        }
        let quality = self.stats.remove(leg).map(|stats| Box::new(stats.quality()));
        Counters::add(&self.counters.calls_ended, 1);
        let reason = record.reason.take();
        self.events.send(Event::CallEnded { leg, by, sip_status, reason, quality });
        if record.has_media.get() {
            self.unremoved.borrow_mut().push(leg);
            self.remove_media();
        } else {
            self.slots.release(leg.0);
        }
        self.changed.notify_one();
    }

    /// Hands over the removals that wait; a slot is free only after its own. True when none is
    /// left.
    pub fn remove_media(&self) -> bool {
        let mut waiting = self.unremoved.borrow_mut();
        waiting.retain(|&leg| {
            let is_sent = self.media.send(MediaCommand::RemoveLeg { leg }).is_ok();
            if is_sent {
                self.slots.release(leg.0);
            }
            !is_sent
        });
        if !waiting.is_empty() {
            self.has_unremoved.notify_one();
        }
        waiting.is_empty()
    }
}

fn endpoint(config: &SipConfig) -> Result<(EndpointInnerRef, TransactionReceiver), String> {
    let t1 = config.limits.t1;
    let timers = EndpointOption { t1, t1x64: t1 * 64, ..EndpointOption::default() };
    let mut builder = EndpointBuilder::new();
    let endpoint = builder.with_user_agent(&config.user_agent).with_option(timers).build();
    let arrivals = endpoint.incoming_transactions().map_err(|error| error.to_string())?;
    Ok((endpoint.inner, arrivals))
}

/// What tests do to the thread.
#[cfg(test)]
async fn planted(datagram: &[u8]) {
    match datagram {
        b"HANG" => std::future::pending().await,
        b"BLOCK" => std::thread::sleep(std::time::Duration::from_secs(2)),
        b"PANIC" => panic!("asked to"),
        _ => {}
    }
}

fn to_tag(request: &Request) -> Option<String> {
    tag(request.to_header().ok()?.value()).map(str::to_owned)
}
