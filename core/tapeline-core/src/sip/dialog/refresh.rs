//! Our own requests inside a call: what keeps its session alive (RFC 4028), by UPDATE where the far end
//! takes it, else by a re-INVITE that repeats what is agreed.
//!
//! | answer | what follows |
//! |---|---|
//! | 2xx | the session begins anew |
//! | 422 | once more with the interval it wants |
//! | 405, 501 to an UPDATE | a re-INVITE |
//! | 491 | once more, after the time of RFC 3261 §14.1 |
//! | 408, 481, none | the far end has forgotten the call: BYE (RFC 5057 §5.1) |
//! | any other | once more, later; at the session's end BYE |

use std::time::Duration;

use rsipstack::sip::{Headers, Method, Response};
use tokio::time::Instant;

use crate::boundary::event::EndedBy;
use crate::sip::dialog::bye::ask;
use crate::sip::dialog::leg::{Leg, Next, Reply};
use crate::sip::dialog::record::Phase;
use crate::sip::dialog::reinvite;
use crate::sip::dialog::request::in_dialog;
use crate::sip::dialog::response::{allow, sdp_type};
use crate::sip::dialog::session::{
    self, Agreed, Asked, Due, Refresher, Rule, Session, request_headers,
};
use crate::sip::wire::{allows, supported};

/// RFC 3261 §14.1: steps of 10 ms after a 491, for the owner of the Call-ID and for the other.
const OWNERS_STEPS: std::ops::RangeInclusive<u64> = 210..=400;
const OTHERS_STEPS: std::ops::RangeInclusive<u64> = 0..=200;
const STEP: Duration = Duration::from_millis(10);
const REQUEST_TIMEOUT: u16 = 408;

impl Leg {
    pub(super) fn session_rule(&self) -> Rule {
        let limits = &self.stack.config.limits;
        Rule { seconds: limits.session_expires, min: limits.session_min }
    }

    /// From a 2xx that leaves or has come; `is_ours`: the request was.
    pub(super) fn run_session(&mut self, agreed: &Agreed, is_ours: bool) {
        let refreshes = (agreed.refresher == Refresher::Uac) == is_ours;
        self.session = Some(Session::new(agreed, refreshes, Instant::now()));
    }

    pub(super) fn note_abilities(&mut self, headers: &Headers) {
        if let Some(takes_update) = allows(headers, "UPDATE") {
            self.takes_update = takes_update;
        }
    }

    pub(super) fn session_due_at(&self) -> Option<Instant> {
        let is_up = self.record.phase.get() == Phase::Confirmed;
        self.session.as_ref().filter(|_| is_up).map(Session::due_at)
    }

    pub(super) async fn on_session_clock(&mut self, now: Instant) -> Next {
        if self.record.phase.get() != Phase::Confirmed {
            return Next::Stay;
        }
        match self.session.as_mut().and_then(|session| session.on_clock(now)) {
            None => Next::Stay,
            Some(Due::Expire) => self.hang_up(EndedBy::Expired, REQUEST_TIMEOUT).await,
            Some(Due::Refresh) => {
                self.refresh().await;
                Next::Stay
            }
        }
    }

    async fn refresh(&mut self) {
        if self.is_refreshing.is_some() || self.invite.is_some() {
            // Two INVITEs in one dialog would cross (RFC 3261 §14.1).
            return self.refresh_later(STEP * 100);
        }
        let method = if self.takes_update { Method::Update } else { Method::Invite };
        let Some(seconds) = self.session.as_ref().map(|session| session.seconds) else { return };
        let (mut request, way) = {
            let mut peer = self.record.peer.borrow_mut();
            peer.local_seq += 1;
            let way = peer.way();
            let agent = &self.stack.config.user_agent;
            let request = in_dialog(agent, &peer, &way, method, peer.local_seq);
            (request, way)
        };
        let rule = self.session_rule();
        request.headers.push(self.record.peer.borrow().contact());
        request.headers.extend(vec![allow(), supported()]);
        request.headers.extend(request_headers(seconds, rule.min, Some(Refresher::Uac)));
        self.is_refreshing = Some(method);
        if method == Method::Update {
            return ask(&self.stack, &self.record, request, way).await;
        }
        request.headers.push(sdp_type());
        request.body = self.repeated_offer().into_bytes();
        // A challenge of a re-INVITE is not answered, so it brings the proofs that are known.
        let login = self.record.peer.borrow().login.clone();
        let proofs = login.map(|login| login.borrow_mut().proofs(&request));
        request.headers.extend(proofs.unwrap_or_default());
        reinvite::send(&self.stack, &self.record, request, &way);
    }

