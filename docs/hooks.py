"""What `mkdocs build` does here beside the pages of docs/.

It adds pages that lie elsewhere in the repository, turns the notebooks into pages as
they were committed, lets links lead to the page of the site or to the repository, and
refuses a site that loads anything from another host.
"""

import posixpath
import re
import sys
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).parent))
from addresses import ROOT, address_of, relink

PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "results/RESULTS.md")
ASSET = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=\"?http")


def on_files(files, config):
    pictures = (path.relative_to(ROOT) for path in ROOT.glob("results/*.png"))
    for path in (*PAGES, *map(Path.as_posix, pictures)):
        added = File.generated(config, path, abs_src_path=str(ROOT / path))
        files.append(added)
    for path in sorted(ROOT.glob("notebooks/*.ipynb")):
        for name, content in _convert(path).items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def _convert(path):
    """Returns the page of a notebook and its pictures by their names."""
    import nbformat
    from nbconvert import MarkdownExporter

    resources = {"unique_key": path.stem, "output_files_dir": path.stem}
    notebook = nbformat.read(path, as_version=4)
    page, resources = MarkdownExporter().from_notebook_node(notebook, resources)
    title, _, rest = page.strip().partition("\n")
    source = f"*This page is a notebook: [notebooks/{path.name}]({path.name}).*"
    page = f"{title}\n\n{source}\n{rest}"
    return {f"{path.stem}.md": page, **resources["outputs"]}


def on_page_markdown(markdown, page, config, files):
    here = page.file.src_uri
    source = _in_repository(page.file)
    pages = {_in_repository(file): file.src_uri for file in files}

    def lead(path):
        if path in pages and path != source:
            return posixpath.relpath(pages[path], posixpath.dirname(here) or ".")
        return address_of(path)

    try:
        return relink(markdown, source, lead)
    except ValueError as error:
        raise PluginError(f"{source}: {error}") from error


def _in_repository(file):
    """Returns where the content of a page or a picture lies in the repository."""
    if file.generated_by is None:
        return f"docs/{file.src_uri}"
    if file.src_uri.startswith("notebooks/"):
        return re.sub(r"\.md$", ".ipynb", file.src_uri)
    return file.src_uri


def on_post_build(config):
    for path in Path(config.site_dir).rglob("*.html"):
        if found := ASSET.search(path.read_text("utf-8")):
            raise PluginError(f"{path}: loads from another host: {found[0]}")
