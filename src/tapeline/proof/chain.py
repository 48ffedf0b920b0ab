"""Whether an account's links are all there, in order, and signed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tapeline.proof.keys import PublicKeys
from tapeline.proof.manifest import Document, DocumentInvalid, parse_document
from tapeline.proof.verdict import Finding, FindingKind, Verdict
from tapeline.proof.verify import check_signature

SUFFIXES = (".manifest.json", ".tombstone.json")


def verify_chain(folder: Path, keys: PublicKeys) -> Verdict:
    """Of every account whose links lie in `folder` or beneath it. Each link must be signed and name
    the one before it, from the first on. Raises OSError.

    That the newest links are there cannot be seen from the links: the note names the head, to be
    compared with what the node (`tapeline recordings chain`) says.
    """
    findings: list[Finding] = []
    chains: dict[str, list[tuple[Path, Document]]] = {}
    for file in sorted(folder.rglob("*.json")):
        if not file.name.endswith(SUFFIXES):
            continue
        try:
            document = parse_document(file.read_bytes())
        except DocumentInvalid as error:
            findings.append(_broken(FindingKind.MANIFEST_INVALID, f"{file}: {error}"))
            continue
        forged = check_signature(document, keys)
        if forged is not None:
            findings += [_broken(each.kind, f"{file}: {each.text}") for each in forged.findings]
            continue
        chains.setdefault(document.body["account"], []).append((file, document))
    if not chains and not findings:
        return Verdict.of(FindingKind.MANIFEST_MISSING, f"there are no manifests in {folder}")
    notes = []
    for account, links in sorted(chains.items()):
        links.sort(key=lambda link: link[1].body["number"])
        findings += _breaks(account, links)
        head = links[-1][1]
        notes.append(f"account {account}: link {head.body['number']} is the head, {head.sha256}")
    return Verdict(findings=tuple(findings), notes=tuple(notes))


def _breaks(account: str, links: Sequence[tuple[Path, Document]]) -> Iterator[Finding]:
    before: Document | None = None
    for file, link in links:
        number = link.body["number"]
        expected = 1 if before is None else before.body["number"] + 1
        if number < expected:
            if before is not None and link.sha256 != before.sha256:
                text = f"account {account}: there are two links {number}, one of them {file}"
                yield _broken(FindingKind.CHAIN_BROKEN, text)
            continue
        if number > expected:
            missing = f"{expected}" if number == expected + 1 else f"{expected} to {number - 1}"
            text = f"account {account}: the chain is broken, link {missing} is missing"
            yield _broken(FindingKind.CHAIN_BROKEN, text)
        elif link.body["previous"] != (None if before is None else before.sha256):
            text = f"account {account}: the chain is broken, {file} does not follow the link before"
            yield _broken(FindingKind.CHAIN_BROKEN, text)
        before = link


def _broken(kind: FindingKind, text: str) -> Finding:
    return Finding(kind=kind, text=text)
