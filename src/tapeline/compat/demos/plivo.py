"""The `plivo` package."""

from urllib.parse import parse_qsl

import plivo
from plivo.utils import validate_v3_signature

from tapeline import compat
from tapeline.compat.demos import Host, SdkDemo, Webhook


def _client(host: Host) -> plivo.RestClient:
    return compat.plivo(plivo.RestClient(host.auth_id, host.auth_token), host.base)


def _start(host: Host, conference: str, callback_url: str) -> str:
    answer = _client(host).conferences.record(
        conference, file_format="wav", callback_url=callback_url
    )
    return str(answer.message)


def _stop(host: Host, conference: str) -> None:
    _client(host).conferences.record_stop(conference)


def _is_signed(host: Host, webhook: Webhook) -> bool:
    return bool(
        validate_v3_signature(
            webhook.method,
            webhook.url,
            webhook.headers["x-plivo-signature-v3-nonce"],
            host.auth_token,
            webhook.headers["x-plivo-signature-v3"],
            _fields(webhook),
        )
    )


def _fields(webhook: Webhook) -> dict[str, str]:
    return dict(parse_qsl(webhook.body.decode(), keep_blank_values=True))


DEMO = SdkDemo(
    package="plivo",
    call="client.conferences.record(NAME, file_format='wav', callback_url=URL)",
    start=_start,
    stop=_stop,
    has_callback_url=True,
    is_signed=_is_signed,
    link=lambda webhook: _fields(webhook)["record_url"],
)
