"""Rows: the store, its repositories and migrations, the data folder, the master key.

`await SqlStore.open(path, vault)` gives a `domain.port.Store`; nothing above knows SQL.
"""

from tapeline.state.engine import sqlite_url
from tapeline.state.folder import DataFolder, DataFolderInUse, FolderLock
from tapeline.state.rows import RowMissing
from tapeline.state.store import SqlStore
from tapeline.state.transaction import SqlTransaction, WriteInRead
from tapeline.state.vault import MasterKeyInvalid, Vault, load_master_key

__all__ = [
    "DataFolder",
    "DataFolderInUse",
    "FolderLock",
    "MasterKeyInvalid",
    "RowMissing",
    "SqlStore",
    "SqlTransaction",
    "Vault",
    "WriteInRead",
    "load_master_key",
    "sqlite_url",
]
