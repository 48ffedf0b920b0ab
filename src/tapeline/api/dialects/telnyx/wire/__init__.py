"""Telnyx on the wire: requests to commands, outcomes to answers. No I/O, no clock."""
