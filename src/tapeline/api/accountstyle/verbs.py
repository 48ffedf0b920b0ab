"""Readers of the elements that account-style answer documents share."""

from tapeline.api.accountstyle.answer import MAX_NAME_LENGTH, Node
from tapeline.api.accountstyle.told import VERB
from tapeline.domain.error import AnswerInvalid
from tapeline.domain.recording import RecordingFormat, RecordingOptions, TranscriptionRequest
from tapeline.domain.verb import Action, HangUp, JoinConference, RecordOnJoin, Redirect, Wait

FORMATS = {word.value: word for word in RecordingFormat}
_TRANSCRIPTIONS = {word: word for word in ("auto", "hybrid", "manual")}
_DIGITS = frozenset("0123456789*#")
_LONGEST_MATCH = 24
_REJECT_STATUS = {"rejected": 603, "busy": 486}
DAY_S = 86_400
MAX_MEMBERS = 10_000


def read_conference(node: Node) -> JoinConference:
    """`<Conference>`; the older name of `maxMembers` is read too."""
    name = node.text
    if not name:
        raise AnswerInvalid("the conference has no name", place=node.place)
    if len(name) > MAX_NAME_LENGTH:
        raise AnswerInvalid(
            f"the conference's name is longer than {MAX_NAME_LENGTH} characters", place=node.place
        )
    if any(character < " " for character in name):
        raise AnswerInvalid("the conference's name holds control characters", place=node.place)
    file_format = node.take_word("recordFileFormat", FORMATS, default=RecordingFormat.MP3)
    time_limit_s = node.take_number("timeLimit", low=1, high=DAY_S)
    callback_url, callback_method = node.take_url("callbackUrl"), node.take_method("callbackMethod")
    options = RecordingOptions(format=file_format, transcription=read_transcription(node))
    is_recorded = node.take_flag("record", default=False)
    return JoinConference(
        name=name,
        muted=node.take_flag("muted", default=False),
        start_on_enter=node.take_flag("startConferenceOnEnter", default=True),
        end_on_exit=node.take_flag("endConferenceOnExit", default=False),
        max_members=node.take_number("maxMembers", "maxParticipants", low=1, high=MAX_MEMBERS),
        time_limit_ms=(time_limit_s or DAY_S) * 1_000,
        action=read_action(node, follows=True),
        callback_url=callback_url,
        callback_method=callback_method,
        record=RecordOnJoin(
            options=options,
            callback_url=callback_url,
            callback_method=callback_method,
            extras={VERB: "conference"},
        )
        if is_recorded
        else None,
        hang_up_on_star=node.take_flag("hangupOnStar", default=False),
        digits_match=_read_matches(node),
    )


def _read_matches(node: Node) -> tuple[str, ...]:
    """`digitsMatch`: digit sequences, divided by commas."""
    given = node.take("digitsMatch")
    words = [word.strip() for word in (given or "").split(",") if word.strip()]
    for word in words:
        if not set(word) <= _DIGITS or len(word) > _LONGEST_MATCH:
            raise node.wrong("digitsMatch", word, "sequences of 0-9, * and #, divided by commas")
    return tuple(words)


def read_transcription(node: Node) -> TranscriptionRequest | None:
    """Either attribute asks for it; it is always told by POST (contract §2)."""
    kind = node.take_word("transcriptionType", _TRANSCRIPTIONS, default=None)
    url, _ = node.take_url("transcriptionUrl"), node.take("transcriptionMethod")
    if kind is None and url is None:
        return None
    return TranscriptionRequest(callback_url=url)


def read_action(node: Node, *, follows: bool) -> Action | None:
    """`action`, `method` and `redirect`, whose default is `follows`."""
    url, method = node.take_url("action"), node.take_method("method")
    redirect = node.take_flag("redirect", default=follows)
    return None if url is None else Action(url=url, method=method, follows=redirect)


def read_wait(node: Node) -> Wait:
    seconds = node.take_number("length", low=0, high=DAY_S)
    return Wait(duration_ms=1_000 if seconds is None else seconds * 1_000)


def read_hangup(node: Node) -> HangUp:
    """`reason` decides how a call that was not answered is refused; `schedule` is in seconds."""
    seconds = node.take_number("schedule", low=0, high=DAY_S)
    return HangUp(
        after_ms=(seconds or 0) * 1_000,
        reject_status=node.take_word("reason", _REJECT_STATUS, default=None),
    )


def read_redirect(node: Node) -> Redirect:
    return Redirect(url=node.check_url("the address", node.text), method=node.take_method("method"))
