"""What the commands print."""

import click

from aa_keras.plain_text import printable


def say(line, err=False):
    """Prints one line, whatever characters the names in it have."""
    click.echo(printable(line), err=err)


def print_table(rows, title=None, notes=()):
    """Prints dicts of texts as a table of the terminal, then its notes."""
    from rich import box, console, table

    columns = table.Table(*rows[0], box=box.SIMPLE, title=title, title_justify="left")
    columns.columns[0].overflow = "fold"  # a name is never cut
    for row in rows:
        columns.add_row(*row.values())
    printer = console.Console(highlight=False)
    printer.print(columns)
    for note in notes:
        printer.print(note, markup=False)


def metrics_line(title, metrics):
    """Returns metrics as one line."""
    texts = {k: f"{v:.4f}" if isinstance(v, float) else v for k, v in metrics.items()}
    return f"{title}  " + "  ".join(f"{name} {text}" for name, text in texts.items())
