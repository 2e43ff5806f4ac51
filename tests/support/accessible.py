"""What axe-core has against a part of a page."""

from pathlib import Path

import pytest

AXE = Path(__file__).parents[2] / "widgets" / "frontend" / "node_modules" / "axe-core" / "axe.min.js"

CHECK = """async ([root]) => {
  const { violations } = await axe.run(root, { resultTypes: ['violations'] });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, any }) =>
    `${html.slice(0, 160)} ${any.map(({ message }) => message).join(' ')}`).join(' | ')}`);
}"""


def violations(page, root):
    """What axe-core has against an element; the page's policy must let it in."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in widgets/frontend")
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text(encoding="utf-8") + "\n;0")
    return page.evaluate(CHECK, [root.element_handle()])
