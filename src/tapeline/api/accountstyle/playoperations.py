"""Operations that play: rows of the table that account-style dialects share."""

from collections.abc import Callable
from functools import partial

from pydantic import BaseModel

from tapeline.api.accountstyle import table
from tapeline.api.accountstyle.resources import playing
from tapeline.api.accountstyle.resources.answers import MessageBody, write_message, write_nothing
from tapeline.api.accountstyle.table import row
from tapeline.api.dialect import Operation, WireResponse
from tapeline.domain.sound import SoundUse

_DONE = (204,)


def played_to_members(
    action_body: type[BaseModel], write_action: Callable[..., WireResponse]
) -> tuple[Operation, ...]:
    return (
        row(
            "POST",
            table.MEMBER + "Play/",
            "play-to-member",
            "Members, or the whole conference, hear a file",
            read=playing.read_play_to_member,
            write=partial(write_action, message="play queued into conference"),
            body=playing.PlayToMemberBody,
            answers=(202, action_body),
        ),
        row(
            "DELETE",
            table.MEMBER + "Play/",
            "stop-play-to-member",
            "Members hear the file no more",
            read=partial(playing.read_stop_to_member, use=SoundUse.FILE),
            write=write_nothing,
            answers=_DONE,
        ),
        row(
            "POST",
            table.MEMBER + "Speak/",
            "speak-to-member",
            "Members, or the whole conference, hear a text",
            read=playing.read_speak_to_member,
            write=partial(write_action, message="speak queued into conference"),
            body=playing.SpeakToMemberBody,
            answers=(202, action_body),
        ),
        row(
            "DELETE",
            table.MEMBER + "Speak/",
            "stop-speak-to-member",
            "Members hear the text no more",
            read=partial(playing.read_stop_to_member, use=SoundUse.SPEECH),
            write=write_nothing,
            answers=_DONE,
        ),
    )


def played_to_calls() -> tuple[Operation, ...]:
    return (
        row(
            "POST",
            table.CALL + "Play/",
            "play-to-call",
            "A call hears files",
            read=playing.read_play,
            write=partial(write_message, status=202, message="play started"),
            body=playing.PlayBody,
            answers=(202, MessageBody),
        ),
        row(
            "DELETE",
            table.CALL + "Play/",
            "stop-play-to-call",
            "A call hears the files no more",
            read=partial(playing.read_stop, use=SoundUse.FILE),
            write=write_nothing,
            answers=_DONE,
        ),
        row(
            "POST",
            table.CALL + "Speak/",
            "speak-to-call",
            "A call hears a text",
            read=playing.read_speak,
            write=partial(write_message, status=202, message="speak started"),
            body=playing.SpeakBody,
            answers=(202, MessageBody),
        ),
        row(
            "DELETE",
            table.CALL + "Speak/",
            "stop-speak-to-call",
            "A call hears the text no more",
            read=partial(playing.read_stop, use=SoundUse.SPEECH),
            write=write_nothing,
            answers=_DONE,
        ),
        row(
            "POST",
            table.CALL + "DTMF/",
            "send-digits",
            "Press keys on a call",
            read=playing.read_digits,
            write=partial(write_message, status=202, message="digits sent"),
            body=playing.DigitsBody,
            answers=(202, MessageBody),
        ),
    )
