"""Names that try to become code: markup, scripts, formulas, control characters."""

PAYLOADS = (
    "<img src=x onerror=window.hacked=1>",
    "</script><script>window.hacked=1</script>",
    "<!--<script>",
    '" onmouseover="window.hacked=1" x="',
    "'><svg onload=window.hacked=1>",
    "javascript:window.hacked=1",
    "<a data-commandlinker-command=x>y</a>",
    "$$\\href{javascript:window.hacked=1}{x}$$",
    "$\\frac{",
    "@name{safe}",
    "__proto__",
    "constructor",
    "a\u2028b\u2029c",
    "\u202egnp.exe",
    "\x1b[31mred\x1b[0m\x00",
    "${title} $title",
    "层.卷积",
)
