"""Finds in a page what the content security policy forbids: no browser would run it."""

from html.parser import HTMLParser


class Forbidden(HTMLParser):
    """Finds scripts, styles and handlers within a page, and addresses of other sites."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in values and not is_data(values)):
            self.found.append(tag)
        for name, value in attrs:
            address = (value or "").strip().lower()
            if name == "style" or name.startswith("on") or address.startswith("javascript:"):
                self.found.append(f"{tag} {name}")
            loads = name in {"src", "action"} or (tag == "link" and name == "href")
            if loads and address.startswith(("http:", "https:", "//")):
                self.found.append(f"{tag} {name} {value}")


def is_data(attributes) -> bool:
    """Return whether the script holds data, which a browser never runs."""
    return attributes.get("type") in {"application/json", "text/plain"}


def assert_allowed(answer, status=200):
    """Assert that the answer is a page of this status with nothing forbidden in it."""
    assert answer.status_code == status
    page = answer.content.decode()
    assert "<!doctype html>" in page.lower()
    assert Forbidden(page).found == []
