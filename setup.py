"""What pyproject.toml cannot say.

`experiments/` goes into the wheel as `aa_keras/experiments`: with a mapping of folders
in pyproject.toml setuptools would find no packages by itself. The long description is
README.md with links that also lead somewhere away from the repository.
"""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).resolve().parent / "docs"))
from addresses import relink


class BuildWithExperiments(build_py):
    def run(self):
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "aa_keras", "experiments")
            for file in Path("experiments").rglob("*.yaml"):
                copy = target / file.relative_to("experiments")
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)


setup(
    cmdclass={"build_py": BuildWithExperiments},
    long_description=relink(Path("README.md").read_text("utf-8"), "README.md"),
    long_description_content_type="text/markdown",
)
