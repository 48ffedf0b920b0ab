"""The `telnyx` package (4.x): `Telnyx(api_key=…, base_url=BASE + "/v2")` is all it needs."""

import json
from typing import Any

import telnyx

from tapeline.compat.demos import Host, SdkDemo, Webhook


def _client(host: Host) -> telnyx.Telnyx:
    return telnyx.Telnyx(
        api_key=host.api_key, base_url=f"{host.base}/v2", public_key=host.public_key
    )


def _start(host: Host, conference: str, _callback_url: str) -> str:
    answer = _client(host).conferences.actions.record_start(conference, format="wav")
    return f"result {answer.data.result}" if answer.data else "no data"


def _stop(host: Host, conference: str) -> None:
    _client(host).conferences.actions.record_stop(conference)


def _is_signed(host: Host, webhook: Webhook) -> bool:
    try:
        _client(host).webhooks.unwrap(webhook.body.decode(), headers=webhook.headers)
    except ValueError:
        return False
    return True


def _link(webhook: Webhook) -> str:
    payload: dict[str, Any] = json.loads(webhook.body)["data"]["payload"]
    return str(payload["recording_urls"]["wav"])


DEMO = SdkDemo(
    package="telnyx",
    call="client.conferences.actions.record_start(NAME, format='wav')",
    start=_start,
    stop=_stop,
    has_callback_url=False,
    is_signed=_is_signed,
    link=_link,
)
