//! The INVITE client transaction (RFC 3261 §17.1.1 as RFC 6026 §7.2 corrects it, and the CANCEL of
//! §9.1). Pure: inputs with their instant in, what to do out.
//!
//! ```text
//! Calling ──1xx──▶ Proceeding ──2xx──▶ Accepted ──64*T1──▶ Over
//!    │ │                │ └─3xx-6xx──▶ Refused ───64*T1──────▲
//!    │ └── final ───────┴──▶ the same                       │
//!    └── 64*T1 without a word, ICMP, 64*T1 after our CANCEL ┘
//! ```
//!
//! Ours, because rsipstack's acknowledges its own time-out on the wire, makes the ACK of a 2xx out of
//! addresses it has to look up while everything waits, and ends at the first of several 2xx.

use std::time::Duration;

use tokio::time::Instant;

/// RFC 3261 §17.1.1.1: timers B, D and M are 64*T1.
const LIFE: u32 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Sent, nothing heard: the INVITE is repeated.
    Calling,
    /// The far end works on it.
    Proceeding,
    /// A 2xx came; others may follow from other phones.
    Accepted,
    /// Another final response came; it may be repeated.
    Refused,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Provisional,
    Success,
    Refusal,
    /// The INVITE cannot get there.
    Lost,
    /// We do not want the call any more.
    Cancel,
    /// Timer A.
    Repeat,
    /// Timers B, D, M, or the end of waiting after a CANCEL.
    Expire,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    SendInvite,
    SendCancel,
    /// Tell the leg of a provisional response.
    Ring,
    /// ACK a 2xx, whichever dialog it belongs to.
    Confirm,
    /// ACK another final response; the first is told.
    Refuse,
    /// The far end never said a word.
    GiveUp,
}

/// One INVITE of ours; the first copy of it leaves when this is made.
#[derive(Debug)]
pub(super) struct ClientInvite {
    state: State,
    t1: Duration,
    interval: Duration,
    repeat_at: Option<Instant>,
    expires_at: Option<Instant>,
    is_cancelled: bool,
}

fn transition(state: State, input: Input, is_cancelled: bool) -> (State, Action) {
    use Action::{Confirm, GiveUp, Nothing, Refuse, Ring, SendCancel, SendInvite};
    use State::{Accepted, Calling, Over, Proceeding, Refused};
    match (state, input) {
        (Calling, Input::Repeat) => (Calling, SendInvite), // §17.1.1.2, timer A
        (Calling, Input::Expire) => (Over, GiveUp),        // timer B
        (Calling, Input::Lost) => (Over, GiveUp),          // §17.1.4
        (Calling, Input::Cancel) => (Calling, Nothing), // §9.1: not before a provisional response
        (Calling, Input::Provisional) if is_cancelled => (Proceeding, SendCancel),
        (Calling | Proceeding, Input::Provisional) => (Proceeding, Ring),
        (Calling | Proceeding, Input::Success) => (Accepted, Confirm),
        (Calling | Proceeding, Input::Refusal) => (Refused, Refuse),
        (Proceeding, Input::Cancel) => (Proceeding, SendCancel),
        (Proceeding, Input::Expire) => (Over, Nothing), // §9.1: 64*T1 after the CANCEL
        (Accepted, Input::Success) => (Accepted, Confirm), // RFC 6026 §7.2: repeated, or a fork
        (Refused, Input::Refusal) => (Refused, Refuse), // the ACK was lost
        (Accepted | Refused, Input::Expire) => (Over, Nothing), // timers M and D
        // After a final response all others are late and mean nothing; what is over stays so.
        (Accepted | Refused | Over, _) => (state, Nothing),
        // Timer A stops with the first word, and who sent it is there.
        (Proceeding, Input::Repeat | Input::Lost) => (Proceeding, Nothing),
    }
}

