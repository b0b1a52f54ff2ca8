"""The command line. Nothing else imports this package."""

import re
import sys
import traceback

from aa_keras.cli import requirements


def main(arguments=None):
    """Runs a command. A mistake of the user is one line on stderr and status 2."""
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
        _fail("interrupted; the same command resumes from the last checkpoint", 130)
    except ModuleNotFoundError as error:
        _fail_without(error, arguments)
    except (ValueError, OSError, RuntimeError) as error:
        if "--traceback" in arguments:
            traceback.print_exc()
        _fail(error, 1 if isinstance(error, RuntimeError) else 2)
    except Exception as error:
        # Raised in a pipeline's graph, inside a long message of TensorFlow.
        corrupt = re.search(r"corrupt image \([^\n]*", str(error))
        if not corrupt or "--traceback" in arguments:
            raise
        _fail(corrupt[0], 1)


def _fail_without(error, arguments):
    explained = requirements.explain(error)
    if explained is error or "--traceback" in arguments:
        raise error
    _fail(explained, 2)


def _fail(error, status):
    print(f"aa-keras: error: {' '.join(str(error).split())}", file=sys.stderr)
    sys.exit(status)


__all__ = ["main"]
