"""What a saved output may consist of."""

from html.parser import HTMLParser

ALLOWED = {"div", "p", "b", "img", "table", "thead", "tbody", "tr", "th", "td"}


class Elements(HTMLParser):
    """Collects the elements and attributes of a text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
