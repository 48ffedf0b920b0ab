"""Applications: what the calls to a number are answered with."""

from typing import Annotated, Any

from pydantic import Field

from tapeline.api.accountstyle.body import read_fields
from tapeline.api.accountstyle.profile import Profile
from tapeline.api.accountstyle.resources.answers import answer
from tapeline.api.accountstyle.resources.recordings import (
    MetaBody,
    check_limit,
    limit_schema,
    list_meta,
)
from tapeline.api.accountstyle.resources.starts import Method
from tapeline.api.dialect import WireRequest, WireResponse
from tapeline.api.schema import HttpUrl, RequestBody, ResponseBody, json_schema, read_model
from tapeline.domain.account import Account
from tapeline.domain.application import Application
from tapeline.domain.command import (
    CreateApplication,
    DeleteApplication,
    GetApplication,
    ListApplications,
    UpdateApplication,
)
from tapeline.domain.error import MissingValue
from tapeline.domain.id import ApplicationId

_Name = Annotated[str, Field(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ApplicationFields(RequestBody):
    """`name` is what some clients call `app_name`."""

    app_name: _Name | None = None
    name: _Name | None = None
    answer_url: HttpUrl | None = None
    answer_method: Method | None = None
    hangup_url: HttpUrl | None = None
    hangup_method: Method | None = None
    fallback_answer_url: HttpUrl | None = None
    fallback_method: Method | None = None


class ListApplicationsQuery(RequestBody):
    """By `limit` and `offset`, or by `page` (from 1) and `size`."""

    limit: Annotated[int, Field(ge=1)] = 20
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0
    page: Annotated[int, Field(ge=1, le=2**24)] | None = None
    size: Annotated[int, Field(ge=1)] | None = None
    app_name: str | None = None


class ApplicationMadeBody(ResponseBody):
    api_id: str
    app_id: str
    message: str


class ApplicationBody(ResponseBody):
    answer_method: str
    answer_url: str | None
    app_id: str
    app_name: str
    default_app: bool
    default_endpoint_app: bool
    enabled: bool
    fallback_answer_url: str
    fallback_method: str
    hangup_method: str
    hangup_url: str
    message_method: str
    message_url: str
    public_uri: bool
    resource_uri: str
    sip_uri: str
    sub_account: str | None


class OneApplicationBody(ApplicationBody):
    api_id: str


class ApplicationsBody(ResponseBody):
    api_id: str
    meta: MetaBody
    objects: list[ApplicationBody]


class _Page:
    """What `list_meta` reads."""

    def __init__(self, *, limit: int, offset: int, total: int) -> None:
        self.limit = limit
        self.offset = offset
        self.total = total


def read_create(profile: Profile, request: WireRequest, account: Account) -> CreateApplication:
    body = read_model(ApplicationFields, read_fields(request))
    name = body.app_name or body.name
    if name is None:
        raise MissingValue("app_name")
    if body.answer_url is None:
        raise MissingValue("answer_url")
    return CreateApplication(
        account_id=account.id,
        dialect=profile.name,
        name=name,
        answer_url=body.answer_url,
        answer_method=body.answer_method or "POST",
        fallback_url=body.fallback_answer_url,
        fallback_method=body.fallback_method or "POST",
        hangup_url=body.hangup_url,
        hangup_method=body.hangup_method or "POST",
    )


def write_created(made: Application, request: WireRequest, _account: Account) -> WireResponse:
    return answer(
        201, ApplicationMadeBody(api_id=request.request_id, app_id=made.id, message="created")
    )


def read_update(profile: Profile, request: WireRequest, account: Account) -> UpdateApplication:
    """What is left out stays as it is."""
    body = read_model(ApplicationFields, read_fields(request))
    return UpdateApplication(
        account_id=account.id,
        application_id=_id(request),
        dialect=profile.name,
        name=body.app_name or body.name,
        answer_url=body.answer_url,
        answer_method=body.answer_method,
        fallback_url=body.fallback_answer_url,
        fallback_method=body.fallback_method,
        hangup_url=body.hangup_url,
        hangup_method=body.hangup_method,
    )


def read_get(profile: Profile, request: WireRequest, account: Account) -> GetApplication:
    return GetApplication(account_id=account.id, application_id=_id(request), dialect=profile.name)


def read_delete(profile: Profile, request: WireRequest, account: Account) -> DeleteApplication:
    return DeleteApplication(
        account_id=account.id, application_id=_id(request), dialect=profile.name
    )


def _id(request: WireRequest) -> ApplicationId:
    return ApplicationId(request.params["app_id"])


def list_query_schema(profile: Profile) -> dict[str, Any]:
    limit = limit_schema(profile)
    return {**json_schema(ListApplicationsQuery)["properties"], "limit": limit, "size": limit}


def _query(profile: Profile, request: WireRequest) -> tuple[int, int, str | None]:
    query = read_model(ListApplicationsQuery, dict(request.query))
    limit = query.size or query.limit
    check_limit(profile, limit)
    offset = query.offset if query.page is None else (query.page - 1) * limit
    return limit, offset, query.app_name


def read_list(profile: Profile, request: WireRequest, account: Account) -> ListApplications:
    _query(profile, request)
    return ListApplications(account_id=account.id, dialect=profile.name)


def write_list(
    profile: Profile, found: tuple[Application, ...], request: WireRequest, account: Account
) -> WireResponse:
    limit, offset, name = _query(profile, request)
    wanted = [each for each in found if name is None or each.name == name]
    shown = wanted[offset : offset + limit]
    page = _Page(limit=limit, offset=offset, total=len(wanted))
    return answer(
        200,
        ApplicationsBody(
            api_id=request.request_id,
            meta=list_meta(profile, request, account, "Application", page),
            objects=[ApplicationBody(**_fields(profile, each, account)) for each in shown],
        ),
    )


def write_one(
    profile: Profile, found: Application, request: WireRequest, account: Account
) -> WireResponse:
    fields = _fields(profile, found, account)
    return answer(200, OneApplicationBody(api_id=request.request_id, **fields))


def _fields(profile: Profile, application: Application, account: Account) -> dict[str, Any]:
    """There are no messages here, and nothing is anybody's default."""
    return {
        "answer_method": application.answer_method,
        "answer_url": application.answer_url,
        "app_id": application.id,
        "app_name": application.name,
        "default_app": False,
        "default_endpoint_app": False,
        "enabled": True,
        "fallback_answer_url": application.fallback_url or "",
        "fallback_method": application.fallback_method,
        "hangup_method": application.hangup_method,
        "hangup_url": application.hangup_url or "",
        "message_method": "POST",
        "message_url": "",
        "public_uri": False,
        "resource_uri": profile.uri(account, "Application", application.id),
        "sip_uri": "",
        "sub_account": None,
    }
