"""What is found in a file that is not what its manifest says, and that nothing is found else."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.proof.made import SECONDS, Made, make

from tapeline.domain.manifest import PersonalValue
from tapeline.proof import Finding, FindingKind, PublicKeys, Signer, Verdict, verify_file
from tapeline.proof.manifest import hash_of

Kind = FindingKind
FLIPS = 100


@pytest.fixture(params=["wav", "mp3"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    return make(tmp_path, request.param)


def verify(made: Made) -> Verdict:
    return verify_file(made.audio, made.keys)


def found(made: Made) -> list[tuple[Kind, int | None]]:
    return [(finding.kind, finding.second) for finding in verify(made).findings]


def test_what_was_recorded_is_ok_and_so_is_its_track(made: Made) -> None:
    assert verify(made).findings == ()
    assert "link 1" in " ".join(verify(made).notes)
    assert verify_file(made.track, made.keys).findings == ()


def test_each_flipped_byte_is_named_with_its_second_or_as_head(made: Made) -> None:
    numbers = random.Random(7)
    places = [numbers.randrange(len(made.content)) for _ in range(FLIPS - 10)]
    places += [numbers.randrange(made.head) for _ in range(10)]

    for at in places:
        damaged = bytearray(made.content)
        damaged[at] ^= numbers.randrange(1, 256)
        made.write(bytes(damaged))

        second = made.second_of(at)
        kind = Kind.HEAD_DAMAGED if second is None else Kind.SECOND_DAMAGED
        assert found(made) == [(kind, second)], f"byte {at}"


def test_a_damaged_second_of_a_track_is_named(made: Made) -> None:
    damaged = bytearray(made.track_content)
    damaged[-1] ^= 1
    made.track.write_bytes(bytes(damaged))

    (finding,) = verify_file(made.track, made.keys).findings
    assert (finding.kind, finding.second) == (Kind.SECOND_DAMAGED, 4)


@pytest.mark.parametrize("gone", [0, 5, SECONDS - 2])
def test_a_second_cut_out_is_named_and_those_after_it_are_well(made: Made, gone: int) -> None:
    kept = [second for number, second in enumerate(made.seconds) if number != gone]
    made.write(made.content[: made.head] + b"".join(kept))

    assert found(made) == [(Kind.SECOND_MISSING, gone)]


def test_seconds_cut_out_at_two_places_are_all_named(made: Made) -> None:
    gone = {2, 3, 8}
    kept = [second for number, second in enumerate(made.seconds) if number not in gone]
    made.write(made.content[: made.head] + b"".join(kept))

    assert found(made) == [(Kind.SECOND_MISSING, number) for number in sorted(gone)]


def test_seconds_that_changed_places_are_both_named(made: Made) -> None:
    seconds = made.seconds
    seconds[4], seconds[7] = seconds[7], seconds[4]  # of one length, in either format
    made.write(made.content[: made.head] + b"".join(seconds))

    assert found(made) == [(Kind.SECOND_MOVED, 4), (Kind.SECOND_MOVED, 7)]
    assert "what stands there is second 7" in verify(made).findings[0].text


def test_a_cut_off_end_is_named_with_every_second_that_is_gone(made: Made) -> None:
    made.write(made.content[: made.content.index(made.second(9)) + 10])

    assert found(made) == [
        (Kind.TRUNCATED, 9),
        (Kind.SECOND_MISSING, 10),
        (Kind.SECOND_MISSING, 11),
    ]


def test_bytes_behind_the_end_are_counted(made: Made) -> None:
    made.write(made.content + b"more")

    (finding,) = verify(made).findings
    assert finding == Finding(kind=Kind.APPENDED, text="4 bytes follow the end of the recording")


def test_foreign_bytes_between_two_seconds_are_named_once(made: Made) -> None:
    at = made.content.index(made.second(6))
    made.write(made.content[:at] + b"foreign" + made.content[at:])

    assert found(made) == [(Kind.SECOND_DAMAGED, 6)]


@pytest.mark.parametrize("size", [0, 1, 79, 200])
def test_next_to_nothing_of_the_file_left_is_damage_and_no_error(made: Made, size: int) -> None:
    made.write(made.content[:size])

    assert {second for _kind, second in found(made)} >= set(range(SECONDS))


def test_a_renamed_copy_elsewhere_is_verified_with_its_manifest_named(
    made: Made, tmp_path: Path
) -> None:
    copy, track_copy = tmp_path / "a" / "exhibit.bin", tmp_path / "a" / "exhibit-2.bin"
    copy.parent.mkdir()
    copy.write_bytes(made.content)
    track_copy.write_bytes(made.track_content)

    alone = verify_file(copy, made.keys)

    assert [finding.kind for finding in alone.findings] == [Kind.MANIFEST_MISSING]
    assert verify_file(copy, made.keys, manifest=made.document).is_ok
    assert verify_file(track_copy, made.keys, manifest=made.document).is_ok


def test_without_a_list_of_blocks_the_whole_file_is_compared(made: Made) -> None:
    made.edit(lambda document: document.pop("blocks"))
    assert verify(made).is_ok
    assert "damage has no second" in " ".join(verify(made).notes)

    made.write(made.content[:-1] + b"x")
    assert found(made) == [(Kind.AUDIO_DIFFERS, None)]


# the manifest


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every single value of a manifest stands, empty lists and objects too."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list) and item:
            yield from paths(item, (*at, key))
        else:
            yield (*at, key)


def other(value: Any) -> Any:
    if isinstance(value, int):
        return value + 1
    return "other" if value != "other" else "else"


def test_a_manifest_edited_in_any_field_is_forged(tmp_path: Path) -> None:
    made = make(tmp_path)
    genuine = made.document.read_text()
    places = list(paths(json.loads(genuine)["manifest"]))
    assert len(places) >= 60

    for place in places:
        document = json.loads(genuine)
        *way, last = place
        spot = document["manifest"]
        for step in way:
            spot = spot[step]
        spot[last] = other(spot[last])
        made.document.write_text(json.dumps(document))

        kinds = {kind for kind, _second in found(made)}
        assert kinds <= {Kind.SIGNATURE_FORGED, Kind.KEY_UNKNOWN, Kind.MANIFEST_INVALID}, place
        assert kinds, place


def test_an_added_or_a_removed_field_is_forged(tmp_path: Path) -> None:
    made = make(tmp_path)
    genuine = made.document.read_text()

    made.edit(lambda document: document["manifest"].update(note="x"))
    assert found(made) == [(Kind.SIGNATURE_FORGED, None)]
    made.document.write_text(genuine)
    made.edit(lambda document: document["manifest"].pop("gaps"))
    assert found(made) == [(Kind.SIGNATURE_FORGED, None)]


@pytest.mark.parametrize("signature", ["", "AAAA", "no base64!", "A" * 88])
def test_another_signature_is_forged(tmp_path: Path, signature: str) -> None:
    made = make(tmp_path)

    made.edit(lambda document: document.update(signature=signature))

    assert found(made) == [(Kind.SIGNATURE_FORGED, None)]


def test_a_forger_s_own_key_is_not_believed(tmp_path: Path) -> None:
    made = make(tmp_path / "a")
    forger = make(tmp_path / "b")

    verdict = verify_file(forger.audio, made.keys)

    assert [finding.kind for finding in verdict.findings] == [Kind.KEY_UNKNOWN]
    assert not verify_file(made.audio, PublicKeys([])).is_ok


def test_an_edited_list_of_blocks_is_not_believed(made: Made) -> None:
    damaged = bytearray(made.content)
    damaged[-1] ^= 1
    made.write(bytes(damaged))
    changes: list[Any] = [
        lambda d: d["blocks"].reverse(),
        lambda d: d["blocks"].pop(0),
        lambda d: d["blocks"].append("x"),
        lambda d: d["blocks"].__setitem__(0, d["blocks"][0].replace(" ", "  ")),
        lambda d: d["blocks"].clear(),
        lambda d: d["blocks"].__setitem__(3, d["blocks"][3][:-1] + "0"),
    ]
    genuine = made.document.read_text()
    for change in changes:
        made.document.write_text(genuine)
        made.edit(change)

        assert found(made) == [(Kind.BLOCKS_ALTERED, None), (Kind.AUDIO_DIFFERS, None)]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"manifest":{},"signature":"x"}',
        b'{"manifest":{"version":1},"signature":1}',
        b'{"manifest":{"version":1,"version":1},"signature":"x"}',
        b'{"manifest":{"version":1,"x":1.5},"signature":"x"}',
        b'{"manifest":{"version":1,"x":NaN},"signature":"x"}',
        b'{"manifest":{"version":1},"signature":"x","other":1}',
        b'{"manifest":{"version":1},"signature":"x","blocks":[1]}',
        b'{"manifest":{"version":1},"signature":"x","track_blocks":{"a":[]}}',
        b'{"manifest":{"version":1,"x":"\\ud800"},"signature":"x"}',
        b"[" * 100_000,
        b'{"manifest":{"version":1,"x":' + b"[" * 40 + b"]" * 40 + b'},"signature":"x"}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_manifest_is_told_and_no_error(tmp_path: Path, text: bytes) -> None:
    made = make(tmp_path)
    made.document.write_bytes(text)

    assert found(made) == [(Kind.MANIFEST_INVALID, None)]


def test_a_missing_manifest_and_a_missing_file(tmp_path: Path) -> None:
    made = make(tmp_path)
    made.audio.unlink()
    assert found(made) == [(Kind.AUDIO_MISSING, None)]
    made.document.unlink()
    assert found(made) == [(Kind.MANIFEST_MISSING, None)]


def test_another_journal_is_told(tmp_path: Path) -> None:
    made = make(tmp_path)
    (tmp_path / "rec-1.journal.jsonl").write_text("{}\n")

    assert found(made) == [(Kind.JOURNAL_ALTERED, None)]


def test_old_manifests_stay_good_after_the_key_was_rotated(tmp_path: Path) -> None:
    made = make(tmp_path)
    old = made.signer.key_id

    new = made.signer.rotate()
    later = make(tmp_path, signer=made.signer, after=made.manifest, recording_id="rec-2")

    assert old != new
    assert later.manifest.key_id == new
    assert verify(made).is_ok
    assert verify(later).is_ok
    assert Signer(tmp_path / "keys").key_id == new


# personal values


def shown(values: list[PersonalValue]) -> dict[str, Any]:
    return {each.name: {"salt": each.salt.hex(), "value": each.value} for each in values}


def test_personal_values_are_only_hashes_in_a_manifest(tmp_path: Path) -> None:
    made = make(tmp_path)
    names = {each.name for each in made.values}
    text = made.document.read_text()

    assert {"who.caller", "who.called", "who.custom_name", "participants.0.caller"} <= names
    assert all(f'"{each.value}"' not in text for each in made.values)
    assert all(hash_of(each.salt, each.value) in text for each in made.values)


def test_shown_personal_values_must_fit_their_hashes(tmp_path: Path) -> None:
    made = make(tmp_path)
    file = tmp_path / "rec-1.personal.json"
    file.write_text(json.dumps(shown(made.values)))
    assert verify(made).is_ok

    for changed in ({"value": "+2"}, {"salt": "00"}):
        values = shown(made.values)
        values["who.caller"] |= changed
        file.write_text(json.dumps(values))
        (finding,) = verify(made).findings
        assert finding.kind is Kind.PERSONAL_ALTERED
        assert "who.caller" in finding.text
    for text in ("[]", "{", '{"who.caller":1}', '{"nowhere.9.x":{"salt":"00","value":"v"}}'):
        file.write_text(text)
        assert found(made) == [(Kind.PERSONAL_ALTERED, None)]
