"""What is added to a message at each attempt: fresh links, signatures."""

import hashlib
import hmac
import json
from base64 import b64encode
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from tests.unit.api.things import NOW_MS, TOKEN
from vobiz.utils.signature_v3 import validate_v3_signature

from tapeline.api.dialect import find_dialects
from tapeline.domain.delivery import CallbackMessage, Encoding, OutgoingRequest, Secrets
from tapeline.domain.id import EpochMs

VOBIZ = find_dialects()["vobiz"]
SECRETS = Secrets(auth_token=TOKEN, signing_seed=bytes(32))
MESSAGE = CallbackMessage(
    url="https://cust.example/done?c=1",
    method="POST",
    encoding=Encoding.JSON,
    fields={"recording_url": "http://node/r.mp3", "recording_duration": 12, "name": "Zoë"},
    link_fields=("recording_url", "record_url"),
)


def seal(attempt: int = 1, now_ms: EpochMs = NOW_MS, **changes: Any) -> OutgoingRequest:
    message = replace(MESSAGE, **changes)
    return VOBIZ.seal(message, attempt, now_ms, SECRETS, lambda link: f"{link}?at={now_ms}")


def hmac_of(text: str) -> str:
    return b64encode(hmac.new(TOKEN.encode(), text.encode(), hashlib.sha256).digest()).decode()


def test_links_are_signed_at_each_attempt() -> None:
    first, second = seal(), seal(2, EpochMs(NOW_MS + 7_200_000))

    assert json.loads(first.body)["recording_url"].endswith(f"?at={NOW_MS}")
    assert json.loads(second.body)["recording_url"].endswith(f"?at={NOW_MS + 7_200_000}")


def test_an_absent_recording_keeps_its_empty_link() -> None:
    sealed = seal(fields={"recording_url": ""})

    assert json.loads(sealed.body) == {"recording_url": ""}


@pytest.mark.parametrize(
    ("encoding", "content_type"),
    [(Encoding.JSON, "application/json"), (Encoding.FORM, "application/x-www-form-urlencoded")],
)
def test_the_body_is_as_the_message_says(encoding: Encoding, content_type: str) -> None:
    sealed = seal(encoding=encoding)

    assert sealed.headers["Content-Type"] == content_type
    if encoding is Encoding.JSON:
        fields = {key: str(value) for key, value in json.loads(sealed.body).items()}
    else:
        fields = dict(parse_qsl(sealed.body.decode()))
    assert fields["recording_duration"] == "12"
    assert fields["name"] == "Zoë"
    assert sealed.headers["User-Agent"] == "Vobiz"


def test_both_signatures_are_there_for_account_and_main_account() -> None:
    headers = seal().headers
    nonce = headers["X-Vobiz-Signature-V2-Nonce"]

    assert headers["X-Vobiz-Signature-V2"] == hmac_of(f"https://cust.example/done{nonce}")
    assert headers["X-Vobiz-Signature-V3"] == hmac_of(
        f"https://cust.example/done.{headers['X-Vobiz-Signature-V3-Nonce']}"
    )
    assert headers["X-Vobiz-Signature-MA-V2"] == headers["X-Vobiz-Signature-V2"]
    assert headers["X-Vobiz-Signature-MA-V3"] == headers["X-Vobiz-Signature-V3"]


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_the_sdks_own_validator_accepts_the_form_it_knows(method: str) -> None:
    """In ASCII: it cannot read other characters from a query."""
    encoding = Encoding.FORM if method == "POST" else Encoding.QUERY
    sealed = seal(
        method=method, encoding=encoding, extras={"v3": "sdk"}, fields={"b": "2 x", "a": 1}
    )
    params = dict(parse_qsl(sealed.body.decode())) if method == "POST" else {}

    assert validate_v3_signature(
        method,
        sealed.url,
        sealed.headers["X-Vobiz-Signature-V3-Nonce"],
        TOKEN,
        sealed.headers["X-Vobiz-Signature-V3"],
        params=params,
    )


def test_each_attempt_has_a_nonce_of_its_own() -> None:
    sealed = [seal(), seal(2), seal(1, EpochMs(NOW_MS + 1)), seal(url="https://cust.example/x")]

    assert len({each.headers["X-Vobiz-Signature-V2-Nonce"] for each in sealed}) == 4
