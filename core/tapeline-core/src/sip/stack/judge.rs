//! Whose a request is, and whether it is taken: by its source, by its digest, or not at all.

use std::net::SocketAddr;
use std::time::Instant;

use rsipstack::sip::{Method, Request};
use rsipstack::transaction::key::TransactionKey;

use super::{Stack, to_tag};
use crate::boundary::counters::Counters;
use crate::sip::digest::Proof;
use crate::sip::strikes::{STRANGER, WRONG_ANSWER};
use crate::sip::wire::Head;

/// What becomes of a request that can be read.
pub(super) enum Verdict {
    /// `owner`: of what it asks for, when it is new.
    Take {
        owner: String,
    },
    Drop,
    /// Without a transaction: one reply per datagram, nothing kept, nothing repeated.
    Refuse(u16),
    /// 401, the same way.
    Challenge {
        is_stale: bool,
    },
}

impl Stack {
    /// What becomes of it, before anything is kept of it.
    pub(super) fn judge(
        &self,
        request: &Request,
        key: &TransactionKey,
        head: &Head,
        source: SocketAddr,
        is_known: bool,
    ) -> Verdict {
        let now = Instant::now();
        let endpoint = self.endpoint();
        let has_transaction = endpoint.transactions.get(key).is_some()
            || endpoint.finished_transactions.get(key).is_some();
        let is_new = to_tag(request).is_none() && !has_transaction;
        if is_known && is_new && !self.gate.borrow_mut().charge(source.ip(), now) {
            // A live call's Call-ID is no pass for other requests.
            Counters::add(&self.counters.sip_rate_limited, 1);
            return Verdict::Drop;
        }
        let owner = self.gate.borrow().owner(source.ip()).map(str::to_owned);
        let owner = match (owner, request.method) {
            // Who registers is an endpoint, wherever it is.
            (by_address, Method::Register) if is_new => {
                if self.verifier.borrow().is_empty() && by_address.is_some() {
                    return Verdict::Refuse(405);
                }
                match self.identify(request, head, source) {
                    Ok(owner) => owner,
                    Err(verdict) => return verdict,
                }
            }
            (Some(owner), _) => owner,
            (None, _) if !is_new && (is_known || has_transaction) => String::new(),
            (None, Method::Invite) if is_new => match self.identify(request, head, source) {
                Ok(owner) => owner,
                Err(verdict) => return verdict,
            },
            // A phone of ours asks whether its way to us is open, or the supervisor does.
            (None, Method::Options)
                if self.bindings.borrow().is_source(source) || self.probes.contains(&source) =>
            {
                String::new()
            }
            (None, _) => {
                self.strike(source, STRANGER, now);
                return Verdict::Drop;
            }
        };
        let gate = self.gate.borrow();
        let is_full = !gate.takes_calls() || self.is_full();
        match request.method {
            Method::Invite if is_new && is_full => Verdict::Refuse(503),
            // rsipstack's own 481 has no To tag.
            Method::Cancel if is_new => Verdict::Refuse(481),
            _ => Verdict::Take { owner },
        }
    }

    /// Whose request it is by its digest, or what is said to a stranger.
    fn identify(
        &self,
        request: &Request,
        head: &Head,
        source: SocketAddr,
    ) -> Result<String, Verdict> {
        let now = Instant::now();
        let mut verifier = self.verifier.borrow_mut();
        if verifier.is_empty() {
            self.strike(source, STRANGER, now);
            let is_invite = request.method == Method::Invite;
            return Err(if is_invite { Verdict::Refuse(403) } else { Verdict::Drop });
        }
        let (method, uri) = (request.method.to_string(), request.uri.to_string());
        match verifier.verify(&method, &uri, head.all("Authorization"), now) {
            Proof::Of(owner) => {
                self.gate.borrow_mut().forgive(source.ip(), STRANGER);
                Ok(owner)
            }
            Proof::Stale => Err(Verdict::Challenge { is_stale: true }),
            Proof::Missing => {
                self.gate.borrow_mut().strike(source.ip(), STRANGER, now);
                Err(Verdict::Challenge { is_stale: false })
            }
            Proof::Wrong { is_answer } => {
                Counters::add(&self.counters.sip_wrong_digest, 1);
                let points = if is_answer { WRONG_ANSWER } else { STRANGER };
                self.gate.borrow_mut().strike(source.ip(), points, now);
                Err(Verdict::Challenge { is_stale: false })
            }
        }
    }

    /// A request of nobody's, which is not answered or with 403.
    pub(super) fn strike(&self, source: SocketAddr, points: u32, now: Instant) {
        Counters::add(&self.counters.sip_refused_source, 1);
        self.gate.borrow_mut().strike(source.ip(), points, now);
    }
}
