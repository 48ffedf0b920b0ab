"""What a recording can prove: its signed manifest, the account's chain of them, and `verify`.

Works on bytes and files: `verify_file` and `verify_chain` need the audio, its manifest and a
public key, and no node.
"""

from tapeline.proof.chain import verify_chain
from tapeline.proof.evidence import AudioEvidence, Gap, JournalFacts, Pause, read_journal
from tapeline.proof.keys import KeyInvalid, PublicKeys, Signer, read_public_key
from tapeline.proof.manifest import (
    Document,
    DocumentInvalid,
    Who,
    document_of,
    parse_document,
    recording_body,
    sign_link,
    tombstone_body,
)
from tapeline.proof.tree import Block, BlocksInvalid, parse_blocks, root_of
from tapeline.proof.verdict import Finding, FindingKind, Verdict
from tapeline.proof.verify import verify_file

__all__ = [
    "AudioEvidence",
    "Block",
    "BlocksInvalid",
    "Document",
    "DocumentInvalid",
    "Finding",
    "FindingKind",
    "Gap",
    "JournalFacts",
    "KeyInvalid",
    "Pause",
    "PublicKeys",
    "Signer",
    "Verdict",
    "Who",
    "document_of",
    "parse_blocks",
    "parse_document",
    "read_journal",
    "read_public_key",
    "recording_body",
    "root_of",
    "sign_link",
    "tombstone_body",
    "verify_chain",
    "verify_file",
]
