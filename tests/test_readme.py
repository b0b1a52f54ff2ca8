"""Every command and every program of these pages runs, page by page."""

import os

import pytest

from tests import pages

# Later pages use the run that the first one trains.
PAGES = (
    "README.md",
    "docs/index.md",
    "docs/layer.md",
    "docs/augment.md",
    "docs/images.md",
    "docs/train.md",
    "docs/look.md",
    "docs/weights.md",
    "docs/serving.md",
)


def test_the_pages_have_commands():
    found = [step for page in PAGES for step in pages.steps(page)]
    commands = {step[2] for step in found if step[0] == "-m"}
    assert commands >= {
        "train",
        "evaluate",
        "predict",
        "export",
        "maps",
        "summary",
        "check",
    }
    assert sum(step[0] == "-c" for step in found) >= 6


@pytest.mark.slow
def test_every_command_of_the_pages_works(tmp_path):
    # In a separate folder, so that the commands write nothing into the checkout.
    paths = os.pathsep.join(filter(None, [str(pages.ROOT), os.getenv("PYTHONPATH")]))
    pages.run(PAGES, tmp_path, env={**os.environ, "PYTHONPATH": paths})
