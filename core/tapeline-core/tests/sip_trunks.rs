//! Registrations of ours with a carrier, and the watch over its targets, against a scripted one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod sip_support;

use std::time::{Duration, Instant};

use sip_support::digest::{ha1, hash, parameter};
use sip_support::far_end::FarEnd;
use sip_support::{Message, Node, PATIENCE, config};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::event::Event;
use tapeline_core::boundary::trunk::{Registration, Watch};

fn registration(carrier: &FarEnd, expires_s: u32) -> Registration {
    let (registrar, aor) = (format!("sip:{}", carrier.me), "sip:+4930@carrier.example");
    Registration::new("tr_one", (&registrar, aor), ("ann", "secret"), expires_s).unwrap()
}

/// A node that registers with `carrier`.
fn registering(carrier: &FarEnd, expires_s: u32) -> Node {
    let mut node = Node::new();
    let registration = Box::new(registration(carrier, expires_s));
    node.command(SipCommand::Register { registration }).unwrap();
    node
}

fn registered(node: &mut Node) -> u32 {
    node.event(|event| match event {
        Event::TrunkRegistered { trunk, expires_s } if trunk == "tr_one" => Some(*expires_s),
        _ => None,
    })
}

fn unregistered(node: &mut Node) -> u16 {
    node.event(|event| match event {
        Event::TrunkUnregistered { sip_status, .. } => Some(*sip_status),
        _ => None,
    })
}

fn is_told_nothing(node: &mut Node) {
    let told = node.event_within(Duration::from_millis(100), |event| {
        matches!(event, Event::TrunkRegistered { .. } | Event::TrunkUnregistered { .. })
            .then_some(())
    });
    assert_eq!(told, None);
}

fn respond(carrier: &mut FarEnd, request: &Message, status: u16, lines: &str) {
    carrier.extra = lines.to_owned();
    carrier.respond(request, status, "");
}

/// Whether the digest in `line` is right, as SIPp and old registrars check it.
fn is_proved(request: &Message, header: &str, algorithm: &str) -> bool {
    let value = request.get(header);
    let get = |name: &str| parameter(value, name).unwrap().to_owned();
    let method = request.start.split(' ').next().unwrap();
    let uri = request.start.split(' ').nth(1).unwrap();
    let secret = ha1(algorithm, "ann", &get("realm"), "secret");
    let asked = hash(algorithm, &format!("{method}:{uri}"));
    let (nonce, nc, cnonce) = (get("nonce"), get("nc"), get("cnonce"));
    let text = format!("{secret}:{nonce}:{nc}:{cnonce}:auth:{asked}");
    get("response") == hash(algorithm, &text)
        && value.contains(", qop=auth, ")
        && get("uri") == uri
        && get("username") == "ann"
}

