"""The pages: their links and pictures exist, their Python is run as doctests, and the README's commands are the agreed ones."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [p for p in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests/bench").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) + re.findall(r'src="([^"]+)"', text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_on_a_page_is_run(page):
    for block in re.findall(r"```(?:python|pycon|py)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        assert block.lstrip().startswith(">>> "), f"a block of {page.name} is not a doctest:\n{block}"


def test_the_commands_stand_in_the_readme():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert lines.count("pip install . && dynet run scenarios/quickstart.toml") == 1
    assert lines.count('pip install ".[test]" && pytest') == 1


def test_every_page_is_reached_from_the_index():
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        if page.name != "index.md":
            assert page.relative_to(ROOT / "docs").as_posix() in index, f"docs/index.md does not list {page.name}"
