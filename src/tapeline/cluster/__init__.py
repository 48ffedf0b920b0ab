"""Which node owns what."""

from tapeline.cluster.local import LocalOwnership

__all__ = ["LocalOwnership"]
