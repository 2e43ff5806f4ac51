"""The style sheet of the page of attention maps."""

STYLE = """
:root { color-scheme: light dark;
  --ground: #fff; --ink: #1c2430; --line: #d5dbe3; --soft: #5b6675; --shade: 47 107 237; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14181f; --ink: #e6eaf0; --line: #39424f; --soft: #a3aebd; --shade: 92 141 255; }
}
body { background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif;
  margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
.tokens span { border: 1px solid var(--line); border-radius: 4px; display: inline-block; margin: 2px 0; padding: 0 5px;
  font-family: ui-monospace, monospace; white-space: pre; }
.s1 { background: rgb(var(--shade) / 6%); } .s2 { background: rgb(var(--shade) / 12%); }
.s3 { background: rgb(var(--shade) / 18%); } .s4 { background: rgb(var(--shade) / 24%); }
.s5 { background: rgb(var(--shade) / 30%); } .s6 { background: rgb(var(--shade) / 36%); }
.s7 { background: rgb(var(--shade) / 42%); } .s8 { background: rgb(var(--shade) / 48%); }
.s9 { background: rgb(var(--shade) / 54%); }
table { border-collapse: collapse; }
.grid { display: block; overflow-x: auto; }
.grid > tbody > tr > th { font-size: 12px; font-weight: normal; }
.grid th[scope="row"] { padding-right: 10px; text-align: right; }
.grid > tbody > tr > td { padding: 2px; }
:is(.all, figure table) :is(td, th) { border-bottom: 1px solid var(--line); padding: 1px 10px; text-align: left; }
caption { color: var(--soft); text-align: left; }
svg.texts { height: 0; position: absolute; width: 0; }
text { fill: var(--ink); font: 10px ui-monospace, monospace; }
.end { text-anchor: end; }
figure { margin: 0; }
img { image-rendering: pixelated; max-width: none; }
figure:not(:target) :is(h3, .close, svg, table) { display: none; }
figure:not(:target) img { display: block; height: 56px; width: 56px; }
figure:target { background: var(--ground); inset: 0; overflow: auto; padding: 1.5rem; position: fixed; z-index: 1; }
figure:target .map { display: grid; grid-template-columns: max-content max-content; margin-bottom: 1rem; }
figure:target .across { grid-column: 2; }
figure:target .map svg, figure:target img { display: block; }
figure:target .close { float: right; }
a { color: inherit; }
a:focus-visible { outline: 3px solid rgb(var(--shade)); }
"""
