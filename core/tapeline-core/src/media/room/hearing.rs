//! What one leg hears of its room: everyone but itself, and what is whispered to it; or what is played
//! instead of them all.

use crate::media::codec::Rate;
use crate::media::frame::FRAME_MAX;
use crate::media::leg::Leg;
use crate::media::room::mixer::blend_in;
use crate::media::room::whispers::Whispers;
use crate::media::room::{Room, View};

/// What only this leg hears, at its own rate; empty: nothing.
pub struct Added<'a> {
    pub played: &'a [i32],
    /// It hears nothing of its room beside what is played.
    pub is_instead: bool,
    pub beep: &'a [i32],
}

/// One tick of what a leg hears, at its own rate, and the same without beeps (made only when one sounds).
pub struct Heard<'a> {
    pub whole: &'a mut [i16],
    pub plain: &'a mut [i16],
}

/// The room's sum and this tick's whispers are complete. A leg on its own, a deaf one and one on hold
/// hear only what is added.
///
/// `sum` has room for a tick of any rate.
pub fn hear(
    slot: u32,
    legs: &mut [Option<Box<Leg>>],
    rooms: &[Option<Box<Room>>],
    whispers: &Whispers,
    added: &Added<'_>,
    sum: &mut [i32],
    heard: Heard<'_>,
) {
    let Some(leg) = leg_in(legs, slot) else { return };
    let (limiters, is_blending) = (leg.limiters, leg.is_blending());
    let room = room_of(leg, rooms);
    let own = Rate::of(heard.whole.len() as u32 * 50).unwrap_or(Rate::Narrow);
    let rate = |view| room.map_or(own, |room| room.rate(view));
    let Some(sum) = sum.get_mut(..rate(View::Now).frame()) else { return };
    sum.fill(0);
    let there = room.filter(|_| !added.is_instead);
    listen(View::Now, slot, legs, there, whispers, sum);
    let Some(leg) = legs.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
    let Heard { whole, plain } = heard;
    leg.render(View::Now, sum, added, Heard { whole: &mut *whole, plain: &mut *plain });
    if !is_blending {
        return;
    }
    let after = std::mem::replace(&mut leg.limiters, limiters);
    let (mut sum, mut was, mut plain_was) =
        ([0_i32; FRAME_MAX], [0_i16; FRAME_MAX], [0_i16; FRAME_MAX]);
    let length = whole.len();
    let (Some(sum), Some(was), Some(plain_was)) = (
        sum.get_mut(..rate(View::Former).frame()),
        was.get_mut(..length),
        plain_was.get_mut(..length),
    ) else {
        return;
    };
    listen(View::Former, slot, legs, there, whispers, sum);
    let Some(leg) = legs.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
    leg.render(View::Former, sum, added, Heard { whole: &mut *was, plain: &mut *plain_was });
    leg.limiters = after;
    blend_in(was, whole);
    blend_in(plain_was, plain);
}

fn leg_in(legs: &[Option<Box<Leg>>], slot: u32) -> Option<&Leg> {
    legs.get(slot as usize)?.as_deref()
}

fn room_of<'a>(leg: &Leg, rooms: &'a [Option<Box<Room>>]) -> Option<&'a Room> {
    rooms.get(leg.room? as usize)?.as_deref()
}

/// Adds up what there is to hear in the room, at its rate.
fn listen(
    view: View,
    slot: u32,
    legs: &[Option<Box<Leg>>],
    room: Option<&Room>,
    whispers: &Whispers,
    heard: &mut [i32],
) {
    let leg = leg_in(legs, slot).filter(|leg| leg.part.settings().hears_the_room());
    let (Some(leg), Some(room)) = (leg, room) else { return };
    let own = leg.part.settings().is_heard_by_all().then(|| leg.voice(view));
    room.others(view, own, heard);
    if room.is_replaced() {
        return;
    }
    for whisper in whispers.to(slot).filter_map(|slot| leg_in(legs, slot)) {
        for (heard, sample) in heard.iter_mut().zip(whisper.voice(view)) {
            *heard += i32::from(*sample);
        }
    }
}
