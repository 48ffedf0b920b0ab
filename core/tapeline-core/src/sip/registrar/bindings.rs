//! The bindings of every endpoint.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::boundary::identity::{Location, Locations, Route};

/// Bindings of one endpoint; one more takes the place of the one that would end first.
const MAX_EACH: usize = 10;
const MAX_IN_ALL: usize = 50_000;
/// Seconds. A phone that asks for less would keep us busy, one that asks for more is gone for long
/// before anybody knows.
pub(super) const SHORTEST: u32 = 60;
const LONGEST: u32 = 7_200;
const USUAL: u32 = 3_600;

/// An instant on both clocks: the one that only goes on, and the one of the world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub now: Instant,
    pub unix_ms: i64,
}

/// What a REGISTER asks for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub call_id: String,
    pub sequence: u32,
    pub route: Route,
    pub wish: Wish,
}

#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// Only to hear what is bound.
    Fetch,
    /// `*`: nothing shall be bound.
    Clear,
    /// URIs and seconds, if any were named.
    Bind(Vec<(String, Option<u32>)>),
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 423.
    TooBrief,
    /// The CSeq has been overtaken: 500 (§10.3, step 6 and 7).
    OutOfOrder,
    /// 503.
    Full,
}

#[derive(Clone, Debug)]
struct Binding {
    location: Location,
    expires: Instant,
    call_id: String,
    sequence: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Bindings {
    owners: HashMap<String, Vec<Binding>>,
    count: usize,
    /// Bindings by where they came from.
    sources: HashMap<SocketAddr, u32>,
}

impl Bindings {
    /// All of what is asked for, or nothing of it. True when something changed.
    pub(super) fn register(
        &mut self,
        owner: &str,
        asked: Asked,
        moment: Moment,
    ) -> Result<bool, Refusal> {
        let Asked { call_id, sequence, route, wish } = asked;
        let mut bindings = self.owners.get(owner).cloned().unwrap_or_default();
        let is_overtaken =
            |binding: &Binding| binding.call_id == call_id && binding.sequence >= sequence;
        match wish {
            Wish::Fetch => return Ok(false),
            Wish::Clear => {
                if bindings.iter().any(is_overtaken) {
                    return Err(Refusal::OutOfOrder);
                }
                bindings.clear();
            }
            Wish::Bind(contacts) => {
                for (contact, seconds) in contacts {
                    let seconds = granted(seconds)?;
                    let key = identity(&contact);
                    let known = bindings.iter().position(|b| identity(&b.location.contact) == key);
                    if let Some(known) = known {
                        if bindings.get(known).is_some_and(is_overtaken) {
                            return Err(Refusal::OutOfOrder);
                        }
                        bindings.remove(known);
                    }
                    if seconds > 0 {
                        let (call_id, route) = (call_id.clone(), route.clone());
                        bindings.push(bound(contact, route, call_id, sequence, seconds, moment));
                    }
                }
            }
        }
        while bindings.len() > MAX_EACH {
            let first = bindings.iter().enumerate().min_by_key(|(_, binding)| binding.expires);
            let Some((first, _)) = first else { break };
            bindings.remove(first);
        }
        let had = self.owners.get(owner).map_or(0, Vec::len);
        if bindings.len() > had && self.count - had + bindings.len() > MAX_IN_ALL {
            return Err(Refusal::Full);
        }
        self.replace(owner, bindings);
        Ok(true)
    }

    /// What was bound before a start, unless it is bound anew already.
    pub fn restore(&mut self, locations: &Locations, moment: Moment) {
        for (owner, known) in &locations.0 {
            let mut bindings = self.owners.get(owner).cloned().unwrap_or_default();
            for location in known {
                let left = location.expires_unix_ms.saturating_sub(moment.unix_ms);
                let left = u64::try_from(left).unwrap_or(0).min(u64::from(LONGEST) * 1_000);
                let key = identity(&location.contact);
                let is_there = bindings.iter().any(|b| identity(&b.location.contact) == key);
                let is_full = bindings.len() >= MAX_EACH || self.count >= MAX_IN_ALL;
                if left == 0 || is_there || is_full {
                    continue;
                }
                bindings.push(Binding {
                    location: location.clone(),
                    expires: moment.now + Duration::from_millis(left),
                    call_id: String::new(),
                    sequence: 0,
                });
            }
            self.replace(owner, bindings);
        }
    }

    /// Drops what has run out; whose it was.
    pub fn expire(&mut self, now: Instant) -> Vec<String> {
        let is_over = |bindings: &Vec<Binding>| bindings.iter().any(|b| b.expires <= now);
        let changed: Vec<String> = self
            .owners
            .iter()
            .filter(|(_, bindings)| is_over(bindings))
            .map(|(owner, _)| owner.clone())
            .collect();
        for owner in &changed {
            let mut bindings = self.owners.get(owner).cloned().unwrap_or_default();
            bindings.retain(|binding| binding.expires > now);
            self.replace(owner, bindings);
        }
        changed
    }