    /// What is agreed, as an offer: nothing changes by it.
    fn repeated_offer(&mut self) -> String {
        self.protect_offer();
        let current = self.agreement.clone();
        let codecs = &self.codecs;
        let Some(local) = &mut self.local else { return String::new() };
        match current.as_ref().is_some_and(|agreement| agreement.srtp.is_some()) {
            // An answer's key is not repeated as an offer's.
            true => local.offer(codecs, current.as_ref()),
            false => local.again().unwrap_or_else(|| local.offer(codecs, current.as_ref())),
        }
    }

    fn refresh_later(&mut self, wait: Duration) {
        if let Some(session) = &mut self.session {
            session.try_again_at(Instant::now() + wait);
        }
    }

    /// The final answer to a request of ours.
    pub(super) async fn on_reply(&mut self, reply: Reply) -> Next {
        if self.is_refreshing != Some(reply.method) {
            return Next::Stay;
        }
        self.is_refreshing = None;
        let status = reply.response.as_ref().map_or(REQUEST_TIMEOUT, |it| it.status_code.code());
        match (status, reply.response) {
            (200..=299, Some(response)) => return self.on_refreshed(reply.method, &response).await,
            (422, Some(response)) => {
                let wanted = Asked::of(&response.headers).min;
                match &mut self.session {
                    Some(session) if wanted > session.seconds => {
                        session.seconds = wanted;
                        self.refresh().await;
                    }
                    _ => self.refresh_at_half_of_the_rest(),
                }
            }
            (405 | 501, _) if reply.method == Method::Update => {
                self.takes_update = false;
                self.refresh().await;
            }
            (491, _) => {
                let owns_call_id = self.record.merge_key.is_none();
                self.refresh_later(back_off(owns_call_id, self.stack.random()));
            }
            (408 | 481, _) => return self.hang_up(EndedBy::Unreachable, status).await,
            _ => self.refresh_at_half_of_the_rest(),
        }
        Next::Stay
    }

    fn refresh_at_half_of_the_rest(&mut self) {
        let rest =
            self.session.as_ref().map(|it| it.due_at().saturating_duration_since(Instant::now()));
        self.refresh_later(rest.unwrap_or_default() / 2 + STEP);
    }

    async fn on_refreshed(&mut self, method: Method, response: &Response) -> Next {
        self.note_abilities(&response.headers);
        let sent = self.session.as_ref().map_or(0, |session| session.seconds);
        let agreed = session::settle(&Asked::of(&response.headers), sent, self.session_rule());
        self.run_session(&agreed, true);
        self.record.peer.borrow_mut().refresh_target(response);
        if method == Method::Invite {
            let before = self.agreement.clone();
            if let Err(reason) = self.take_answer(&response.body) {
                log::info!("leg {:?} ends: {reason}", self.record.leg);
                return self.hang_up(EndedBy::Rejected, 488).await;
            }
            self.report_change(before.as_ref());
        }
        Next::Stay
    }
}

/// After a 491 (RFC 3261 §14.1); `drawn` is any number.
fn back_off(owns_call_id: bool, drawn: u64) -> Duration {
    let steps = if owns_call_id { OWNERS_STEPS } else { OTHERS_STEPS };
    let step = steps.start() + drawn % (steps.end() - steps.start() + 1);
    STEP * u32::try_from(step).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_491_the_owner_of_the_call_id_waits_for_longer() {
        for (owns_call_id, least, most) in [(true, 2_100, 4_000), (false, 0, 2_000)] {
            let waits = (0..1_000).map(|drawn| back_off(owns_call_id, drawn).as_millis());
            let (mut all, is_of_steps) = (waits.clone(), waits.clone().all(|it| it % 10 == 0));
            assert_eq!((waits.clone().min(), waits.max()), (Some(least), Some(most)));
            assert!(is_of_steps && all.any(|it| it == (least + most) / 2));
        }
        assert!(back_off(true, u64::MAX) <= Duration::from_secs(4));
    }
}
