"""Call control applications, which other words call connections."""

from typing import Annotated, Any, Literal

from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.dialects.telnyx import words
from tapeline.api.dialects.telnyx.wire.answer import (
    One,
    answer,
    answer_part,
    choose,
    filters,
)
from tapeline.api.dialects.telnyx.wire.body import Body, Text, pack, read_body, unpack
from tapeline.api.schema import Between, HttpUrl, ResponseBody
from tapeline.domain.account import Account
from tapeline.domain.application import Application
from tapeline.domain.command import (
    CreateApplication,
    DeleteApplication,
    GetApplication,
    ListApplications,
    UpdateApplication,
)
from tapeline.domain.id import ApplicationId

SORTS = ("created_at", "connection_name", "active")
CHOICES = (*SORTS, *(f"-{word}" for word in SORTS))

Site = Literal[
    "Latency",
    "Chicago, IL",
    "Ashburn, VA",
    "San Jose, CA",
    "London, UK",
    "Chennai, IN",
    "Amsterdam, Netherlands",
    "Toronto, Canada",
    "Sydney, Australia",
]
DtmfType = Literal["RFC 2833", "Inband", "SIP INFO"]
Subdomain = Literal["only_my_connections", "from_anyone"]


class InboundBody(Body):
    channel_limit: int | None = None
    shaken_stir_enabled: bool | None = None
    sip_subdomain: str | None = None
    sip_subdomain_receive_settings: Subdomain | None = None


class OutboundBody(Body):
    channel_limit: int | None = None
    outbound_voice_profile_id: str | None = None


class SettingsBody(Body):
    """Kept and shown; of these only the webhooks' timeout has an effect (version 2 is what is
    always sent).
    """

    active: bool | None = None
    anchorsite_override: Site | None = None
    call_cost_in_webhooks: bool | None = None
    dtmf_type: DtmfType | None = None
    first_command_timeout: bool | None = None
    first_command_timeout_secs: Annotated[int, Between(0, 3_600)] | None = None
    inbound: InboundBody | None = None
    outbound: OutboundBody | None = None
    redact_dtmf_debug_logging: bool | None = None
    tags: list[Text] | None = None
    webhook_api_version: Literal["1", "2"] | None = None
    webhook_timeout_secs: Annotated[int, Between(0, 30)] | None = None


class CreateApplicationBody(SettingsBody):
    application_name: Text
    webhook_event_url: HttpUrl
    webhook_event_failover_url: HttpUrl | Literal[""] | None = None


class UpdateApplicationBody(SettingsBody):
    application_name: Text | None = None
    webhook_event_url: HttpUrl | None = None
    webhook_event_failover_url: HttpUrl | Literal[""] | None = None


class InboundShown(ResponseBody):
    channel_limit: int | None = None
    shaken_stir_enabled: bool | None = None
    sip_subdomain: str | None = None
    sip_subdomain_receive_settings: Subdomain | None = None


class OutboundShown(ResponseBody):
    channel_limit: int | None = None
    outbound_voice_profile_id: str | None = None


class ApplicationBody(ResponseBody):
    record_type: Literal["call_control_application"] = "call_control_application"
    id: str
    application_name: str
    webhook_event_url: str
    webhook_event_failover_url: str | None
    webhook_timeout_secs: int | None
    webhook_api_version: Literal["1", "2"]
    active: bool
    anchorsite_override: Site
    call_cost_in_webhooks: bool
    dtmf_type: DtmfType
    first_command_timeout: bool
    first_command_timeout_secs: int
    inbound: InboundShown
    outbound: OutboundShown
    redact_dtmf_debug_logging: bool
    tags: list[str]
    created_at: str
    updated_at: str


_DEFAULTS: dict[str, Any] = {
    "active": True,
    "anchorsite_override": "Latency",
    "call_cost_in_webhooks": False,
    "dtmf_type": "RFC 2833",
    "first_command_timeout": False,
    "first_command_timeout_secs": 30,
    "inbound": {},
    "outbound": {},
    "redact_dtmf_debug_logging": False,
    "tags": [],
    "webhook_api_version": "2",
    words.WEBHOOK_TIMEOUT: None,
}


def _extras(body: SettingsBody) -> dict[str, str]:
    given = body.model_dump(mode="json", include=set(_DEFAULTS), exclude_none=True)
    return {key: pack(value) for key, value in given.items()}


def read_create(request: WireRequest, account: Account) -> CreateApplication:
    body = read_body(CreateApplicationBody, request)
    return CreateApplication(
        account_id=account.id,
        dialect=words.NAME,
        name=body.application_name,
        answer_url=body.webhook_event_url,
        fallback_url=body.webhook_event_failover_url or None,
        extras=_extras(body),
    )


def read_update(request: WireRequest, account: Account) -> UpdateApplication:
    """What is not given stays; an empty failover URL takes it away."""
    body = read_body(UpdateApplicationBody, request)
    return UpdateApplication(
        account_id=account.id,
        application_id=_application_id(request),
        dialect=words.NAME,
        name=body.application_name,
        answer_url=body.webhook_event_url,
        fallback_url=body.webhook_event_failover_url,
        extras=_extras(body),
    )


def _application_id(request: WireRequest) -> ApplicationId:
    return ApplicationId(request.params["application_id"])


def read_one(request: WireRequest, account: Account) -> GetApplication:
    return GetApplication(
        account_id=account.id, application_id=_application_id(request), dialect=words.NAME
    )


def read_delete(request: WireRequest, account: Account) -> DeleteApplication:
    return DeleteApplication(
        account_id=account.id, application_id=_application_id(request), dialect=words.NAME
    )


def write_created(
    application: Application, _request: WireRequest, _account: Account
) -> WireResponse:
    return answer(One[ApplicationBody](data=application_body(application)), status=201)


def write_one(application: Application, _request: WireRequest, _account: Account) -> WireResponse:
    return answer(One[ApplicationBody](data=application_body(application)))


def read_many(request: WireRequest, account: Account) -> ListApplications:
    choose(filters(request), "sort", CHOICES)
    return ListApplications(account_id=account.id, dialect=words.NAME)


def write_many(
    applications: tuple[Application, ...], request: WireRequest, _account: Account
) -> WireResponse:
    given = filters(request)
    part = given.get("filter[application_name][contains]", "").lower()
    items = [
        application_body(each)
        for each in applications
        if each.dialect == words.NAME and part in each.name.lower()
    ]
    word = choose(given, "sort", CHOICES) or "created_at"
    keys = {
        "created_at": lambda item: item.created_at,
        "connection_name": lambda item: item.application_name,
        "active": lambda item: item.active,
    }
    items.sort(key=keys[word.removeprefix("-")], reverse=word.startswith("-"))
    return answer_part(ApplicationBody, items, request)


def application_body(application: Application) -> ApplicationBody:
    settings = {key: unpack(application.extras, key, default) for key, default in _DEFAULTS.items()}
    created = words.iso(application.created_at_ms)
    return ApplicationBody.model_validate(
        {
            **settings,
            "id": application.id,
            "application_name": application.name,
            "webhook_event_url": application.answer_url or "",
            "webhook_event_failover_url": application.fallback_url,
            "created_at": created,
            "updated_at": created,
        }
    )
