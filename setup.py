"""Puts `experiments/` into the wheel as `aa_keras/experiments`.

A mapping of folders in pyproject.toml would do the same, but setuptools then finds no
packages by itself, and all of them would be listed there by hand.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithExperiments(build_py):
    def run(self):
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "aa_keras", "experiments")
            for file in Path("experiments").rglob("*.yaml"):
                copy = target / file.relative_to("experiments")
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)


setup(cmdclass={"build_py": BuildWithExperiments})
