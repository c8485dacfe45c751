"""How Sphinx builds the docs site: `make docs` writes build/docs, with every warning an error.

The pages are the Markdown that GitHub shows too, so the source folder is the repository: links between README, CONTRIBUTING and docs/
are the same in both. Sphinx checks links, anchors and pictures; segmentation_assets_tests/test_docs.py checks commands, settings and SQL.
"""

from pygments.lexers.special import TextLexer
from sphinx.highlighting import lexers

project = "Segmentation Assets"
copyright = "the authors of Segmentation Assets, Apache-2.0"  # noqa: A001 - Sphinx's name for it
root_doc = "docs/index"
include_patterns = ["docs/**", "*.md", "benchmarks/README.md", "data/README.md"]
exclude_patterns = [".*", "build", "data/*/**", "deploy", "dist", "examples", "segmentation_assets*"]  # else it walks through all of them

extensions = ["myst_parser"]
myst_heading_anchors = 4  # those that GitHub gives
highlight_language = "none"  # of blocks that name none
lexers |= {"mermaid": TextLexer(), "csv": TextLexer()}  # GitHub draws the first; here it is text

html_theme = "pydata_sphinx_theme"  # its fonts are the reader's own, its scripts are shipped
html_theme_options = {
    "navbar_center": [],
    "navbar_align": "left",
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"**": ["globaltoc.html"]}  # all pages: they are few, and lie one beside the other
html_context = {"default_mode": "auto"}
html_title = project
html_show_sourcelink = False
html_copy_source = False
