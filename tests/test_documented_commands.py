"""Every command line in README, docs and help exists as it is written there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from eo_contrast.cli import main

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(eo-contrast [^`]+)`")


def commands_of(text: str) -> Iterator[str]:
    """Command lines of fenced blocks, and those between single backticks."""
    for language, block in FENCE.findall(text):
        if language in ("", "sh", "bash", "console", "text"):
            for line in block.replace("\\\n", " ").splitlines():
                found = line.strip().removeprefix("$ ")
                if found.startswith("eo-contrast "):
                    yield found
    outside = FENCE.sub("", text)
    yield from (re.sub(r"\s+", " ", found) for found in INLINE.findall(outside))


def helped(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for own in command.list_commands(context):
                found = command.get_command(context, own)
                assert found is not None
                yield from helped(found, f"{name} {own}")
    else:
        yield name, command


HELP = dict(helped(main, "eo-contrast"))


def parse(line: str) -> None:
    """Raises click.UsageError where a command or an option of the line does not exist."""
    words = shlex.split(re.sub(r"\s[|>&#].*$", "", line))[1:]
    # What stands for anything, and for nothing: "...", "[--resume]".
    words = [word for word in words if word not in ("...", "…") and not word.startswith("[")]
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        with click.Context(command) as context:
            # A word in capitals stands for any of them.
            name = command.list_commands(context)[-1] if words[0].isupper() else words[0]
            found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {words[0]}")
        command, words = found, words[1:]
    with click.Context(command) as context:
        options, _, _ = command.make_parser(context).parse_args(list(words))
    del options


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_only_commands_that_exist(page):
    for line in commands_of(page.read_text()):
        try:
            parse(line)
        except click.UsageError as error:
            pytest.fail(f"{page.name}: {line}: {error.message}")


@pytest.mark.parametrize("name", HELP)
def test_every_command_has_an_example_that_exists(name):
    text = (HELP[name].help or "").replace("\\\n", " ")
    told = [line.strip().removeprefix("Example:").strip() for line in text.splitlines()]
    lines = [line for line in told if line.startswith("eo-contrast ")]
    assert lines, f"{name} --help: has no example"
    for line in lines:
        parse(line)


def test_pages_have_commands():
    assert sum(len(list(commands_of(page.read_text()))) for page in PAGES) > 60
