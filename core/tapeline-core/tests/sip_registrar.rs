//! Phones that register, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod sip_support;

use std::time::Duration;

use sip_support::digest::{Prover, ha1};
use sip_support::{Message, Node, PATIENCE, Phone, SDP, config, with_access};
use tapeline_core::boundary::command::{Access, SipCommand};
use tapeline_core::boundary::event::Event;
use tapeline_core::boundary::identity::{Credentials, Location, Locations};

fn credentials(users: &[&str]) -> Credentials {
    let row = |user: &&str| {
        let hash = |algorithm| ha1(algorithm, user, "tapeline", "secret");
        ((*user).to_owned(), format!("ep_{user}"), hash("MD5"), hash("SHA-256"))
    };
    Credentials::new(users.iter().map(row).collect()).unwrap()
}

/// Of a node that knows nobody by address.
fn node() -> Node {
    let access = Access { networks: vec![], ..config().access };
    let mut node = Node::with(with_access(access), 100);
    let credentials = credentials(&["ann", "bob"]);
    node.command(SipCommand::SetCredentials { credentials }).unwrap();
    node
}

/// A telephone and the registrar it knows.
struct Registering {
    phone: Phone,
    prover: Prover,
    sent: u32,
}

impl Registering {
    fn new(node: &Node, user: &str) -> Self {
        Self::from(Phone::new(node), user)
    }

    fn from(mut phone: Phone, user: &str) -> Self {
        phone.called = "tapeline".into();
        Self { phone, prover: Prover::new(user, "secret"), sent: 0 }
    }

    fn uri(&self) -> String {
        format!("sip:tapeline@{}", self.phone.node)
    }

    /// A REGISTER with these header lines instead of a Contact of its own, as far as its answer.
    fn register(&mut self, lines: &str) -> Message {
        self.send(lines, "");
        let refused = self.phone.receive();
        assert_eq!(refused.status(), 401, "{refused:?}");
        let authorization = self.prover.line(&refused, "REGISTER", &self.uri());
        self.send(lines, &authorization);
        self.phone.receive()
    }

    fn send(&mut self, lines: &str, authorization: &str) -> String {
        self.phone.seq += 1;
        self.sent += 1;
        let branch = format!("z9hG4bK-r{}{}", self.phone.me.port(), self.sent);
        let text = self.phone.text("REGISTER", &branch, self.phone.seq, "");
        let own = format!("Contact: <{}>\r\n", self.phone.contact);
        let text = text.replace(&own, &format!("{lines}{authorization}"));
        self.phone.send_raw(&text);
        text
    }
}

fn registered(node: &mut Node) -> (String, Vec<Location>) {
    node.event_within(PATIENCE, |event| match event {
        Event::EndpointRegistered { owner, contacts } => Some((owner.clone(), contacts.clone())),
        _ => None,
    })
    .expect("no registration was reported")
}

fn contacts(message: &Message) -> Vec<&str> {
    message.all("Contact")
}

