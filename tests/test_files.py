"""Outputs appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from eo_contrast.errors import InputError, WorldError
from eo_contrast.files import refuse_existing, whole_file, whole_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def disk_full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_written_file_takes_its_name_and_leaves_nothing_beside(tmp_path: Path) -> None:
    with whole_file(tmp_path / "map.tif") as partial:
        partial.write_text("new")
    assert (tmp_path / "map.tif").read_text() == "new"
    assert names(tmp_path) == ["map.tif"]


def test_the_name_is_not_taken_before_the_end(tmp_path: Path) -> None:
    with whole_file(tmp_path / "map.tif") as partial:
        partial.write_text("new")
        assert not (tmp_path / "map.tif").exists()


def test_a_partial_file_keeps_the_suffix_and_the_folder(tmp_path: Path) -> None:
    with whole_file(tmp_path / "map.tif") as partial:
        partial.write_text("new")
        assert partial.suffix == ".tif"
        assert partial.parent == tmp_path


def test_missing_parent_folders_are_made(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a" / "b" / "map.tif") as partial:
        partial.write_text("new")
    assert (tmp_path / "a" / "b" / "map.tif").read_text() == "new"


@pytest.mark.parametrize("failure", [ValueError("wrong"), KeyboardInterrupt()])
def test_a_failed_file_leaves_the_old_one_and_nothing_beside(
    tmp_path: Path, failure: BaseException
) -> None:
    (tmp_path / "map.tif").write_text("old")
    with pytest.raises(type(failure)), whole_file(tmp_path / "map.tif") as partial:
        partial.write_text("half")
        raise failure
    assert (tmp_path / "map.tif").read_text() == "old"
    assert names(tmp_path) == ["map.tif"]


def test_a_full_disk_is_a_failure_of_the_world_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    with pytest.raises(WorldError, match=r"map\.tif: writing failed .*free some space"):  # noqa: SIM117
        with whole_file(path) as partial:
            partial.write_text("half")
            raise disk_full()
    assert names(tmp_path) == []


def test_another_error_of_the_system_passes_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="odd"), whole_file(tmp_path / "map.tif"):
        raise OSError(errno.EINVAL, "odd")


def test_a_folder_without_permission_is_the_users_to_change(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="no permission to write here"),
        whole_file(tmp_path / "map.tif"),
    ):
        raise PermissionError(errno.EACCES, "denied")


def test_a_written_folder_replaces_the_old_one_whole(tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles" / "old.png").touch()
    with whole_folder(tmp_path / "tiles") as partial:
        (partial / "new.png").touch()
    assert names(tmp_path) == ["tiles"]
    assert names(tmp_path / "tiles") == ["new.png"]


def test_a_failed_folder_leaves_the_old_one_and_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles" / "old.png").touch()
    with pytest.raises(WorldError), whole_folder(tmp_path / "tiles") as partial:
        (partial / "new.png").touch()
        raise disk_full()
    assert names(tmp_path) == ["tiles"]
    assert names(tmp_path / "tiles") == ["old.png"]


def test_what_a_killed_run_left_of_a_folder_is_not_taken_over(tmp_path: Path) -> None:
    left = tmp_path / ".tiles.partial"
    left.mkdir()
    (left / "left.png").touch()
    with whole_folder(tmp_path / "tiles") as partial:
        (partial / "new.png").touch()
    assert names(tmp_path / "tiles") == ["new.png"]


def test_an_existing_output_is_refused_with_the_option_that_helps(tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    path.touch()
    with pytest.raises(InputError, match=r"map\.tif: already exists; give --overwrite"):
        refuse_existing(path, overwrite=False)


def test_an_existing_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.png").touch()
    with pytest.raises(InputError, match="already exists"):
        refuse_existing(tmp_path, overwrite=False)


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_absent_or_empty_output_is_accepted(tmp_path: Path, overwrite: bool) -> None:
    refuse_existing(tmp_path / "absent.tif", overwrite=overwrite)
    refuse_existing(tmp_path, overwrite=overwrite)
    assert names(tmp_path) == []


def test_overwriting_is_allowed_when_asked_for_and_touches_nothing_yet(tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    path.write_text("old")
    refuse_existing(path, overwrite=True)
    assert path.read_text() == "old"
