"""What may go wrong with a file, as a sentence for the person who asked.

Runs on: any thread.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from toru_plugin import HttpError

_REFUSALS = {
    errno.ENOENT: (404, "not_found", "There is no such file or folder."),
    errno.ENOTDIR: (404, "not_found", "There is no such folder."),
    errno.ELOOP: (403, "link", "This is a link to another place, and links are not followed."),
    errno.EACCES: (403, "no_permission", "Toru has no permission for this on the server."),
    errno.EPERM: (403, "no_permission", "Toru has no permission for this on the server."),
    errno.EROFS: (403, "read_only", "This part of the disk can only be read."),
    errno.EEXIST: (409, "exists", "There is something of this name already."),
    errno.EISDIR: (409, "exists", "There is a folder of this name already."),
    errno.ENOTEMPTY: (409, "not_empty", "Something was added meanwhile. Try again."),
    errno.ENAMETOOLONG: (400, "bad_name", "This name is too long."),
    errno.ENOSPC: (507, "disk_full", "The disk is full."),
    errno.EDQUOT: (507, "disk_full", "The space that Toru may use on this disk is used up."),
    errno.EFBIG: (507, "disk_full", "The disk takes no files of this size."),
    errno.EMFILE: (503, "busy", "Too many files are open at this moment. Try again."),
    errno.EBUSY: (409, "busy", "This is in use by the system at this moment."),
}


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn the errors of the operating system into answers."""
    try:
        yield
    except OSError as error:
        raise refusal(error) from error


def refusal(error: OSError) -> HttpError:
    """Return the answer that says what an error of the operating system means."""
    known = _REFUSALS.get(error.errno or 0)
    if known is None:
        return HttpError(500, f"The server could not do it: {error.strerror}.", "failed")
    status, code, sentence = known
    return HttpError(status, sentence, code)
