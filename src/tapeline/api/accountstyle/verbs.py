"""Readers of the elements that account-style answer documents share."""

from tapeline.api.accountstyle.answer import MAX_NAME_LENGTH, Node
from tapeline.domain.error import AnswerInvalid
from tapeline.domain.recording import RecordingFormat, RecordingOptions
from tapeline.domain.verb import Action, HangUp, JoinConference, RecordOnJoin, Redirect, Wait

_FORMATS = {word.value: word for word in RecordingFormat}
_REJECT_STATUS = {"rejected": 603, "busy": 486}
_DAY_S = 86_400
MAX_MEMBERS = 10_000


def read_conference(node: Node) -> JoinConference:
    """`<Conference>`; the older names of `maxMembers` are read too."""
    name = node.text
    if not name:
        raise AnswerInvalid("the conference has no name", place=node.place)
    if len(name) > MAX_NAME_LENGTH:
        raise AnswerInvalid(
            f"the conference's name is longer than {MAX_NAME_LENGTH} characters", place=node.place
        )
    if any(character < " " for character in name):
        raise AnswerInvalid("the conference's name holds control characters", place=node.place)
    file_format = node.take_word("recordFileFormat", _FORMATS, default=RecordingFormat.MP3)
    time_limit_s = node.take_number("timeLimit", low=1, high=_DAY_S)
    return JoinConference(
        name=name,
        muted=node.take_flag("muted", default=False),
        start_on_enter=node.take_flag("startConferenceOnEnter", default=True),
        end_on_exit=node.take_flag("endConferenceOnExit", default=False),
        max_members=node.take_number("maxMembers", "maxParticipants", low=1, high=MAX_MEMBERS),
        time_limit_ms=(time_limit_s or _DAY_S) * 1_000,
        action=read_action(node, follows=True),
        callback_url=node.take_url("callbackUrl"),
        callback_method=node.take_method("callbackMethod"),
        record=RecordOnJoin(options=RecordingOptions(format=file_format))
        if node.take_flag("record", default=False)
        else None,
    )


def read_action(node: Node, *, follows: bool) -> Action | None:
    """`action`, `method` and `redirect`, whose default is `follows`."""
    url, method = node.take_url("action"), node.take_method("method")
    redirect = node.take_flag("redirect", default=follows)
    return None if url is None else Action(url=url, method=method, follows=redirect)


def read_wait(node: Node) -> Wait:
    seconds = node.take_number("length", low=0, high=_DAY_S)
    return Wait(duration_ms=1_000 if seconds is None else seconds * 1_000)


def read_hangup(node: Node) -> HangUp:
    """`reason` decides how a call that was not answered is refused; `schedule` is in seconds."""
    seconds = node.take_number("schedule", low=0, high=_DAY_S)
    return HangUp(
        after_ms=(seconds or 0) * 1_000,
        reject_status=node.take_word("reason", _REJECT_STATUS, default=None),
    )


def read_redirect(node: Node) -> Redirect:
    return Redirect(url=node.check_url("the address", node.text), method=node.take_method("method"))