impl ClientInvite {
    /// On a reliable transport it is sent once (RFC 3261 §17.1.1.2).
    pub fn new(t1: Duration, is_reliable: bool, now: Instant) -> Self {
        Self {
            state: State::Calling,
            t1,
            interval: t1,
            repeat_at: (!is_reliable).then(|| now + t1),
            expires_at: Some(now + t1 * LIFE),
            is_cancelled: false,
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// A CANCEL is due or on its way and the far end has not settled the INVITE.
    pub fn is_leaving(&self) -> bool {
        self.is_cancelled && matches!(self.state, State::Calling | State::Proceeding)
    }

    /// When `on_clock` wants to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.repeat_at.into_iter().chain(self.expires_at).min()
    }

    pub fn on_clock(&mut self, now: Instant) -> Action {
        if self.expires_at.is_some_and(|at| at <= now) {
            return self.on(Input::Expire, now);
        }
        if self.repeat_at.is_some_and(|at| at <= now) {
            return self.on(Input::Repeat, now);
        }
        Action::Nothing
    }

    pub fn on(&mut self, input: Input, now: Instant) -> Action {
        if input == Input::Cancel && std::mem::replace(&mut self.is_cancelled, true) {
            return Action::Nothing;
        }
        let (next, action) = transition(self.state, input, self.is_cancelled);
        if next != self.state {
            self.repeat_at = None;
            let is_waiting = matches!(next, State::Accepted | State::Refused);
            self.expires_at = is_waiting.then(|| now + self.t1 * LIFE);
        }
        match action {
            Action::SendInvite => {
                self.interval *= 2;
                self.repeat_at = Some(now + self.interval);
            }
            Action::SendCancel => self.expires_at = Some(now + self.t1 * LIFE),
            _ => {}
        }
        self.state = next;
        action
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: Duration = Duration::from_millis(500);

    /// Milliseconds at which the clock made it do something, and what, until nothing is due.
    fn run(invite: &mut ClientInvite, begun: Instant) -> Vec<(u64, Action)> {
        let mut done = Vec::new();
        while let Some(at) = invite.deadline() {
            done.push(((at - begun).as_millis() as u64, invite.on_clock(at)));
        }
        done
    }

    #[test]
    fn a_silent_far_end_hears_seven_invites_in_32_seconds() {
        let begun = Instant::now();
        let mut invite = ClientInvite::new(T1, false, begun);

        let done = run(&mut invite, begun);

        let sent = [500, 1_500, 3_500, 7_500, 15_500, 31_500].map(|at| (at, Action::SendInvite));
        assert_eq!(done[..6], sent);
        assert_eq!(done[6..], [(32_000, Action::GiveUp)]);
        assert_eq!(invite.state(), State::Over);
    }

    #[test]
    fn a_stream_carries_the_invite_once() {
        let begun = Instant::now();
        let mut invite = ClientInvite::new(T1, true, begun);
        assert_eq!(run(&mut invite, begun), [(32_000, Action::GiveUp)]);
    }

    #[test]
    fn each_input_has_its_consequence() {
        use Action::{Confirm, Nothing, Refuse, Ring, SendCancel};
        use Input::{Cancel, Lost, Provisional, Refusal, Success};
        let cases: [(&[(Input, Action)], State); 11] = [
            (&[(Provisional, Ring), (Provisional, Ring), (Success, Confirm)], State::Accepted),
            (&[(Success, Confirm), (Success, Confirm), (Refusal, Nothing)], State::Accepted),
            (&[(Success, Confirm), (Cancel, Nothing), (Provisional, Nothing)], State::Accepted),
            (&[(Refusal, Refuse), (Refusal, Refuse), (Success, Nothing)], State::Refused),
            (&[(Provisional, Ring), (Cancel, SendCancel), (Refusal, Refuse)], State::Refused),
            // §9.1: a CANCEL waits for the first word; a 200 may cross it.
            (&[(Cancel, Nothing), (Provisional, SendCancel), (Success, Confirm)], State::Accepted),
            (&[(Cancel, Nothing), (Success, Confirm)], State::Accepted),
            // Once is enough; the CANCEL's own transaction repeats it.
            (&[(Provisional, Ring), (Cancel, SendCancel), (Cancel, Nothing)], State::Proceeding),
            (&[(Cancel, Nothing), (Cancel, Nothing)], State::Calling),
            (&[(Lost, Action::GiveUp), (Success, Nothing)], State::Over),
            (&[(Provisional, Ring), (Lost, Nothing)], State::Proceeding),
        ];
        for (script, state) in cases {
            let now = Instant::now();
            let mut invite = ClientInvite::new(T1, false, now);
            for &(input, action) in script {
                assert_eq!(invite.on(input, now), action, "{input:?} in {script:?}");
            }
            assert_eq!(invite.state(), state, "{script:?}");
        }
    }

    #[test]
    fn every_state_but_a_ringing_one_ends_by_itself() {
        let begun = Instant::now();
        let mut ringing = ClientInvite::new(T1, false, begun);
        ringing.on(Input::Provisional, begun);
        assert_eq!(run(&mut ringing, begun), []);
        assert!(!ringing.is_leaving());
        ringing.on(Input::Cancel, begun);
        assert!(ringing.is_leaving());
        assert_eq!(run(&mut ringing, begun), [(32_000, Action::Nothing)]);
        assert_eq!(ringing.state(), State::Over);

        for last in [Input::Success, Input::Refusal] {
            let mut invite = ClientInvite::new(T1, false, begun);
            invite.on(last, begun);
            // A repetition does not lengthen its life.
            invite.on(last, begun + T1);
            assert_eq!(run(&mut invite, begun), [(32_000, Action::Nothing)], "{last:?}");
            assert!(!invite.is_leaving());
        }
    }
}
