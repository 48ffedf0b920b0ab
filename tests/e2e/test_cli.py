"""The command line: the same commands beside a running node and without one."""

import asyncio
import json
import os
import pty
import re
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tapeline.testing import ServedNode

ENTRY = "from tapeline.cli import main; main()"
DOCUMENT = "<Response><Conference>{{match}}</Conference></Response>"
DIALECT = "vobiz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """A terminal-less shell with a data folder."""

    data_dir: Path
    settings: Mapping[str, str]

    async def __call__(self, *words: str, **settings: str) -> Done:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TAPELINE_")}
        own = {"TAPELINE_DATA_DIR": str(self.data_dir), **self.settings, **settings}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ENTRY, *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=kept | own,
        )  # fmt: skip
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        return Done(status=process.returncode or 0, out=out.decode(), err=err.decode())


@pytest.fixture(params=["beside a node", "without a node"])
async def shell(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shell]:
    found = Shell(data_dir=tmp_path / "data", settings={})
    if request.param == "without a node":
        yield found
        return
    async with ServedNode(found.data_dir, {"room": "false"}):
        yield found


async def test_an_account_an_application_and_a_number(shell: Shell, tmp_path: Path) -> None:
    account = (await shell("account", "create", "--name", "Clinic", "--json")).json
    document = tmp_path / "room.xml"
    document.write_text(DOCUMENT)
    of_account = ("--account", account["auth_id"], "--dialect", DIALECT)
    app = (
        await shell(
            "app", "create", *of_account, "--name", "r", "--answer-file", str(document), "--json"
        )
    ).json
    number = (await shell("number", "add", "7*", "--app", app["app_id"], "--json")).json
    taken = await shell("number", "add", "7*", "--app", app["app_id"])

    assert re.fullmatch(r"(MA|SA)[A-Z0-9]{18}", account["auth_id"])
    assert {"auth_token", "api_key", "public_key"} <= account.keys()
    assert number == {**number, "number": "7*", "app_id": app["app_id"]}
    assert (taken.status, taken.out) == (1, "")
    assert "exists already" in taken.err
    listed = (await shell("account", "list", "--json")).out
    assert account["auth_id"] in listed
    assert account["auth_token"] not in listed


async def test_endpoints_are_kept_without_their_passwords(shell: Shell) -> None:
    account = (await shell("account", "create", "--name", "Clinic", "--json")).json["auth_id"]
    of_account, secret = ("--account", account), "a phone's secret"

    added = await shell("endpoint", "add", "alice", *of_account, "--password", secret, "--json")
    short = await shell("endpoint", "add", "bob", *of_account, "--password", "short")
    changed = await shell("endpoint", "passwd", "alice", "--password", "another secret")
    listed = await shell("endpoint", "list")
    removed = await shell("endpoint", "remove", "alice")

    assert added.json == {**added.json, "username": "alice", "registered": []}
    assert (changed.status, removed.status, short.status) == (0, 0, 1)
    assert "8 to 128" in short.err
    assert "alice" in listed.out
    assert not any("secret" in each.out + each.err for each in (added, changed, listed))


async def test_a_trunk_is_added_and_shown_without_its_password(shell: Shell) -> None:
    account = (await shell("account", "create", "--name", "Clinic", "--json")).json["auth_id"]
    of_account, secret = ("--account", account), "a carrier's secret"

    trunk = await shell(
        "trunk", "add", "carrier", *of_account, "--target", "sip:127.0.0.1:9,5,3", "--source",
        "192.0.2.0/24", "--username", "us", "--password", secret, "--country", "49", "--json",
    )  # fmt: skip
    twisted = await shell("trunk", "add", "x", *of_account, "--target", "sip:h,a")
    shown = await shell("trunk", "show", "carrier")
    removed = await shell("trunk", "remove", "carrier")

    assert trunk.json["targets"][0].startswith("sip:127.0.0.1:9,5,3")
    assert (removed.status, removed.err) == (0, "")
    assert (trunk.json["has_password"], twisted.status) == (True, 1)
    assert "PRIORITY,WEIGHT" in twisted.err
    assert "192.0.2.0/24" in shown.out
    assert secret not in trunk.out + shown.out


async def test_a_policy_is_of_something_that_is_there(shell: Shell) -> None:
    account = (await shell("account", "create", "--name", "Clinic", "--json")).json["auth_id"]
    await shell("trunk", "add", "carrier", "--account", account, "--source", "192.0.2.0/24")

    policy = await shell("policy", "set", "trunk", "carrier", "--from", "bridge", "--json")
    nobody = await shell("policy", "set", "endpoint", "nobody")
    listed = await shell("policy", "list")
    removed = await shell("policy", "remove", "trunk", "carrier")

    assert (policy.json["name"], policy.json["from"]) == ("carrier", "bridge")
    assert (removed.status, nobody.status) == (0, 1)
    assert "endpoint not found" in nobody.err
    assert "carrier" in listed.out


async def test_settings_of_an_account_are_kept_and_checked(tmp_path: Path) -> None:
    shell = Shell(data_dir=tmp_path / "data", settings={})
    auth_id = (await shell("account", "create", "--name", "A", "--json")).json["auth_id"]

    changed = await shell(
        "account", "set", auth_id, "--link-policy", "auth", "--transcription-rate", "0.25",
        "--webhook-url", "https://h/hook", "--webhook-failover-url", "https://h/second", "--json",
    )  # fmt: skip
    wrong = await shell("account", "set", auth_id, "--link-policy", "open")
    nobody = await shell("account", "set", "MA" + "X" * 18, "--link-policy", "auth")

    assert changed.status == 0, changed.err
    assert "https://h/second" in changed.out
    assert changed.json["transcription_rate"] == 0.25
    assert wrong.status == 1
    assert "auth, public, signed" in wrong.err
    assert nobody.status == 1
    assert "account not found" in nobody.err


async def test_applications_that_cannot_be(tmp_path: Path) -> None:
    shell = Shell(data_dir=tmp_path / "data", settings={})
    auth_id = (await shell("account", "create", "--name", "A", "--json")).json["auth_id"]
    bad = tmp_path / "bad.xml"
    bad.write_text("<Response><Conference>a</Response>")
    refusals = {
        ("--answer-url", "ftp://h/a"): "answer_url",
        (): "--answer-url",
        ("--answer-file", str(bad)): "mismatched tag",
    }
    for words, says in refusals.items():
        refused = await shell(
            "app", "create", "--account", auth_id, "--dialect", DIALECT, "--name", "x", *words
        )

        assert refused.status == 1, refused
        assert says in refused.err
        assert "Traceback" not in refused.err
    assert (await shell("app", "list", "--json")).json == []


async def test_a_list_of_nothing(tmp_path: Path) -> None:
    shell = Shell(data_dir=tmp_path / "data", settings={})

    found = await shell("recordings", "list", "--json")
    shown = await shell("recordings", "list")

    assert (found.status, found.json) == (0, [])
    assert (shown.status, shown.err) == (0, "")


async def test_an_unknown_key_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    shell = Shell(data_dir=tmp_path / "data", settings={})
    file = tmp_path / "tapeline.toml"
    file.write_text('sip_udb = "127.0.0.1:5060"\n')

    refused = await shell("serve", "--config", str(file))

    assert refused.status == 1
    assert "sip_udb" in refused.err
    assert "sip_udp" in refused.err
    assert "Traceback" not in refused.err


async def test_an_address_in_use_ends_a_start_with_its_reason(tmp_path: Path) -> None:
    async with ServedNode(tmp_path / "first") as node:
        shell = Shell(
            data_dir=tmp_path / "second",
            settings={
                "TAPELINE_HTTP_BIND": f"127.0.0.1:{node.http_port}",
                "TAPELINE_SIP_UDP": "127.0.0.1:0",
            },
        )
        refused = await shell("serve")
        same_folder = Shell(data_dir=tmp_path / "first", settings={})
        second = await same_folder("serve", TAPELINE_HTTP_BIND="127.0.0.1:0")

    assert refused.status == 1
    assert "Address already in use" in refused.err
    assert second.status == 1
    assert "in use" in second.err
    assert "Traceback" not in refused.err + second.err


async def test_a_certificate_that_cannot_be_used_ends_a_start_with_its_reason(
    tmp_path: Path,
) -> None:
    settings = {
        "TAPELINE_HTTP_BIND": "127.0.0.1:0",
        "TAPELINE_SIP_UDP": "127.0.0.1:0",
        "TAPELINE_SIP_TLS": "127.0.0.1:0",
        "TAPELINE_SIP_TLS_CERTIFICATE": str(tmp_path / "nowhere.pem"),
        "TAPELINE_SIP_TLS_KEY": str(tmp_path / "nowhere.key"),
    }
    refused = await Shell(data_dir=tmp_path / "data", settings=settings)("serve")

    assert refused.status == 1
    assert "nowhere.pem" in refused.err
    assert "Traceback" not in refused.err


async def test_a_first_start_leaves_its_credentials_to_its_owner_alone(tmp_path: Path) -> None:
    async with ServedNode(tmp_path / "data", {"http_bnd": "x"}) as node:
        account = node.first_account()
        log = node.log_text()
        again = ServedNode(tmp_path / "data")

    path = tmp_path / "data" / "first-account.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(path) in log
    assert "did you mean 'TAPELINE_HTTP_BIND'" in log
    assert account.auth_token not in log
    assert account.api_key not in log
    before = path.read_text()
    async with again:  # a second start makes no second account
        assert path.read_text() == before


async def test_first_credentials_are_shown_once_on_a_terminal(tmp_path: Path) -> None:
    keeper, terminal = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TAPELINE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ENTRY, "serve",
        stdin=terminal, stdout=terminal, stderr=terminal,
        env=kept
        | {
            "TAPELINE_DATA_DIR": str(tmp_path / "data"),
            "TAPELINE_HTTP_BIND": "127.0.0.1:0",
            "TAPELINE_SIP_UDP": "127.0.0.1:0",
        },
    )  # fmt: skip
    os.close(terminal)
    shown = ""
    async with asyncio.timeout(20):
        while "node_ready" not in shown:
            shown += (await asyncio.to_thread(os.read, keeper, 4096)).decode(errors="replace")
    process.terminate()
    async with asyncio.timeout(20):
        assert await process.wait() == 0
    os.close(keeper)

    assert re.search(r"AUTH_ID=MA[A-Z0-9]{18}", shown)
    assert re.search(r"TOKEN=[0-9a-f]{40}", shown)
    assert "sip:room-NAME@" in shown
    assert not (tmp_path / "data" / "first-account.json").exists()
