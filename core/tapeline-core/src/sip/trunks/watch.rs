//! OPTIONS to one target of a trunk, again and again.

use std::rc::Rc;
use std::time::Duration;

use rsipstack::sip::{Header, Method};
use tokio::time::sleep;

use crate::boundary::destination::Destination;
use crate::boundary::event::Event;
use crate::sip::stack::Stack;
use crate::sip::trunks::End;
use crate::sip::trunks::exchange::{Asking, Series, ask, way_to};
use crate::sip::trunks::health::Health;

/// How long an answer may take; a target that needs longer cannot serve calls.
const PATIENCE: Duration = Duration::from_secs(4);
/// Before a contradiction is looked at again.
const DOUBT: Duration = Duration::from_secs(1);

pub(super) struct Target {
    pub trunk: String,
    pub uri: String,
    pub destination: Destination,
    pub every: Duration,
}

/// Until `end`.
pub(super) async fn keep_asking(stack: Rc<Stack>, target: Target, end: End) {
    let mut health = Health::default();
    let mut series = Series::new();
    loop {
        let sip_status = tokio::select! {
            biased;
            () = end.now.cancelled() => return,
            status = status_of(&stack, &target, &mut series) => status,
        };
        if let Some(is_up) = health.on_answer(sip_status) {
            let (trunk, uri) = (target.trunk.clone(), target.uri.clone());
            stack.events.send(Event::TrunkTarget { trunk, uri, is_up, sip_status });
        }
        let wait = if health.is_in_doubt() { DOUBT.min(target.every) } else { target.every };
        tokio::select! {
            biased;
            () = end.now.cancelled() => return,
            () = sleep(wait) => {}
        }
    }
}

/// 0: no answer.
async fn status_of(stack: &Rc<Stack>, target: &Target, series: &mut Series) -> u16 {
    let Some(way) = way_to(stack, &target.destination).await else { return 0 };
    let here = format!("sip:tapeline@{}", way.line.address_for(way.address));
    let asking = Asking { method: Method::Options, uri: &target.uri, from: &here, to: &target.uri };
    let mut request = series.request(stack, &way, &asking);
    request.headers.push(Header::Accept("application/sdp".into()));
    let patience = PATIENCE.min(stack.config.limits.t1 * 64);
    let response = ask(stack, &way, request, patience).await;
    response.map_or(0, |response| response.status_code.code())
}