#[test]
fn a_phone_registers_renews_and_goes() {
    let mut node = node();
    let mut ann = Registering::new(&node, "ann");
    let me = ann.phone.me;
    let answer = ann.register("Contact: <sip:ann@10.1.1.1;ob>;expires=600\r\n");
    assert_eq!(answer.status(), 200);
    assert_eq!(contacts(&answer), ["<sip:ann@10.1.1.1;ob>;expires=600"]);
    let (owner, bound) = registered(&mut node);
    assert_eq!((owner.as_str(), bound.len()), ("ep_ann", 1));
    assert_eq!(bound[0].contact, "sip:ann@10.1.1.1;ob");
    // The NAT's address, not the Contact's.
    assert_eq!(bound[0].route.to_string(), format!("udp;{me}"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let left = bound[0].expires_unix_ms - now.as_millis() as i64;
    assert!((590_000..=600_000).contains(&left), "{left}");

    let answer = ann.register("m: <sip:ann@10.1.1.1>\r\nExpires: 120\r\n");
    assert_eq!(contacts(&answer), ["<sip:ann@10.1.1.1>;expires=120"]);
    assert_eq!(registered(&mut node).1.len(), 1);
    let answer = ann.register("");
    assert_eq!((answer.status(), contacts(&answer).len()), (200, 1), "a fetch");
    let answer = ann.register("Contact: <sip:ann@10.1.1.1>;expires=0\r\n");
    assert_eq!((answer.status(), contacts(&answer).len()), (200, 0));
    assert_eq!(registered(&mut node), ("ep_ann".into(), vec![]));
}

#[test]
fn several_phones_of_one_endpoint_are_bound_and_all_can_be_let_go() {
    let mut node = node();
    let mut desk = Registering::new(&node, "ann");
    let mut mobile = Registering::new(&node, "ann");
    desk.register("Contact: <sip:ann@desk>, <sip:ann@desk2>;expires=90\r\n");
    assert_eq!(registered(&mut node).1.len(), 2);
    let answer = mobile.register("Contact: <sip:ann@mobile>\r\n");
    assert_eq!(contacts(&answer).len(), 3);
    let routes: Vec<_> = registered(&mut node).1.iter().map(|it| it.route.address).collect();
    assert_eq!(routes, [desk.phone.me, desk.phone.me, mobile.phone.me]);

    for lines in [
        "Contact: *\r\n",
        "Contact: *\r\nExpires: 60\r\n",
        "Contact: *, <sip:ann@desk>\r\nExpires: 0\r\n",
        "Contact: <mailto:ann@x>\r\n",
        "Contact: <sip:ann@x\r\n",
    ] {
        assert_eq!(desk.register(lines).status(), 400, "{lines}");
    }
    let answer = desk.register("Contact: *\r\nExpires: 0\r\n");
    assert_eq!((answer.status(), contacts(&answer).len()), (200, 0));
    assert_eq!(registered(&mut node).1, []);
    assert_eq!(Registering::new(&node, "bob").register("").status(), 200);
}

#[test]
fn who_is_not_known_registers_nothing() {
    let mut node = node();
    let mut stranger = Registering::new(&node, "eve");
    assert_eq!(stranger.register("Contact: <sip:ann@x>\r\n").status(), 401);
    let mut guesser = Registering::new(&node, "ann");
    guesser.prover.password = "guess".into();
    assert_eq!(guesser.register("Contact: <sip:ann@x>\r\n").status(), 401);
    let event = node.event_within(Duration::from_millis(100), |event| {
        matches!(event, Event::EndpointRegistered { .. }).then_some(())
    });
    assert_eq!(event, None);
    guesser.phone.send("OPTIONS", "");
    guesser.phone.hears_nothing();
}

#[test]
fn too_brief_is_told_and_a_repeated_request_gets_its_answer_again() {
    let node = node();
    let mut ann = Registering::new(&node, "ann");
    let brief = ann.register("Contact: <sip:ann@x>;expires=30\r\n");
    assert_eq!((brief.status(), brief.get("Min-Expires")), (423, "60"));

    ann.send("Contact: <sip:ann@x>\r\n", "");
    let refused = ann.phone.receive();
    let authorization = ann.prover.line(&refused, "REGISTER", &ann.uri());
    let text = ann.send("Contact: <sip:ann@x>\r\n", &authorization);
    let first = ann.phone.receive();
    ann.phone.send_raw(&text);
    let second = ann.phone.receive();
    assert_eq!((first.status(), second.status()), (200, 200));
    assert_eq!(first.get("Contact"), second.get("Contact"));

    // Another transaction with the same count is a replay, one with an old CSeq is overtaken.
    ann.phone.send_raw(text.replace("branch=z9hG4bK", "branch=z9hG4bKx"));
    let replay = ann.phone.receive();
    assert_eq!(replay.status(), 401);
    assert!(replay.all("WWW-Authenticate")[0].ends_with("stale=true"));
    ann.phone.seq -= 2;
    assert_eq!(ann.register("Contact: <sip:ann@x>\r\n").status(), 500);
}

#[test]
fn a_registered_phone_is_answered_and_its_call_is_its_endpoints() {
    let mut node = node();
    let mut ann = Registering::new(&node, "ann");
    ann.phone.send("OPTIONS", "");
    ann.phone.hears_nothing();
    let refused = ann.register("Contact: <sip:ann@x>\r\n");
    assert_eq!(refused.status(), 200);
    ann.phone.send("OPTIONS", "");
    ann.phone.expect(200);
    ann.phone.send_raw("\r\n\r\n");
    let mut buffer = [0; 16];
    let length = ann.phone.socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"\r\n", "a keep-alive");

    // An address is no proof: others may send from behind the same NAT.
    ann.phone.call_id += "-call";
    ann.phone.send_invite(SDP);
    let refused = ann.phone.expect(401);
    ann.phone.ack_refusal();
    ann.phone.extra = ann.prover.line(&refused, "INVITE", &ann.uri());
    ann.phone.send_invite(SDP);
    assert_eq!(node.arrived().owner, "ep_ann");
}

#[test]
fn a_restart_keeps_phones_until_they_run_out_or_their_endpoint_goes() {
    let mut node = node();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now_ms = now.as_millis() as i64;
    let mut ann = Registering::new(&node, "ann");
    let route = format!("udp;{}", ann.phone.me);
    let row = |contact: &str, left: i64| (contact.to_owned(), route.clone(), now_ms + left);
    let rows = vec![
        ("ep_ann".to_owned(), vec![row("sip:a@x", 60_000), row("sip:b@x", 1_500)]),
        ("ep_bob".to_owned(), vec![row("sip:bob@x", 60_000)]),
    ];
    let locations = Locations::new(rows).unwrap();
    node.command(SipCommand::SetLocations { locations }).unwrap();
    ann.phone.send("OPTIONS", "");
    ann.phone.expect(200);

    let (owner, left) = registered(&mut node);
    assert_eq!((owner.as_str(), left.len()), ("ep_ann", 1), "one has run out");
    assert_eq!(left[0].contact, "sip:a@x");
    let credentials = credentials(&["ann"]);
    node.command(SipCommand::SetCredentials { credentials }).unwrap();
    assert_eq!(registered(&mut node), ("ep_bob".into(), vec![]));
}

#[test]
fn an_endpoint_has_ten_places_at_most() {
    let mut node = node();
    let mut ann = Registering::new(&node, "ann");
    let many = |range: std::ops::Range<u32>| {
        range.map(|n| format!("Contact: <sip:a@h{n}>;expires={}\r\n", 600 + n)).collect::<String>()
    };
    assert_eq!(ann.register(&many(0..11)).status(), 400);
    assert_eq!(ann.register(&many(0..10)).status(), 200);
    let answer = ann.register(&many(10..12));
    assert_eq!(contacts(&answer).len(), 10);
    assert!(contacts(&answer)[0].starts_with("<sip:a@h2>"), "{answer:?}");
    registered(&mut node);
    assert_eq!(registered(&mut node).1.len(), 10);
}
