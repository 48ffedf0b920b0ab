//! Session timers (RFC 4028): what a request asks for, what is agreed, when something is due. Pure.
//!
//! Uac and uas are the sender of the refreshing request and who answers it, whoever called whom. A call
//! whose far end knows no session timers is refreshed by us all the same, silently: one that does not
//! answer any more is found out and ended.

use std::time::Duration;

use rsipstack::sip::{Header, Headers};
use tokio::time::Instant;

use crate::sip::wire::{Extension, first, parameter};

/// RFC 4028 §10: an expiring session is ended a little early.
const MARGIN: Duration = Duration::from_secs(32);
/// Longest interval that is believed; beyond it ours counts.
const MAX_SECONDS: u32 = 7 * 24 * 3_600;

/// What we want.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub seconds: u32,
    /// RFC 4028 §4 wants 90 at least.
    pub min: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresher {
    Uac,
    Uas,
}

/// What the headers of a request or response say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub seconds: Option<u32>,
    pub refresher: Option<Refresher>,
    /// `Min-SE`, else 0.
    pub min: u32,
    /// The far end knows session timers.
    pub is_supported: bool,
}

impl Asked {
    pub fn of(headers: &Headers) -> Self {
        let expires = first!(headers, SessionExpires);
        let refresher = expires.and_then(|value| parameter(value, "refresher"));
        let min = first!(headers, MinSE).and_then(seconds);
        Self {
            seconds: expires.and_then(seconds),
            refresher: refresher.and_then(|name| match name {
                _ if name.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
                _ if name.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
                _ => None,
            }),
            min: min.unwrap_or(0),
            is_supported: Extension::of(headers, "timer") > Extension::Unknown,
        }
    }
}

fn seconds(value: &str) -> Option<u32> {
    let number = value.split(';').next().unwrap_or_default().trim().parse::<u32>().ok()?;
    Some(number.min(MAX_SECONDS))
}

/// What both ends keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub seconds: u32,
    pub refresher: Refresher,
    /// The far end takes part.
    pub is_told: bool,
}

impl Agreed {
    /// For our 2xx (RFC 4028 §9).
    pub fn headers(&self) -> Vec<Header> {
        if !self.is_told {
            return Vec::new();
        }
        let refresher = match self.refresher {
            Refresher::Uac => "uac",
            Refresher::Uas => "uas",
        };
        let expires = format!("{};refresher={refresher}", self.seconds);
        vec![Header::SessionExpires(expires.into()), Header::Require("timer".into())]
    }
}

/// For a request of ours (RFC 4028 §7.1).
pub(super) fn request_headers(seconds: u32, min: u32, refresher: Option<Refresher>) -> Vec<Header> {
    let expires = match refresher {
        None => seconds.to_string(),
        Some(Refresher::Uac) => format!("{seconds};refresher=uac"),
        Some(Refresher::Uas) => format!("{seconds};refresher=uas"),
    };
    vec![Header::SessionExpires(expires.into()), min_header(min)]
}

pub(super) fn min_header(min: u32) -> Header {
    Header::MinSE(min.to_string().into())
}

/// What we answer a request with (RFC 4028 §9); the error is the `Min-SE` of a 422. `is_ours`: who
/// refreshes until now, of a session that runs.
pub(super) fn answer(asked: &Asked, rule: Rule, is_ours: Option<bool>) -> Result<Agreed, u32> {
    if asked.is_supported && asked.seconds.is_some_and(|seconds| seconds < rule.min) {
        return Err(rule.min);
    }
    let wished = asked.seconds.map_or(rule.seconds, |theirs| theirs.min(rule.seconds));
    let running = is_ours.map(|ours| if ours { Refresher::Uas } else { Refresher::Uac });
    let refresher = asked.refresher.or(running).filter(|_| asked.is_supported);
    Ok(Agreed {
        seconds: wished.max(asked.min).max(rule.min),
        refresher: refresher.unwrap_or(Refresher::Uas),
        is_told: asked.is_supported,
    })
}

