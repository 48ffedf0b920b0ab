"""What dial says of a conference that the call joins once it is answered."""

from pydantic import BaseModel, ConfigDict

from tapeline.api.dialects.telnyx.wire.body import (
    BeepEnabled,
    CallControlIds,
    Text,
    check_one_of,
)
from tapeline.api.dialects.telnyx.wire.members import RoleWord, hold_sound, whispered_to
from tapeline.api.schema import HttpUrl
from tapeline.domain.command import JoinOnAnswer
from tapeline.domain.conference import Role
from tapeline.domain.error import MissingValue


class ConferenceConfigBody(BaseModel):
    """By id or by name. `early_media` and `beep_enabled` have no effect: the call joins when it is
    answered, without a beep.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    id: Text | None = None
    conference_name: Text | None = None
    early_media: bool = True
    beep_enabled: BeepEnabled | None = None
    end_conference_on_exit: bool = False
    soft_end_conference_on_exit: bool = False
    hold: bool = False
    hold_audio_url: HttpUrl | None = None
    hold_media_name: Text | None = None
    mute: bool = False
    start_conference_on_create: bool = True
    start_conference_on_enter: bool = False
    supervisor_role: RoleWord = "none"
    whisper_call_control_ids: CallControlIds | None = None


def join_on_answer(config: ConferenceConfigBody | None) -> JoinOnAnswer | None:
    """Raises MissingValue without id and name, Invalid with both, DestinationFault."""
    if config is None:
        return None
    if config.id is None and config.conference_name is None:
        raise MissingValue("conference_config/conference_name")
    check_one_of("id", config.id, "conference_name", config.conference_name)
    audio_url, media_name = config.hold_audio_url, config.hold_media_name
    check_one_of("hold_audio_url", audio_url, "hold_media_name", media_name)
    role = Role(config.supervisor_role)
    return JoinOnAnswer(
        conference=config.id or config.conference_name or "",
        is_id=config.id is not None,
        muted=config.mute,
        on_hold=config.hold,
        hold_sound=hold_sound(audio_url, media_name) if config.hold else None,
        role=role,
        whispers_to=whispered_to(role, config.whisper_call_control_ids),
        end_on_exit=config.end_conference_on_exit or config.soft_end_conference_on_exit,
        hangs_up_on_exit=config.end_conference_on_exit,
        starts_on_create=config.start_conference_on_create,
        starts_conference=config.start_conference_on_enter,
    )