#[test]
fn a_registration_is_proved_kept_up_and_taken_back() {
    let mut carrier = FarEnd::new();
    let mut node = registering(&carrier, 3_600);
    let first = carrier.expect("REGISTER");
    assert_eq!(first.start, format!("REGISTER sip:{} SIP/2.0", carrier.me));
    assert_eq!(first.get("To"), "<sip:+4930@carrier.example>");
    assert_eq!(first.get("Expires"), "3600");
    assert_eq!(first.get("Contact"), format!("<sip:+4930@{}>", node.address));
    assert!(first.all("Authorization").is_empty());
    let challenges = "WWW-Authenticate: Digest realm=\"c\",nonce=\"n1\",algorithm=MD5,qop=\"auth,auth-int\"\r\n\
        WWW-Authenticate: Digest realm=\"c\",nonce=\"n2\",algorithm=SHA-256,qop=\"auth\"\r\n";
    respond(&mut carrier, &first, 401, challenges);
    let second = carrier.expect("REGISTER");
    assert!(is_proved(&second, "Authorization", "SHA-256"), "{second:?}");
    assert_eq!(second.get("Call-ID"), first.get("Call-ID"));
    assert_eq!(second.tag("From"), first.tag("From"));
    assert_eq!((first.get("CSeq"), second.get("CSeq")), ("1 REGISTER", "2 REGISTER"));
    assert_ne!(first.get("Via"), second.get("Via"));

    // Another phone of the same address-of-record is in the answer too; ours got two seconds.
    carrier.contact = format!("<sip:x@other>;expires=900, {};expires=2", second.get("Contact"));
    respond(&mut carrier, &second, 200, "Expires: 900\r\n");
    assert_eq!(registered(&mut node), 2);
    let granted = Instant::now();
    let third = carrier.expect("REGISTER");
    let waited = granted.elapsed();
    assert!((1_300..1_800).contains(&waited.as_millis()), "{waited:?}");
    assert!(is_proved(&third, "Authorization", "SHA-256"), "the next count of the nonce it has");
    assert_eq!(parameter(third.get("Authorization"), "nc"), Some("00000002"));
    respond(
        &mut carrier,
        &third,
        401,
        "WWW-Authenticate: Digest realm=\"c\",nonce=\"n3\",qop=\"auth\",stale=true\r\n",
    );
    let fourth = carrier.expect("REGISTER");
    assert!(is_proved(&fourth, "Authorization", "MD5"));
    respond(&mut carrier, &fourth, 200, "");
    is_told_nothing(&mut node);

    node.command(SipCommand::Unregister { trunk: "tr_one".into() }).unwrap();
    let last = carrier.expect("REGISTER");
    assert_eq!(last.get("Expires"), "0");
    assert!(is_proved(&last, "Authorization", "MD5"));
    respond(&mut carrier, &last, 200, "");
    assert_eq!(unregistered(&mut node), 200);
    let again = node.command(SipCommand::Unregister { trunk: "tr_one".into() });
    assert_eq!(again, Err("no such registration".into()));
    carrier.hears_nothing();
}

#[test]
fn a_refused_registration_is_tried_again_later_and_later() {
    let mut carrier = FarEnd::new();
    let mut node = registering(&carrier, 600);
    let mut at = Vec::new();
    for _ in 0..3 {
        let request = carrier.expect("REGISTER");
        at.push(Instant::now());
        respond(&mut carrier, &request, 403, "");
    }
    assert_eq!(unregistered(&mut node), 403);
    is_told_nothing(&mut node);
    let waits: Vec<u128> = at.windows(2).map(|two| (two[1] - two[0]).as_millis()).collect();
    assert!((700..1_300).contains(&waits[0]) && (1_400..2_400).contains(&waits[1]), "{waits:?}");
    let request = carrier.expect("REGISTER");
    respond(&mut carrier, &request, 200, "");
    assert_eq!(registered(&mut node), 600);
}

#[test]
fn a_wrong_password_makes_no_loop() {
    let mut carrier = FarEnd::new();
    let mut node = registering(&carrier, 600);
    for nonce in 1..3 {
        let request = carrier.expect("REGISTER");
        let challenge =
            format!("WWW-Authenticate: Digest realm=\"c\",nonce=\"{nonce}\",qop=auth\r\n");
        respond(&mut carrier, &request, 401, &challenge);
    }
    assert_eq!(unregistered(&mut node), 401);
    carrier.hears_nothing();
}

#[test]
fn a_registrar_and_a_proxy_may_both_ask_and_want_a_longer_time() {
    let mut carrier = FarEnd::new();
    let mut node = registering(&carrier, 60);
    let request = carrier.expect("REGISTER");
    respond(
        &mut carrier,
        &request,
        407,
        "Proxy-Authenticate: Digest realm=\"p\",nonce=\"1\",qop=auth\r\n",
    );
    let request = carrier.expect("REGISTER");
    respond(
        &mut carrier,
        &request,
        401,
        "WWW-Authenticate: Digest realm=\"c\",nonce=\"2\",qop=auth\r\n",
    );
    let request = carrier.expect("REGISTER");
    assert!(is_proved(&request, "Proxy-Authorization", "MD5"));
    assert!(is_proved(&request, "Authorization", "MD5"));
    respond(&mut carrier, &request, 423, "Min-Expires: 1800\r\n");
    let request = carrier.expect("REGISTER");
    assert_eq!(request.get("Expires"), "1800");
    respond(&mut carrier, &request, 200, "Expires: 1700\r\n");
    assert_eq!(registered(&mut node), 1_700);
}

