"""Client side: one line that points a vendor's own SDK at a tapeline node.

    import plivo
    from tapeline import compat

    client = compat.plivo(plivo.RestClient(auth_id, auth_token), "http://127.0.0.1:8080")

Nothing of the server is imported here, and of an SDK nothing but the client that is handed in.
"""

from tapeline.compat.plivo import plivo
from tapeline.compat.vobiz import vobiz

__all__ = ["plivo", "vobiz"]
