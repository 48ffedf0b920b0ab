"""Every vector of the contract, and the vendors' own validators as oracles."""

import pytest
from plivo.utils import validate_signature
from plivo.utils.signature_v3 import validate_v3_signature as plivo_validates
from vobiz.utils.signature_v3 import validate_v3_signature as vobiz_validates

from tapeline.api.accountstyle.signature import (
    make_nonce,
    sign,
    v2_message,
    v3_message,
    v3_plain_message,
)

TOKEN = "test_auth_token_0123456789"
NONCE = "05429567804466091622"
PARAMS: dict[str, object] = {
    "CallUUID": "c-1",
    "Event": "Record",
    "From": "+15551230000",
}
BARE = "https://example.com/rec/done"
ASKED = f"{BARE}?cid=7&a=b"


@pytest.mark.parametrize("url", [ASKED, f"{ASKED}#rc=3"])
def test_v2_signs_the_address_and_the_nonce(url: str) -> None:
    message = v2_message(url, NONCE)

    assert message == f"{BARE}{NONCE}"
    assert sign(TOKEN, message) == "MQuXGytYNFHUA4CBTNdqMhMV92uL6Y7W/snLCwRBM/w="
    assert validate_signature(url, NONCE, sign(TOKEN, message), TOKEN)


def test_v2_as_its_vendor_tests_it() -> None:
    signature = sign("my_auth_token", v2_message("https://answer.url", "12345"))

    assert signature == "ehV3IKhLysWBxC1sy8INm0qGoQYdYsHwuoKjsX7FsXc="


V3_VECTORS = [
    (
        "GET",
        ASKED,
        PARAMS,
        f"{BARE}?CallUUID=c-1&Event=Record&From=+15551230000&a=b&cid=7",
        "EWWk7iYhrb04Lc7TK2TG5WOJivtm6T5xAWA8MLypSXs=",
    ),
    (
        "POST",
        ASKED,
        PARAMS,
        f"{BARE}?a=b&cid=7.CallUUIDc-1EventRecordFrom+15551230000",
        "iWVf+6WtupR/9MEghPu5ngMOYzhfmQcBMgESX+yAyq4=",
    ),
    (
        "POST",
        BARE,
        PARAMS,
        f"{BARE}?CallUUIDc-1EventRecordFrom+15551230000",
        "KaAA0V2YrZPSyivTJyODDZi87+HjCAw2E6282lKJ6GI=",
    ),
    ("POST", BARE, {}, BARE, "IAlOzPtkIr3xFLmwwEMxqcgrpSlCN0w/Qspz8Dmrpb4="),
    ("POST", ASKED, {}, f"{BARE}?a=b&cid=7", "BIoWut6m40o4gPvhbue4WnvTI4vGEAh1yuwSzkmjf/E="),
    (
        "POST",
        BARE,
        {"k": ["2", "1"], "z": 9},
        f"{BARE}?k1k2z9",
        "SjFfqRm6hWCjus6JHUYZjw3yUkOdAaxttlgEov2EuzA=",
    ),
    (
        "POST",
        "https://example.com/x",
        {"text": "naïve é"},
        "https://example.com/x?textnaïve é",
        "3+o/LQOAmJUOJeUKmU2C0wjne3aFTD4nKmDazKlrbNo=",
    ),
    (
        "POST",
        "https://example.com/x?b=1&a=",
        {"error": "", "transcription": "hi"},
        "https://example.com/x?a=&b=1.errortranscriptionhi",
        "DdNfBdOR3+qKFnEUVCC34ZtCE5utQyz0mfnx/z4bsjU=",
    ),
]


@pytest.mark.parametrize(("method", "url", "params", "message", "signature"), V3_VECTORS)
def test_v3_signs_address_and_parameters(
    method: str, url: str, params: dict[str, object], message: str, signature: str
) -> None:
    signed = v3_message(method, url, params, NONCE)

    assert signed == f"{message}.{NONCE}"
    assert sign(TOKEN, signed) == signature
    for validates in (plivo_validates, vobiz_validates):
        assert validates(method, url, NONCE, TOKEN, signature, params=dict(params))


def test_v3_without_parameters_is_address_dot_nonce() -> None:
    assert v3_plain_message(ASKED, NONCE) == f"{BARE}.{NONCE}"


def test_a_nonce_is_20_digits_and_differs_with_what_is_sent() -> None:
    nonces = {make_nonce(TOKEN, str(part)) for part in range(100)}

    assert len(nonces) == 100
    assert all(len(nonce) == 20 and nonce.isdecimal() for nonce in nonces)
    assert make_nonce(TOKEN, "a", "b") == make_nonce(TOKEN, "a", "b")