/// What the 2xx to a request of ours settles (RFC 4028 §7.2).
pub(super) fn settle(answered: &Asked, sent_seconds: u32, rule: Rule) -> Agreed {
    Agreed {
        seconds: answered.seconds.unwrap_or(sent_seconds).max(rule.min),
        refresher: answered.refresher.unwrap_or(Refresher::Uac),
        is_told: answered.seconds.is_some(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// We send the refresh.
    Refresh,
    /// RFC 4028 §10: BYE.
    Expire,
}

/// A session that runs.
#[derive(Debug)]
pub(super) struct Session {
    pub seconds: u32,
    pub is_ours: bool,
    expires_at: Instant,
    /// None while our refresh is on its way.
    refresh_at: Option<Instant>,
}

impl Session {
    pub fn new(agreed: &Agreed, is_ours: bool, now: Instant) -> Self {
        let interval = Duration::from_secs(agreed.seconds.into());
        Self {
            seconds: agreed.seconds,
            is_ours,
            expires_at: now + interval - MARGIN.min(interval / 3),
            refresh_at: is_ours.then(|| now + interval / 2),
        }
    }

    pub fn due_at(&self) -> Instant {
        self.refresh_at.map_or(self.expires_at, |at| at.min(self.expires_at))
    }

    pub fn on_clock(&mut self, now: Instant) -> Option<Due> {
        if self.expires_at <= now {
            return Some(Due::Expire);
        }
        self.refresh_at.take_if(|at| *at <= now).map(|_| Due::Refresh)
    }

    /// The refresh came to nothing: once more then.
    pub fn try_again_at(&mut self, at: Instant) {
        self.refresh_at = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { seconds: 1_800, min: 90 };

    fn asked(lines: &[Header]) -> Asked {
        Asked::of(&lines.to_vec().into())
    }

    fn of(expires: Option<&str>, min: Option<&str>, is_supported: bool) -> Asked {
        let mut lines = Vec::new();
        lines.extend(expires.map(|value| Header::SessionExpires(value.into())));
        lines.extend(min.map(|value| Header::MinSE(value.into())));
        lines.extend(is_supported.then(|| Header::Supported("x, timer".into())));
        asked(&lines)
    }

    #[test]
    fn a_request_is_answered_by_the_table_of_the_rfc() {
        use Refresher::{Uac, Uas};
        let cases = [
            // Nothing known of the far end: we refresh and say nothing.
            (of(None, None, false), None, Ok((1_800, Uas, false))),
            (of(Some("600;refresher=uac"), None, false), None, Ok((600, Uas, false))),
            (of(None, None, true), None, Ok((1_800, Uas, true))),
            (of(Some("600"), None, true), None, Ok((600, Uas, true))),
            (of(Some("600;refresher=uac"), None, true), None, Ok((600, Uac, true))),
            (of(Some("600;Refresher=UAS"), None, true), None, Ok((600, Uas, true))),
            (of(Some("90"), None, true), None, Ok((90, Uas, true))),
            (of(Some("89"), None, true), None, Err(90)),
            // Who cannot read a 422 does not get one.
            (of(Some("30"), None, false), None, Ok((90, Uas, false))),
            (of(Some("7200"), None, true), None, Ok((1_800, Uas, true))),
            (of(Some("7200"), Some("3600"), true), None, Ok((3_600, Uas, true))),
            (of(Some("4294967295"), Some("99999999999"), true), None, Ok((1_800, Uas, true))),
            (of(Some("soon"), None, true), None, Ok((1_800, Uas, true))),
            // A refresh that names nobody leaves it with who did it until now.
            (of(Some("600"), None, true), Some(false), Ok((600, Uac, true))),
            (of(Some("600"), None, true), Some(true), Ok((600, Uas, true))),
        ];
        for (asked, is_ours, expected) in cases {
            let agreed = answer(&asked, RULE, is_ours);
            let short = agreed.map(|it| (it.seconds, it.refresher, it.is_told));
            assert_eq!(short, expected, "{asked:?} {is_ours:?}");
        }
    }

    #[test]
    fn a_2xx_settles_what_we_asked_for() {
        let cases = [
            (of(None, None, false), (1_800, Refresher::Uac, false)),
            (of(Some("600;refresher=uas"), None, true), (600, Refresher::Uas, true)),
            (of(Some("600;refresher=uac"), None, true), (600, Refresher::Uac, true)),
            (of(Some("600"), None, true), (600, Refresher::Uac, true)),
            (of(Some("1;refresher=uas"), None, true), (90, Refresher::Uas, true)),
        ];
        for (answered, expected) in cases {
            let it = settle(&answered, 1_800, RULE);
            assert_eq!((it.seconds, it.refresher, it.is_told), expected, "{answered:?}");
        }
    }

    #[test]
    fn a_session_is_refreshed_at_half_time_and_expires_a_little_early() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let agreed = Agreed { seconds: 1_800, refresher: Refresher::Uas, is_told: true };

        let mut ours = Session::new(&agreed, true, begun);
        assert_eq!(ours.due_at(), at(900));
        assert_eq!(ours.on_clock(at(899)), None);
        assert_eq!(ours.on_clock(at(900)), Some(Due::Refresh));
        assert_eq!((ours.on_clock(at(901)), ours.due_at()), (None, at(1_768)));
        ours.try_again_at(at(950));
        assert_eq!(ours.due_at(), at(950));
        assert_eq!(ours.on_clock(at(1_768)), Some(Due::Expire));

        let theirs = Session::new(&Agreed { seconds: 90, ..agreed }, false, begun);
        assert_eq!(theirs.due_at(), at(60));
    }

    #[test]
    fn our_2xx_says_who_refreshes() {
        let agreed = Agreed { seconds: 600, refresher: Refresher::Uac, is_told: true };
        let text = agreed.headers().iter().map(Header::to_string).collect::<Vec<_>>();
        assert_eq!(text, ["Session-Expires: 600;refresher=uac", "Require: timer"]);
        assert!(Agreed { is_told: false, ..agreed }.headers().is_empty());
    }
}