#[test]
fn a_silent_registrar_is_told_and_a_new_registration_takes_the_place() {
    let mut config = config();
    config.limits.t1 = Duration::from_millis(5);
    let mut node = Node::with(config, 10);
    let mut silent = FarEnd::new();
    let first = Box::new(registration(&silent, 600));
    node.command(SipCommand::Register { registration: first }).unwrap();
    silent.expect("REGISTER");
    assert_eq!(unregistered(&mut node), 0);

    let mut carrier = FarEnd::new();
    let second = Box::new(registration(&carrier, 600));
    node.command(SipCommand::Register { registration: second }).unwrap();
    let request = carrier.expect("REGISTER");
    respond(&mut carrier, &request, 200, "");
    assert_eq!(registered(&mut node), 600);
    // What was on its way to the silent one when it was replaced.
    std::iter::from_fn(|| silent.receive_within(Duration::from_millis(50))).last();
    assert!(silent.receive_within(Duration::from_millis(1_500)).is_none());
}

#[test]
fn a_stop_takes_registrations_back() {
    let mut carrier = FarEnd::new();
    let mut node = registering(&carrier, 600);
    let request = carrier.expect("REGISTER");
    respond(&mut carrier, &request, 200, "");
    registered(&mut node);
    let sip = node.sip.clone();
    let stopper = std::thread::spawn(move || sip.stop());
    let last = carrier.expect("REGISTER");
    assert_eq!(last.get("Expires"), "0");
    respond(&mut carrier, &last, 200, "");
    assert!(stopper.join().unwrap());
}

#[test]
fn a_target_goes_down_and_comes_back_but_not_for_one_lost_answer() {
    let mut carrier = FarEnd::new();
    let mut node = Node::new();
    let uri = carrier.uri();
    let watch = |uris: &[String]| SipCommand::Watch { watch: Watch::new("tr", uris, 2).unwrap() };
    node.command(watch(std::slice::from_ref(&uri))).unwrap();
    let target = |node: &mut Node, patience| {
        node.event_within(patience, |event| match event {
            Event::TrunkTarget { trunk, uri: told, is_up, sip_status } => {
                assert_eq!((trunk.as_str(), told), ("tr", &uri));
                Some((*is_up, *sip_status))
            }
            _ => None,
        })
    };
    let mut answer = |status| {
        let request = carrier.expect("OPTIONS");
        assert_eq!(request.start, format!("OPTIONS {} SIP/2.0", carrier.uri()));
        carrier.respond(&request, status, "");
    };
    answer(404);
    assert_eq!(target(&mut node, PATIENCE), Some((true, 404)));
    answer(503);
    answer(200);
    assert_eq!(target(&mut node, Duration::from_millis(50)), None);
    answer(503);
    answer(503);
    assert_eq!(target(&mut node, PATIENCE), Some((false, 503)));
    answer(200);
    answer(200);
    assert_eq!(target(&mut node, PATIENCE), Some((true, 200)));
    node.command(watch(&[])).unwrap();
    assert!(carrier.receive_within(Duration::from_millis(2_500)).is_none());
}

#[test]
fn a_target_that_says_nothing_is_down() {
    let mut config = config();
    config.limits.t1 = Duration::from_millis(5);
    let mut node = Node::with(config, 10);
    let carrier = FarEnd::new();
    let uris = [carrier.uri(), "sip:nowhere.invalid".to_owned()];
    let watch = Watch::new("tr", &uris, 2).unwrap();
    node.command(SipCommand::Watch { watch }).unwrap();
    for _ in 0..2 {
        let down = node.event(|event| match event {
            Event::TrunkTarget { is_up, sip_status, .. } => Some((*is_up, *sip_status)),
            _ => None,
        });
        assert_eq!(down, (false, 0));
    }
}
