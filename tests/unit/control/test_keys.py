"""Keys that this node presses: by command, when who was dialled answers, and in a `Dial`."""

import pytest
from tests.unit.control.support import COMMANDED, World, document
from tests.unit.flow.test_verbs_dial import ANSWER, BOB

from tapeline.api.accountstyle.keys import read_keys
from tapeline.control.bridges import bridge
from tapeline.domain import event
from tapeline.domain.application import Application
from tapeline.domain.command import (
    ConferenceRef,
    CreateCall,
    CreateConference,
    JoinCall,
    Legs,
    Members,
    SendDigits,
    SendDigitsToConference,
)
from tapeline.domain.error import CallNotAnswered, EngineFailed, Invalid, NotBridged
from tapeline.domain.id import ApplicationId
from tapeline.domain.sound import Keys


def pressed(node: World) -> list[tuple[object, object, object]]:
    return [
        (each.arguments["leg"], each.arguments["digits"], each.arguments["tone_ms"])
        for each in node.engine.commands
        if each.name == "send_digits"
    ]


async def test_keys_are_pressed_on_the_leg_that_is_meant(node: World) -> None:
    first, second = await node.commanded(), await node.commanded()
    its = {"account_id": node.account.id, "call_id": first.call.id}
    with pytest.raises(NotBridged):
        await node.control.execute(SendDigits(**its, keys=Keys(digits="1"), legs=Legs.OTHER))
    await bridge(node.parts, first, second)

    await node.control.execute(SendDigits(**its, keys=Keys(digits="1w#", tone_ms=250)))
    await node.control.execute(SendDigits(**its, keys=Keys(digits="2"), legs=Legs.BOTH))
    await node.until(lambda: len(pressed(node)) == 3)

    assert pressed(node) == [(first.leg, "1w#", 250), (first.leg, "2", 100), (second.leg, "2", 100)]


async def test_what_the_core_refuses_later_is_no_bug(node: World) -> None:
    live_call = await node.commanded()
    node.engine.refuse_next("send_digits", EngineFailed("send_digits", "too many wait"))

    await node.control.execute(
        SendDigits(account_id=node.account.id, call_id=live_call.call.id, keys=Keys(digits="1"))
    )
    await node.until(lambda: pressed(node))

    assert node.bugs.count == 0


async def test_what_is_no_key_or_cannot_hear_it_is_refused(node: World) -> None:
    live_call, waiting = await node.commanded(), await node.commanded(answered=False)
    for call, keys, fault in (
        (live_call, Keys(digits="x"), Invalid),
        (live_call, Keys(digits=""), Invalid),
        (live_call, Keys(digits="1" * 65), Invalid),
        (live_call, Keys(digits="1", tone_ms=5_000), Invalid),
        (waiting, Keys(digits="1"), CallNotAnswered),
    ):
        with pytest.raises(fault):
            await node.control.execute(
                SendDigits(account_id=node.account.id, call_id=call.call.id, keys=keys)
            )


async def test_members_of_a_conference_get_them(node: World) -> None:
    first, second = await node.commanded(), await node.commanded()
    await node.control.execute(
        CreateConference(
            account_id=node.account.id, name="x", call_id=first.call.id, dialect=COMMANDED
        )
    )
    ref = ConferenceRef(account_id=node.account.id, name="x")
    await node.control.execute(JoinCall(conference=ref, call_id=second.call.id))

    await node.control.execute(SendDigitsToConference(conference=ref, keys=Keys(digits="1")))
    await node.control.execute(
        SendDigitsToConference(
            conference=ref, members=Members(call_ids=(second.call.id,)), keys=Keys(digits="2")
        )
    )
    await node.until(lambda: len(pressed(node)) == 3)

    assert [(leg, digits) for leg, digits, _ in pressed(node)] == [
        (first.leg, "1"),
        (second.leg, "1"),
        (second.leg, "2"),
    ]


async def test_who_was_called_hears_the_keys_when_he_answers(node: World) -> None:
    node.asker.answer(ANSWER, document(("wait", {"duration_ms": 1})))
    instructions = Application(
        id=ApplicationId("x"),
        account_id=node.account.id,
        dialect="plain",
        name="x",
        answer_url=ANSWER,
        created_at_ms=node.clock.at_ms,
    )
    await node.control.execute(
        CreateCall(
            account_id=node.account.id,
            instructions=instructions,
            target=BOB,
            caller="+15550100",
            dialect="plain",
            keys=Keys(digits="77"),
        )
    )
    (leg,) = await node.dialled()
    assert pressed(node) == []

    node.engine.answer_from_outside(leg)
    await node.until(lambda: pressed(node))

    assert pressed(node) == [(leg, "77", 100)]


async def test_a_dialled_extension_is_keyed_before_the_talk(node: World) -> None:
    target = {"uri": BOB, "keys": {"digits": "12"}}
    node.asker.answer(ANSWER, document(("dial", {"targets": [target]})))
    await node.application("n", answer_url=ANSWER)
    node.engine.arrive(called="n")
    (other,) = await node.dialled()

    node.engine.answer_from_outside(other)
    await node.happened(event.CallsBridged, 2)

    assert pressed(node) == [(other, "12", 100)]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("12#", Keys(digits="12#")),
        ("1,W2@2000", Keys(digits="1wW2", tone_ms=2_000)),
        ("", None),
        ("1@", None),
        ("1@9", None),
        ("e", None),
        ("1" * 65, None),
    ],
)
def test_how_account_style_apis_write_them(text: str, keys: Keys | None) -> None:
    assert read_keys(text) == keys
