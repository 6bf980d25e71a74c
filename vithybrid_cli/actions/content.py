"""What files hold, compared without reading more than is needed."""

# ruff: noqa: PTH113, PTH116, PTH123

import hashlib
import os
from typing import BinaryIO

CHUNK = 1 << 20  # bytes


def digest_of(path: str) -> str:
    """The BLAKE2b digest of a file's content, 256 bits in hexadecimal. Raises OSError."""
    with open(path, "rb", buffering=0) as stream:
        return digest(stream)


def digest(stream: BinaryIO) -> str:
    """That of what is left in a stream."""
    found = hashlib.blake2b(digest_size=32)
    while chunk := stream.read(CHUNK):
        found.update(chunk)
    return found.hexdigest()


def same_content(one: str, other: str) -> bool:
    """Whether two files hold the same. Raises OSError; what is no regular file holds nothing."""
    if not (os.path.isfile(one) and os.path.isfile(other)):
        return False
    first, second = os.stat(one), os.stat(other)
    if os.path.samestat(first, second):
        return True
    return first.st_size == second.st_size and digest_of(one) == digest_of(other)


def is_beginning(part: str, whole: BinaryIO) -> bool:
    """Whether all that the file ``part`` holds is what the stream ``whole`` begins with. Raises OSError."""
    with open(part, "rb") as begun:
        while chunk := begun.read(CHUNK):
            if whole.read(len(chunk)) != chunk:
                return False
    return True
