"""The `vobiz-python` package, which has no class for conferences: its raw request serves."""

import json

import vobiz
from vobiz.utils import validate_signature

from tapeline import compat
from tapeline.compat.demos import Host, SdkDemo, Webhook


def _client(host: Host) -> vobiz.RestClient:
    return compat.vobiz(vobiz.RestClient(host.auth_id, host.auth_token), host.base)


def _start(host: Host, conference: str, callback_url: str) -> str:
    answer = _client(host).request(
        "POST",
        ("Conference", conference, "Record"),
        data={"file_format": "wav", "callback_url": callback_url},
    )
    return str(answer.message)


def _stop(host: Host, conference: str) -> None:
    _client(host).request("DELETE", ("Conference", conference, "Record"), data={})


def _is_signed(host: Host, webhook: Webhook) -> bool:
    return bool(
        validate_signature(
            webhook.url,
            webhook.headers["x-vobiz-signature-v2-nonce"],
            webhook.headers["x-vobiz-signature-v2"],
            host.auth_token,
        )
    )


DEMO = SdkDemo(
    package="vobiz-python",
    call="client.request('POST', ('Conference', NAME, 'Record'), data={…})",
    start=_start,
    stop=_stop,
    has_callback_url=True,
    is_signed=_is_signed,
    link=lambda webhook: str(json.loads(webhook.body)["recording_url"]),
)
