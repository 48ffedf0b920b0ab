from pathlib import Path

import pytest

from tapeline.config import Config, ConfigError, describe, load


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "tapeline.toml"
    file.write_text('http_bind = "127.0.0.1:1"\nrtp_ports = [30000, 30999]\nroom = false\n')

    config, warnings = load(
        file=file,
        environment={"TAPELINE_HTTP_BIND": "127.0.0.1:2", "TAPELINE_SIP_UDP": "127.0.0.1:3"},
        flags={"sip_udp": "127.0.0.1:4,127.0.0.1:5", "data_dir": None},
    )

    assert config.http_bind == "127.0.0.1:2"
    assert config.sip_udp == ("127.0.0.1:4", "127.0.0.1:5")
    assert config.rtp_ports == (30000, 30999)
    assert config.room is False
    assert not warnings


def test_unknown_key_of_the_file_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "tapeline.toml"
    file.write_text('http_bimd = "127.0.0.1:1"\n')

    with pytest.raises(ConfigError, match=r"http_bimd.*did you mean 'http_bind'"):
        load(file=file, environment={})


def test_unknown_variable_is_a_warning_that_names_the_nearest() -> None:
    config, warnings = load(environment={"TAPELINE_RTP_PORT": "1-2", "TAPELINE_MASTER_KEY": "x"})

    assert config == Config()
    assert warnings == [
        "unknown variable TAPELINE_RTP_PORT; did you mean 'TAPELINE_RTP_PORTS'?",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TAPELINE_HTTP_BIND", "8080", "http_bind"),
        ("TAPELINE_HTTP_BIND", "127.0.0.1:99999", "http_bind"),
        ("TAPELINE_RTP_PORTS", "20000", "rtp_ports"),
        ("TAPELINE_RTP_PORTS", "3000-2000", "rtp_ports"),
        ("TAPELINE_RTP_PORTS", "80-90", "rtp_ports"),
        ("TAPELINE_SIP_ALLOW", "10.0.0.0/99", "sip_allow"),
        ("TAPELINE_ROOM", "perhaps", "room"),
        ("TAPELINE_MAX_CALLS", "many", "max_calls"),
        ("TAPELINE_SESSION_EXPIRES_S", "89", "session_expires_s"),
        ("TAPELINE_LOG_LEVEL", "loud", "log_level"),
        ("TAPELINE_TRANSCRIPTION", "whisper", "transcription"),
        ("TAPELINE_PUBLIC_URL", "ftp://x", "public_url"),
        ("TAPELINE_CODECS", "PCMU,G729", "codecs: 'G729' is none of"),
        ("TAPELINE_CODECS", "opus,Opus", "only once"),
        ("TAPELINE_CODECS", ",", "at least one"),
        ("TAPELINE_ROOM_RATE_LIMIT_HZ", "8000", "room_rate_limit_hz"),
    ],
)
def test_values_that_cannot_be_used_are_named(variable: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(environment={variable: value})


@pytest.mark.parametrize("text", ["not = = toml", "[table\n"])
def test_broken_files_are_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tapeline.toml"
    file.write_text(text)

    with pytest.raises(ConfigError, match=r"tapeline\.toml"):
        load(file=file, environment={})


def test_links_begin_with_the_public_url_or_the_bind_address() -> None:
    assert Config(http_bind="127.0.0.1:9").link_head == "http://127.0.0.1:9"
    assert Config(public_url="https://rec.example/").link_head == "https://rec.example"


@pytest.mark.parametrize(
    ("srtp", "over_plain", "complaint"),
    [
        ("never", "no", ""),
        ("accept", "no", ""),
        ("require", "yes", ""),
        ("require", "no", "sip_tls, sip_wss or sdes_over_plain_sip"),
        ("always", "yes", "never, accept or require"),
    ],
)
def test_srtp_that_no_call_could_have_is_refused(
    srtp: str, over_plain: str, complaint: str
) -> None:
    environment = {"TAPELINE_SRTP": srtp, "TAPELINE_SDES_OVER_PLAIN_SIP": over_plain}
    if not complaint:
        assert load(environment=environment)[0].srtp == srtp
        return
    with pytest.raises(ConfigError, match=complaint):
        load(environment=environment)


def test_the_reference_page_lists_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/configuration.md").read_text()

    for key, default, description in describe():
        assert f"| `{key}` | `TAPELINE_{key.upper()}` | `{default}` | {description} |" in page


def test_streams_of_sip_are_addresses_and_tls_has_a_certificate() -> None:
    environment = {
        "TAPELINE_SIP_TCP": "127.0.0.1:1,[::1]:2",
        "TAPELINE_SIP_WSS": "127.0.0.1:3",
        "TAPELINE_SIP_TLS_CERTIFICATE": "node.pem",
        "TAPELINE_SIP_TLS_KEY": "node.key",
        "TAPELINE_SRTP": "require",
    }
    config, warnings = load(environment=environment)
    assert config.sip_tcp == ("127.0.0.1:1", "[::1]:2")
    assert config.sip_wss == ("127.0.0.1:3",)
    assert not warnings

    with pytest.raises(ConfigError, match="sip_tls_certificate and sip_tls_key"):
        load(environment={"TAPELINE_SIP_TLS": "127.0.0.1:1"})
    for key in ("tcp", "tls", "ws", "wss"):
        with pytest.raises(ConfigError, match=f"sip_{key}"):
            load(environment={f"TAPELINE_SIP_{key.upper()}": "nowhere"})
