"""The command line. Nothing else imports this package."""

import errno
import sys
import traceback

from aa_keras.cli import requirements
from aa_keras.plain_text import printable

# A full or broken disk is no mistake of the user.
_SYSTEM_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(arguments=None):
    """Runs a command. An error is one line on stderr: status 2 for a user's mistake."""
    arguments = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        import click

        from aa_keras.cli.commands import cli
    except ModuleNotFoundError as error:
        _fail_without(error, arguments)
    try:
        sys.exit(cli.main(arguments, prog_name="aa-keras", standalone_mode=False))
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except click.Abort:
        resumes = arguments[0] in ("train", "sweep")
        _fail("interrupted" + "; the same command resumes" * resumes, 130)
    except ModuleNotFoundError as error:
        _fail_without(error, arguments)
    except Exception as error:
        if not isinstance(error, (ValueError, OSError, RuntimeError)):
            error = _of_tensorflow(error)
        if "--traceback" in arguments:
            for line in traceback.format_exc().splitlines():
                print(printable(line), file=sys.stderr)
        system = getattr(error, "errno", None) in _SYSTEM_ERRORS
        _fail(error, 1 if system or isinstance(error, RuntimeError) else 2)


def _of_tensorflow(error):
    """Returns an error of TensorFlow as one of Python's; raises any other."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "OpError" not in kinds:
        raise error
    reason = next(iter(str(error.message).splitlines()), "")
    if "ResourceExhaustedError" in kinds:
        reason = f"out of memory, lower data.batch_size: {reason}"
    return RuntimeError(f"TensorFlow: {reason}")


def _fail_without(error, arguments):
    explained = requirements.explain(error)
    if explained is error or "--traceback" in arguments:
        raise error
    _fail(explained, 2)


def _fail(error, status):
    line = f"aa-keras: error: {' '.join(str(error).split())}"
    print(printable(line), file=sys.stderr)
    sys.exit(status)


__all__ = ["main"]
