"""Digests of files and folders: what changes them, and what is read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eo_contrast.pipeline.content import ABSENT, NOT_CONTENT, Digests
from eo_contrast.training.checkpoint import CHECKPOINT_FILE
from eo_contrast.training.describe import REPORT_FILE
from eo_contrast.training.log import TIMINGS_FILE


@pytest.fixture
def digests(tmp_path: Path) -> Digests:
    return Digests(tmp_path / "digests")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    (made / "inner").mkdir(parents=True)
    (made / "a").write_text("a")
    (made / "inner" / "b").write_text("b")
    return made


def test_a_folder_is_known_by_names_and_contents(digests: Digests, folder: Path) -> None:
    before = digests.content(folder)
    os.utime(folder / "a", (1, 1))
    assert digests.content(folder) == before
    (folder / "a").rename(folder / "c")
    renamed = digests.content(folder)
    assert renamed != before
    (folder / "c").rename(folder / "a")
    assert digests.content(folder) == before
    (folder / "inner" / "b").write_text("c")
    assert digests.content(folder) != before


def test_what_is_not_there_is_absent(digests: Digests, tmp_path: Path) -> None:
    assert digests.content(tmp_path / "nothing") == ABSENT
    assert digests.stamps(tmp_path / "nothing") == ABSENT


@pytest.mark.parametrize("name", ["events.out.1", "timings.jsonl", "last.ckpt", "report.html"])
def test_what_tells_of_time_is_no_content_of_a_run(
    name: str, digests: Digests, folder: Path
) -> None:
    before = digests.content(folder)
    (folder / name).write_text("now")
    assert digests.content(folder) == before
    assert digests.content(folder / name) != ABSENT


def test_hidden_files_do_not_count(digests: Digests, folder: Path) -> None:
    before = digests.content(folder)
    (folder / ".a.partial").write_text("half")
    assert digests.content(folder) == before


def test_names_are_those_of_the_modules_that_write_the_files() -> None:
    assert {TIMINGS_FILE, CHECKPOINT_FILE, REPORT_FILE} < set(NOT_CONTENT)


def test_unchanged_files_are_not_read_again(folder: Path, tmp_path: Path) -> None:
    first = Digests(tmp_path / "digests")
    digest = first.content(folder)
    first.save()
    again = Digests(tmp_path / "digests")
    original = Path.open

    def refuse(path: Path, *arguments: object) -> object:
        raise AssertionError(f"{path} is read")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        assert again.content(folder) == digest
    assert Path.open is original


def test_a_file_of_equal_size_with_its_old_time_is_read_again(
    digests: Digests, folder: Path
) -> None:
    before, told = digests.content(folder), (folder / "a").stat()
    (folder / "a").write_text("z")
    os.utime(folder / "a", ns=(told.st_atime_ns, told.st_mtime_ns))
    assert digests.content(folder) != before


def test_a_damaged_memory_is_no_loss(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "digests").write_text("{")
    assert Digests(tmp_path / "digests").content(folder) == Digests(tmp_path / "x").content(folder)


def test_links_to_folders_are_followed_and_one_that_leads_back_ends(
    digests: Digests, folder: Path, tmp_path: Path
) -> None:
    before = digests.content(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "c").write_text("c")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "back").symlink_to(folder)
    linked = digests.content(folder)
    assert linked != before
    (elsewhere / "c").write_text("d")
    assert digests.content(folder) != linked


def test_an_archive_elsewhere_is_another_archive(
    digests: Digests, folder: Path, tmp_path: Path
) -> None:
    before = digests.stamps(folder)
    folder.rename(tmp_path / "moved")
    assert digests.stamps(tmp_path / "moved") != before
