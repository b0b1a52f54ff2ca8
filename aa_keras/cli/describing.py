"""The commands that describe experiments and the rows of the paper."""

import json
import sys
import textwrap

import click

from aa_keras import config
from aa_keras.cli.arguments import experiment_file, settings
from aa_keras.cli.noise import quiet_import, silenced
from aa_keras.cli.printing import print_table, say
from aa_keras.cli.requirements import extras_of, facts_extras, require
from aa_keras.config import reference, shipped
from aa_keras.paper import facts


@click.command()
@experiment_file
@settings
@click.option("--batch", type=click.IntRange(1), help="Images of a step: its memory.")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
def summary(experiment, overrides, batch, output):
    """Show parameters and FLOPs of an experiment's network beside the paper's claim.

    With --batch also what each attention layer and a training step need in memory.
    """
    with silenced():
        loaded = config.load(experiment, overrides)
    require(*extras_of(loaded))
    with quiet_import():
        from aa_keras.paper.summary import summarize, summary_as_text
    counted = summarize(loaded, batch)
    as_json = output == "json"
    click.echo(json.dumps(counted, indent=2) if as_json else summary_as_text(counted))


@click.command()
@click.option("--table", type=click.IntRange(1, 8), help="Only this one.")
@click.option(
    "--paper",
    default=facts.MAIN_PAPER,
    show_default=True,
    type=click.Choice([*facts.PAPERS]),
)
@click.option("--format", "output", type=click.Choice(["md", "json"]), default="md")
def tables(table, paper, output):
    """Show every row of a paper's tables: claimed, built, measured."""
    require("train", *facts_extras(table, paper))
    with quiet_import():
        from aa_keras.paper import collection, report
        from aa_keras.paper.tables import table_rows
    rows = table_rows(table, paper=paper)
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    runs = collection.load_results()
    for number in sorted({row["table"] for row in rows}):
        part = [row for row in rows if row["table"] == number]
        if sys.stdout.isatty():
            cells, notes = report.rows_for_terminal(part, runs)
            print_table(cells, f"Table {number}", notes)
        else:
            markdown = report.rows_as_markdown(part, runs)
            click.echo(f"\n**Table {number}**\n\n{markdown}")


@click.command(name="report")
@click.argument("workdirs", metavar="[DIR ...]", nargs=-1, type=click.Path())
def report_(workdirs):
    """Add finished runs to results/; write results/RESULTS.md and README.md's table."""
    require("train", "viz", *facts_extras())
    with quiet_import():
        from aa_keras.paper import collection, report
    for path in collection.collect(workdirs):
        say(path)
    say(report.write_report())


@click.command(name="list")
@click.option(
    "--table", type=click.IntRange(1, 8), help="Only the experiments of this table."
)
def list_(table):
    """List the experiments that come with the package."""
    described = shipped.describe_experiments(table)
    width = max(map(len, described))
    for name, text in described.items():
        click.echo(f"{name:{width}}  {textwrap.shorten(text, 90, placeholder=' ...')}")


@click.command(name="config")
def config_():
    """Show every key of an experiment file: type, default and meaning."""
    click.echo(reference.as_text())


COMMANDS = (summary, tables, report_, list_, config_)
