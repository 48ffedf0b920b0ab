"""Self-hosted call and conference recording behind the vendors' own APIs."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("tapeline")
