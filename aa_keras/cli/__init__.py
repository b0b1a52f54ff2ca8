"""The command line. Nothing else imports this package."""

import errno
import re
import sys
import traceback

import click

from aa_keras.cli.commands import cli

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
            traceback.print_exc()
        system = getattr(error, "errno", None) in _SYSTEM_ERRORS
        _fail(error, 1 if system or isinstance(error, RuntimeError) else 2)
    except Exception as error:
        # Raised in a pipeline's graph, inside a long message of TensorFlow.
        corrupt = re.search(r"corrupt image \([^\n]*", str(error))
        if not corrupt or "--traceback" in arguments:
            raise
        _fail(corrupt[0], 1)


def _fail(error, status):
    click.echo(f"aa-keras: error: {' '.join(str(error).split())}", err=True)
    sys.exit(status)


__all__ = ["cli", "main"]
