"""Signatures on what we send to other systems, by the Standard Webhooks specification 1.0: they know that it is ours, whole and fresh. Pure."""

import base64
import hashlib
import hmac

from messages.language import Unfit

PREFIX = "whsec_"
LEAST_BYTES = 24
"""The specification asks for 24 to 64."""


def secret(text: str) -> bytes:
    """The key in "whsec_" and base64, or in base64 alone. Raises ValueError."""
    try:
        found = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError as error:
        raise Unfit('a secret such as "whsec_…" in base64 is wanted: openssl rand -base64 32') from error
    if len(found) < LEAST_BYTES:
        raise Unfit(
            "the secret has {n} bytes; at least {least} are wanted: openssl rand -base64 32",
            n=len(found),
            least=LEAST_BYTES,
        )
    return found


def headers(key: bytes, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """What goes with `body`; the receiver computes the same and compares."""
    signed = b".".join((message_id.encode(), str(at_s).encode(), body))
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(at_s), "webhook-signature": f"v1,{signature}"}
