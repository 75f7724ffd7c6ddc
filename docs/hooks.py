"""What the site has beside docs/: reports, the example notebook, and the pages of the root."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
ADDED = ("CONTRIBUTING.md", "CHANGELOG.md", "reports/*.md", "reports/*.html", "reports/*.svg")
NOTEBOOK = "examples/notebook.ipynb"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what stands outside of docs/, and name pages that the configuration does not."""
    for pattern in (*ADDED, NOTEBOOK):
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    files.append(File.generated(config, "notebook.md", content=notebook(ROOT / NOTEBOOK)))
    named = set(re.findall(r"[\w/.-]+\.md", json.dumps(config.nav)))
    more = [file.src_uri for file in files.documentation_pages() if file.src_uri not in named]
    config.nav = [*(config.nav or []), {"More": sorted(more)}]
    return files


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:  # noqa: ARG001  # called by name
    """Build no second "More" when the site is built again while it is served."""
    config.nav = (config.nav or [])[:-1]
    return nav


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turn links between the folders of the repository into links of the site."""
    folder = page.file.src_uri.rpartition("/")[0]
    if folder == "reports":
        return markdown.replace("](../docs/", "](../")
    return markdown.replace("](../", "](").replace("](docs/", "](")


def notebook(path: Path) -> str:
    """Return a notebook as Markdown, its cells and what they show."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(text for cell in cells for text in _cell(cell))


def _cell(cell: dict[str, Any]) -> list[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return [source]
    shown = [output["data"] for output in cell["outputs"]]
    return [
        f"```python\n{source}\n```",
        *(
            f"<div>\n{''.join(data['text/html'])}\n</div>"
            if "text/html" in data
            else f"```text\n{''.join(data['text/plain'])}\n```"
            for data in shown
        ),
    ]
