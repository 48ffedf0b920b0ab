//! A call that is answered into a room is there before its first packet can come.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sip_support;

use sip_support::{Node, Phone, SDP};
use tapeline_core::boundary::command::{RoomCommand, SipCommand};
use tapeline_core::boundary::event::{EndedBy, Event};
use tapeline_core::boundary::handle::{Handle, LegHandle, RoomHandle};
use tapeline_core::media::command::MediaCommand;
use tapeline_core::media::room::participant::Settings;

const ROOM: RoomHandle = RoomHandle(Handle { slot: 3, generation: 1 });

fn into_room(leg: LegHandle) -> SipCommand {
    let settings = Settings { is_muted: true, ..Settings::default() };
    SipCommand::AnswerInto { leg, room: ROOM, settings }
}

/// The join of `leg` that the media thread was told of, and the command that it answers.
fn joins(node: &mut Node, wanted: LegHandle) -> u64 {
    let MediaCommand::Room { command, action } = node.media() else { panic!("no join") };
    let RoomCommand::Join { leg, room, settings } = action else { panic!("{action:?}") };
    assert_eq!((leg, room, settings.is_muted), (wanted, ROOM, true));
    command
}

#[test]
fn the_join_follows_its_leg_at_once_and_answers_the_command() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.send_invite(SDP);
    let leg = node.arrived().leg;

    let command = node.post(into_room(leg));
    phone.expect(200);

    assert!(matches!(node.media(), MediaCommand::AddLeg(setup) if setup.leg == leg));
    assert_eq!(joins(&mut node, leg), command);
    node.answered(leg);
    phone.ack();
    phone.hears_nothing();
}

#[test]
fn without_an_offer_the_join_waits_for_the_answer_in_the_ack() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.send_invite("");
    let leg = node.arrived().leg;

    let command = node.post(into_room(leg));
    phone.expect(200);
    assert!(node.media_now().is_none());
    phone.ack_with(SDP);

    assert!(matches!(node.media(), MediaCommand::AddLeg(setup) if setup.leg == leg));
    assert_eq!(joins(&mut node, leg), command);
}

#[test]
fn a_leg_that_ends_before_it_has_audio_fails_the_command() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.send_invite("");
    let leg = node.arrived().leg;

    let command = node.post(into_room(leg));
    phone.expect(200);
    phone.ack();

    assert!(phone.receive().start.starts_with("BYE "));
    assert_eq!(node.ended(leg), (EndedBy::NoAck, 488));
    let reason = node.event(|event| match event {
        Event::CommandFailed { command: failed, reason } if *failed == command => {
            Some(reason.to_string())
        }
        _ => None,
    });
    assert_eq!(reason, "the leg has ended");
    assert!(node.media_now().is_none());
}
