"""What went wrong with a library's files or its object storage, in one sentence."""

from core.errors import SleepcliError, UsageError

_AGAIN = "Check its path, space and permissions, and run the same command again; finished studies are kept."
_KEYS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
_WRONG: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("no object store provider",),
        "no storage has addresses of this kind",
        "It is a folder, s3://…, gs://… or az://…",
    ),
    (("did not match any known pattern",), "its address is not whole", "Such as s3://bucket/lab."),
    (("nosuchbucket", "bucket does not exist"), "there is no such bucket", "Check its name, or make it first."),
    (("badscheme",), "its endpoint is not encrypted", "Give an https endpoint, or set AWS_ALLOW_HTTP=true."),
    (("not a directory",), "its path is no folder", "Choose another folder."),
)
"""Signs of wrong usage, the reason, and what to do about it."""
_REASONS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("failed to get aws credentials", "credentialsnotloaded"), "no credentials for its storage were found", _KEYS),
    (("no space left",), "the disk is full", _AGAIN),
    (("read-only",), "the file system is read-only", _AGAIN),
    (
        ("invalidaccesskey", "signaturedoesnotmatch", "accessdenied", "access denied", "forbidden", "credential"),
        "the object storage refuses the credentials",
        _KEYS,
    ),
    (("permission denied",), "permission is denied", _AGAIN),
    (("conflict",), "other writers were quicker each time", _AGAIN),
    (
        ("dns error", "connect error", "connection refused", "timed out", "timeout", "error sending request"),
        "the object storage does not answer",
        "Check the network, and AWS_ENDPOINT_URL where the storage is not Amazon's; finished studies are kept.",
    ),
)
"""Signs of trouble that may pass, the reason, and what to do about it; the first that fits is said."""


def library_failure(place: str, done: str, error: Exception) -> SleepcliError:
    """Say why a library could not be used; the text of `error` itself holds addresses and backtraces.

    Parameters
    ----------
    place
        The library as its caller named it.
    done
        What could not be done: `opened`, `read`, `written`.
    error
        What LanceDB raised.

    Returns
    -------
    SleepcliError
        A `UsageError` where the caller named what does not exist.
    """
    text = str(error).lower()
    for table, kind in ((_WRONG, UsageError), (_REASONS, SleepcliError)):
        for signs, reason, hint in table:
            if any(sign in text for sign in signs):
                return kind(f"The library {place} cannot be {done}: {reason}.", hint)
    return SleepcliError(f"The library {place} cannot be {done}.", _AGAIN)
