"""The command line. Nothing else imports this package."""

import errno
import sys
import traceback

import click

from aa_keras.cli.commands import cli, say

# A full or broken disk is no mistake of the user.
_SYSTEM_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(arguments=None):
    """Runs a command. An error is one line on stderr: status 2 for a user's mistake."""
    arguments = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        sys.exit(cli.main(arguments, prog_name="aa-keras", standalone_mode=False))
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except click.Abort:
        _fail("interrupted; the same command resumes from the last checkpoint", 130)
    except (ValueError, OSError, RuntimeError) as error:
        if "--traceback" in arguments:
            for line in traceback.format_exc().splitlines():
                say(line, err=True)
        system = getattr(error, "errno", None) in _SYSTEM_ERRORS
        _fail(error, 1 if system or isinstance(error, RuntimeError) else 2)


def _fail(error, status):
    say(f"aa-keras: error: {' '.join(str(error).split())}", err=True)
    sys.exit(status)


__all__ = ["cli", "main"]
