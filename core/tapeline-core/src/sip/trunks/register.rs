//! Our registration with one carrier: sent, proved, renewed, and taken back in the end.

use std::rc::Rc;
use std::time::Duration;

use rsipstack::sip::{Header, Method, Response};
use tokio::time::{Instant, sleep};

use crate::boundary::event::Event;
use crate::boundary::trunk::Registration;
use crate::sip::digest::Login;
use crate::sip::stack::Stack;
use crate::sip::trunks::End;
use crate::sip::trunks::exchange::{Asking, Series, Way, ask, way_to};
use crate::sip::trunks::pace::Pace;
use crate::sip::wire::{list, parameter, uri_of};

/// Requests of one attempt: the challenge of a registrar, of a proxy, each stale once, and a 423.
const MAX_REQUESTS: u32 = 6;
/// What a registrar may ask for as shortest interval, seconds.
const LONGEST: u32 = 86_400;
/// How long a registration that is taken back may take to be answered.
const FAREWELL: Duration = Duration::from_secs(2);

/// What came of one attempt.
enum Outcome {
    Granted(u32),
    Refused { status: u16, detail: String, retry_after: Option<Duration> },
}

struct Keeper {
    stack: Rc<Stack>,
    registration: Registration,
    login: Login,
    series: Series,
    /// As asked for, or as the registrar wants it at least.
    expires_s: u32,
    /// Where the last answer came from.
    way: Option<Way>,
    /// What was told last: granted seconds, or why there is none.
    told: Option<Result<u32, u16>>,
    valid_until: Instant,
}

/// Until `end`.
pub(super) async fn keep_up(stack: Rc<Stack>, registration: Registration, end: End) {
    let login = Login::new(&registration.username, &registration.password);
    let mut keeper = Keeper {
        login,
        series: Series::new(),
        expires_s: registration.expires_s,
        way: None,
        told: None,
        valid_until: Instant::now(),
        stack,
        registration,
    };
    let mut pace = Pace::default();
    loop {
        let outcome = tokio::select! {
            biased;
            () = end.now.cancelled() => break,
            outcome = keeper.attempt() => outcome,
        };
        let dice = keeper.stack.random();
        let wait = match &outcome {
            Outcome::Granted(seconds) => pace.after_success(*seconds, dice),
            Outcome::Refused { retry_after, .. } => pace.after_failure(*retry_after, dice),
        };
        keeper.tell(outcome);
        tokio::select! {
            biased;
            () = end.now.cancelled() => break,
            () = sleep(wait) => {}
        }
    }
    if !end.is_replaced.get() {
        keeper.take_back().await;
    }
}

impl Keeper {
    async fn attempt(&mut self) -> Outcome {
        let Some(way) = way_to(&self.stack, &self.registration.destination).await else {
            return refused(0, "the registrar cannot be reached");
        };
        self.login.begin();
        for _ in 0..MAX_REQUESTS {
            let Some(response) = self.ask(&way, self.expires_s).await else {
                return refused(0, "the registrar does not answer");
            };
            let status = response.status_code.code();
            match status {
                200..=299 => {
                    let contact = self.contact(&way);
                    self.way = Some(way);
                    return Outcome::Granted(granted(&response, &contact, self.expires_s));
                }
                401 | 407 if self.login.take_response(&response) => {}
                423 if self.takes_longer(&response) => {}
                _ => {
                    let detail = response.status_code.text().to_owned();
                    let retry_after = seconds_of(&response, "Retry-After");
                    let retry_after = retry_after.map(|s| Duration::from_secs(s.into()));
                    return Outcome::Refused { status, detail, retry_after };
                }
            }
        }
        refused(401, "the registrar asks without end")
    }

    async fn ask(&mut self, way: &Way, expires_s: u32) -> Option<Response> {
        let (registrar, aor) = (self.registration.registrar.clone(), self.registration.aor.clone());
        let method = Method::Register;
        let asking = Asking { method, uri: &registrar, from: &aor, to: &aor };
        let mut request = self.series.request(&self.stack, way, &asking);
        let contact = format!("<{}>", self.contact(way));
        request.headers.push(Header::Contact(contact.into()));
        request.headers.push(Header::Expires(expires_s.to_string().into()));
        request.headers.extend(self.login.proofs(&request));
        let limit = self.stack.config.limits.t1 * 64;
        ask(&self.stack, way, request, limit).await
    }

    /// Calls to it keep the number that was registered.
    fn contact(&self, way: &Way) -> String {
        let here = way.line.address_for(way.address);
        let parameter = way.line.transport().uri_parameter();
        format!("sip:{}@{here}{parameter}", self.registration.user())
    }

    /// §10.2.8; never an interval that is shorter than ours.
    fn takes_longer(&mut self, response: &Response) -> bool {
        let shortest = seconds_of(response, "Min-Expires").unwrap_or_default();
        let is_longer = shortest > self.expires_s && shortest <= LONGEST;
        if is_longer {
            self.expires_s = shortest;
        }
        is_longer
    }

    /// What changed. A registration that only was not renewed yet is still one.
    fn tell(&mut self, outcome: Outcome) {
        let trunk = self.registration.trunk.clone();
        let now = Instant::now();
        match outcome {
            Outcome::Granted(expires_s) => {
                self.valid_until = now + Duration::from_secs(expires_s.into());
                if self.told.replace(Ok(expires_s)) != Some(Ok(expires_s)) {
                    self.stack.events.send(Event::TrunkRegistered { trunk, expires_s });
                }
            }
            Outcome::Refused { status, detail, .. } => {
                let is_silence = matches!(status, 0 | 408 | 500..=599);
                if matches!(self.told, Some(Ok(_))) && is_silence && now < self.valid_until {
                    return log::debug!("trunk {trunk} was not renewed yet: {status} {detail}");
                }
                if self.told.replace(Err(status)) != Some(Err(status)) {
                    let sip_status = status;
                    self.stack.events.send(Event::TrunkUnregistered { trunk, sip_status, detail });
                }
            }
        }
    }

    /// The end: the carrier is told, and so is the control plane.
    async fn take_back(mut self) {
        let closing = self.stack.closing();
        if let (Some(way), Some(Ok(_))) = (self.way.take(), self.told) {
            let farewell = async {
                self.login.begin();
                while let Some(response) = self.ask(&way, 0).await {
                    if !self.login.take_response(&response) {
                        return;
                    }
                }
            };
            if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
                log::debug!("a registrar did not answer the last REGISTER");
            }
        }
        let (trunk, detail) = (self.registration.trunk, "it was given up".to_owned());
        self.stack.events.send(Event::TrunkUnregistered { trunk, sip_status: 200, detail });
        drop(closing);
    }
}

fn refused(status: u16, detail: &str) -> Outcome {
    Outcome::Refused { status, detail: detail.to_owned(), retry_after: None }
}

/// What our contact got; other phones of the same address-of-record are in the answer too (§10.3,
/// step 8).
fn granted(response: &Response, contact: &str, asked: u32) -> u32 {
    let contacts = response.headers.iter().filter_map(|header| match header {
        Header::Contact(value) => Some(value.value()),
        _ => None,
    });
    let ours = contacts.flat_map(list).find(|value| uri_of(value) == Some(contact));
    let own = ours.and_then(|value| parameter(value, "expires")?.trim().parse().ok());
    own.or_else(|| seconds_of(response, "Expires")).unwrap_or(asked)
}

/// The leading number of a header (`Retry-After: 120 (busy);duration=60`).
fn seconds_of(response: &Response, name: &str) -> Option<u32> {
    let line = response.headers.iter().map(Header::to_string).find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })?;
    let digits: String = line.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
