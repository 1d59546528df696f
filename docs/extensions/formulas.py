"""Formulas as MathML, which browsers draw on their own: nothing is fetched, no script runs."""

from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.utils.math import latex2mathml

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator


def mathml(formula: str, *, as_block: bool) -> str:
    """Return a formula in LaTeX as an element of MathML."""
    tree: Any = latex2mathml.tex2mathml(formula.replace("\n", " "), as_block=as_block)
    return tree if isinstance(tree, str) else tree.toxml()


def visit_inline(self: "HTML5Translator", node: nodes.math) -> None:
    """Write a formula in a line."""
    self.body.append(mathml(node.astext(), as_block=False))
    raise nodes.SkipNode


def visit_block(self: "HTML5Translator", node: nodes.math_block) -> None:
    """Write a formula of its own."""
    self.body.append(f'<div class="formula">{mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: "Sphinx") -> dict[str, bool]:
    """Tell Sphinx how formulas are written."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
