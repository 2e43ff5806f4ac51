"""The graph's tab of a page in a real Chromium, and a model for it."""

import torch
from synthetic import SyntheticRecording
from torch import nn
from torch.nn import functional

IDS = torch.arange(8).reshape(2, 4)
STAGE = "[data-testid=graph-stage]"


class Block(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.ln, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(self.ln(x)).chunk(3, -1)
        return x + self.proj(functional.softmax(q @ k.transpose(-2, -1), -1) @ v)


class TiedGPT(nn.Module):
    def __init__(self, blocks=2):
        super().__init__()
        self.wte = nn.Embedding(11, 8)
        self.blocks = nn.ModuleList([Block() for _ in range(blocks)])

    def forward(self, ids):
        x = self.wte(ids)
        for block in self.blocks:
            x = block(x)
        return functional.linear(x, self.wte.weight)


def number(text):
    return float(text.replace("\N{MINUS SIGN}", "-"))


class Graph:
    """The graph's tab of an open page."""

    def __init__(self, page):
        self.page = page
        page.wait_for_selector(".deepseek-ready", state="attached")
        page.click("[data-testid=tab-graph]")
        self.settle()

    def settle(self, before=""):
        self.page.wait_for_selector(f"{STAGE}[data-arranged]:not([data-arranged='{before}'])")

    def arranging(self, act):
        """Do something that changes what is seen, and wait for it."""
        before = self.page.get_attribute(STAGE, "data-arranged")
        act()
        self.settle(before)

    def box(self, site, call=0):
        return self.page.locator(f"[data-testid=graph-box][data-site='{site}'][data-call='{call}']").first

    def toggle(self, site, call=0):
        self.arranging(lambda: self.box(site, call).locator("[data-testid=graph-toggle]").dispatch_event("click"))

    def all(self, name):
        self.arranging(lambda: self.page.click(f"[data-testid=graph-{name}]"))

    def boxes(self):
        return self.page.locator("[data-testid=graph-box]").evaluate_all("all => all.map(box => box.dataset.site)")

    def links(self):
        """What feeds what: the sites at both ends, how many tensors, and of how many bytes together."""
        found = self.page.locator("[data-testid=graph-link]").evaluate_all(
            "all => all.map(({ dataset }) => [dataset.source, dataset.target, dataset.count, dataset.bytes])"
        )
        return sorted((source, target, int(count), int(size)) for source, target, count, size in found)

    def between(self):
        return {(source, target) for source, target, *_ in self.links()}


def recorded(steps=60, **options):
    recording = SyntheticRecording(**options)
    recording.advance(steps)
    recording.close()
    return recording