    /// Drops what belongs to nobody any more; whose it was.
    pub fn keep_only(&mut self, is_owner: impl Fn(&str) -> bool) -> Vec<String> {
        let gone: Vec<String> =
            self.owners.keys().filter(|owner| !is_owner(owner)).cloned().collect();
        for owner in &gone {
            self.replace(owner, Vec::new());
        }
        gone
    }

    /// All that is bound, with the seconds that each has left.
    pub(super) fn left(&self, owner: &str, now: Instant) -> Vec<(&Location, u64)> {
        let bindings = self.owners.get(owner).into_iter().flatten();
        let seconds =
            |b: &Binding| b.expires.saturating_duration_since(now).as_millis().div_ceil(1_000);
        bindings.map(|binding| (&binding.location, seconds(binding) as u64)).collect()
    }

    pub fn of(&self, owner: &str) -> Vec<Location> {
        let bindings = self.owners.get(owner).into_iter().flatten();
        bindings.map(|binding| binding.location.clone()).collect()
    }

    /// Whether a phone of ours registered from there.
    pub fn is_source(&self, source: SocketAddr) -> bool {
        self.sources.contains_key(&source)
    }

    fn replace(&mut self, owner: &str, bindings: Vec<Binding>) {
        for old in self.owners.remove(owner).into_iter().flatten() {
            self.count -= 1;
            if let Some(count) = self.sources.get_mut(&old.location.route.address) {
                *count -= 1;
                if *count == 0 {
                    self.sources.remove(&old.location.route.address);
                }
            }
        }
        for new in &bindings {
            self.count += 1;
            *self.sources.entry(new.location.route.address).or_default() += 1;
        }
        if !bindings.is_empty() {
            self.owners.insert(owner.to_owned(), bindings);
        }
    }
}

fn bound(
    contact: String,
    route: Route,
    call_id: String,
    sequence: u32,
    seconds: u32,
    moment: Moment,
) -> Binding {
    let expires_unix_ms = moment.unix_ms + i64::from(seconds) * 1_000;
    let expires = moment.now + Duration::from_secs(seconds.into());
    Binding { location: Location { contact, route, expires_unix_ms }, expires, call_id, sequence }
}

/// §10.3, step 7.
fn granted(asked: Option<u32>) -> Result<u32, Refusal> {
    match asked.unwrap_or(USUAL) {
        0 => Ok(0),
        seconds if seconds < SHORTEST => Err(Refusal::TooBrief),
        seconds => Ok(seconds.min(LONGEST)),
    }
}

/// What makes two contacts one: scheme, user, host, port and transport (§19.1.4, of whose rules no
/// other matters to phones).
fn identity(uri: &str) -> String {
    let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
    let mut parts = rest.split(';');
    let address = parts.next().unwrap_or_default();
    let (user, host) = address.rsplit_once('@').unwrap_or(("", address));
    let transport = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("transport"))
        .map_or("", |(_, value)| value);
    let lower = |text: &str| text.to_ascii_lowercase();
    format!("{}:{user}@{};{}", lower(scheme), lower(host), lower(transport))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        bindings: Bindings,
        start: Instant,
        at: u64,
        sequence: u32,
    }

    impl Case {
        fn new() -> Self {
            Self { bindings: Bindings::default(), start: Instant::now(), at: 0, sequence: 0 }
        }

        fn moment(&self) -> Moment {
            let now = self.start + Duration::from_secs(self.at);
            Moment { now, unix_ms: 1_000_000 + self.at as i64 * 1_000 }
        }

        fn ask(&mut self, call_id: &str, sequence: u32, wish: Wish) -> Result<bool, Refusal> {
            let route = Route::parse("udp;192.0.2.1:5060").unwrap();
            let asked = Asked { call_id: call_id.into(), sequence, route, wish };
            let moment = self.moment();
            self.bindings.register("ep", asked, moment)
        }

        fn bind(&mut self, contacts: &[(&str, Option<u32>)]) -> Result<bool, Refusal> {
            self.sequence += 1;
            let contacts = contacts.iter().map(|(c, s)| ((*c).to_owned(), *s)).collect();
            self.ask("a", self.sequence, Wish::Bind(contacts))
        }

        fn left(&self) -> Vec<(String, u64)> {
            let left = self.bindings.left("ep", self.moment().now);
            left.into_iter().map(|(location, s)| (location.contact.clone(), s)).collect()
        }

        fn is_empty(&self) -> bool {
            let Bindings { owners, count, sources } = &self.bindings;
            owners.is_empty() && *count == 0 && sources.is_empty()
        }
    }

    #[test]
    fn contacts_come_are_renewed_and_go() {
        let mut case = Case::new();
        assert_eq!(case.bind(&[("sip:a@10.0.0.1", Some(100)), ("sip:b@10.0.0.1", None)]), Ok(true));
        assert_eq!(case.left(), [("sip:a@10.0.0.1".into(), 100), ("sip:b@10.0.0.1".into(), 3_600)]);
        case.at = 50;
        assert_eq!(case.bind(&[("SIP:a@10.0.0.1;ob", Some(60))]), Ok(true));
        assert_eq!(case.left()[1], ("SIP:a@10.0.0.1;ob".into(), 60));
        assert_eq!(case.left().len(), 2);
        assert_eq!(case.bindings.of("ep")[1].expires_unix_ms, 1_110_000);
        assert!(case.bindings.is_source("192.0.2.1:5060".parse().unwrap()));
        assert!(!case.bindings.is_source("192.0.2.1:5061".parse().unwrap()));
        case.at = 109;
        assert!(case.bindings.expire(case.moment().now).is_empty());
        case.at = 110;
        assert_eq!(case.bindings.expire(case.moment().now), ["ep"]);
        assert_eq!(case.bind(&[("sip:b@10.0.0.1", Some(0)), ("sip:c@x", Some(0))]), Ok(true));
        assert!(case.is_empty());
    }

    #[test]
    fn an_interval_is_neither_too_short_nor_too_long() {
        let mut case = Case::new();
        let brief = case.bind(&[("sip:a@x", Some(3_600)), ("sip:b@x", Some(59))]);
        assert_eq!(brief, Err(Refusal::TooBrief));
        assert!(case.is_empty(), "all or nothing");
        assert_eq!(case.bind(&[("sip:a@x", Some(u32::MAX))]), Ok(true));
        assert_eq!(case.left(), [("sip:a@x".into(), 7_200)]);
    }

    #[test]
    fn what_was_overtaken_changes_nothing() {
        let mut case = Case::new();
        let bind = |seconds| Wish::Bind(vec![("sip:a@x".into(), Some(seconds))]);
        assert_eq!(case.ask("a", 5, bind(600)), Ok(true));
        assert_eq!(case.ask("a", 5, bind(0)), Err(Refusal::OutOfOrder));
        assert_eq!(case.ask("a", 4, Wish::Clear), Err(Refusal::OutOfOrder));
        assert_eq!(case.ask("a", 4, Wish::Fetch), Ok(false));
        assert_eq!(case.left().len(), 1);
        assert_eq!(case.ask("b", 1, bind(300)), Ok(true), "the phone has restarted");
        assert_eq!(case.left(), [("sip:a@x".into(), 300)]);
        assert_eq!(case.ask("b", 2, Wish::Clear), Ok(true));
        assert!(case.is_empty());
    }

    #[test]
    fn bindings_are_bounded() {
        let mut case = Case::new();
        for n in 0..25_u32 {
            let contact = format!("sip:a@10.0.0.{n}");
            assert_eq!(case.bind(&[(contact.as_str(), Some(600 + n))]), Ok(true));
        }
        assert_eq!(case.left().len(), MAX_EACH);
        assert_eq!(case.left()[0].0, "sip:a@10.0.0.15");
        case.bindings.count = MAX_IN_ALL;
        let route = Route::parse("tcp;192.0.2.1:5060").unwrap();
        let wish = Wish::Bind(vec![("sip:z@x".into(), None)]);
        let asked = Asked { call_id: "z".into(), sequence: 1, route, wish };
        assert_eq!(case.bindings.register("other", asked, case.moment()), Err(Refusal::Full));
    }

    #[test]
    fn a_restart_brings_back_what_has_not_run_out() {
        let mut case = Case::new();
        case.bind(&[("sip:a@x", Some(60))]).unwrap();
        let row = |contact: &str, expires: i64| (contact.into(), "tls;192.0.2.9:1".into(), expires);
        let known = vec![
            row("sip:a@x", 1_900_000),
            row("sip:b@x", 1_300_000),
            row("sip:c@x", 1_000_000),
            row("sip:d@x", i64::MAX),
            row("sip:e@x", i64::MIN),
        ];
        let locations = Locations::new(vec![("ep".into(), known)]).unwrap();

        case.bindings.restore(&locations, case.moment());

        let expected = [("sip:a@x", 60), ("sip:b@x", 300), ("sip:d@x", 7_200)];
        assert_eq!(case.left(), expected.map(|(contact, s)| (contact.to_owned(), s)));
        assert_eq!(case.bindings.of("ep")[1].route.to_string(), "tls;192.0.2.9:1");
        assert_eq!(case.bindings.keep_only(|owner| owner == "ep"), Vec::<String>::new());
        assert_eq!(case.bindings.keep_only(|_| false), ["ep"]);
        assert!(case.is_empty());
    }
}
