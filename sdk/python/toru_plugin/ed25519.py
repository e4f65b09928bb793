"""Ed25519 signatures (RFC 8032), verified with nothing but Python's numbers.

Only what is public passes through here, so it need not take the same time for all values. It is
stricter than the RFC asks: keys and points of small order are refused, which sign for anything.

Runs on: any thread; pure. One verification takes some ten milliseconds.
"""

from __future__ import annotations

import hashlib

KEY_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)

# Extended homogeneous coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x * y = T/Z (RFC 8032, 5.1.4).
_Point = tuple[int, int, int, int]
_NEUTRAL: _Point = (0, 1, 1, 0)


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether a signature of a message was made with the key of this public key.

    Args:
        public_key: 32 bytes.
        message: what was signed.
        signature: 64 bytes; others are no signature.
    """
    if len(public_key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    key, commitment = _decoded(public_key), _decoded(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= _ORDER:
        return False
    if _is_of_small_order(key) or _is_of_small_order(commitment):
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    challenge = int.from_bytes(digest, "little") % _ORDER
    expected = _sum(commitment, _multiple(challenge, key))
    return _are_equal(_multiple(scalar, _BASE), expected)


def is_public_key(key: bytes) -> bool:
    """Return whether these bytes are a public key that can be trusted to verify anything."""
    point = _decoded(key) if len(key) == KEY_BYTES else None
    return point is not None and not _is_of_small_order(point)


def _sum(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiple(factor: int, point: _Point) -> _Point:
    total = _NEUTRAL
    while factor:
        if factor & 1:
            total = _sum(total, point)
        point = _sum(point, point)
        factor >>= 1
    return total


def _are_equal(one: _Point, other: _Point) -> bool:
    same_x = (one[0] * other[2] - other[0] * one[2]) % _P == 0
    return same_x and (one[1] * other[2] - other[1] * one[2]) % _P == 0


def _is_of_small_order(point: _Point) -> bool:
    return _are_equal(_multiple(8, point), _NEUTRAL)


def _decoded(encoded: bytes) -> _Point | None:
    """Return the point of an encoding (RFC 8032, 5.1.3); None when it is none, or not its own."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if y >= _P:
        return None
    x = _x_of(y)
    if x is None or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _x_of(y: int) -> int | None:
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    return x if (x * x - square) % _P == 0 else None


def _base() -> _Point:
    y = 4 * pow(5, -1, _P) % _P
    point = _decoded(y.to_bytes(32, "little"))
    if point is None:
        raise AssertionError("the base point is a point")
    return point


_BASE = _base()
