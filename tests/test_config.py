"""A YAML file fills a configuration; wrong ones are refused with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from eo_contrast.config import Config, find_config, load_config, save_config, shipped_folder
from eo_contrast.errors import InputError


class Optimizer(Config):
    lr: float = Field(1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)


class Training(Config):
    name: str
    steps: int = 100
    optimizer: Optimizer = Optimizer()

    @model_validator(mode="after")
    def _named_steps(self) -> Training:
        if self.name == "short" and self.steps > 10:
            raise ValueError(f"steps is {self.steps}; 'short' takes at most 10")
        return self


def write(folder: Path, text: str) -> Path:
    path = folder / "training.yaml"
    path.write_text(text)
    return path


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_config(Training, path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_values_of_the_file_win_over_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, "name: a\noptimizer:\n  lr: 0.5\n")
    assert load_config(Training, path) == Training(name="a", optimizer=Optimizer(lr=0.5))


def test_overrides_win_over_the_file_and_later_ones_over_earlier(tmp_path: Path) -> None:
    path = write(tmp_path, "name: a\nsteps: 5\n")
    config = load_config(Training, path, ["steps=6", "optimizer.lr=1e-4", "steps=7"])
    assert (config.steps, config.optimizer.lr) == (7, 1e-4)


def test_an_override_may_be_a_list(tmp_path: Path) -> None:
    config = load_config(Training, write(tmp_path, "name: a"), ["optimizer.betas=[0.5, 0.9]"])
    assert config.optimizer.betas == (0.5, 0.9)


def test_numbers_such_as_1e_3_are_numbers(tmp_path: Path) -> None:
    # YAML 1.1 reads 1e-3, without a dot, as text
    assert load_config(
        Training, write(tmp_path, "name: a\noptimizer: {lr: 1e-3}")
    ).optimizer.lr == (0.001)


def test_a_saved_configuration_loads_as_itself(tmp_path: Path) -> None:
    config = Training(name="a", steps=3, optimizer=Optimizer(lr=0.25, betas=(0.1, 0.2)))
    save_config(config, tmp_path / "saved.yaml")
    assert load_config(Training, tmp_path / "saved.yaml") == config


@given(lr=st.floats(1e-12, 1e12), steps=st.integers(-(10**9), 10**9))
def test_saving_keeps_every_number_exactly(
    tmp_path_factory: pytest.TempPathFactory, lr: float, steps: int
) -> None:
    path = tmp_path_factory.mktemp("saved") / "config.yaml"
    config = Training(name="a", steps=steps, optimizer=Optimizer(lr=lr))
    save_config(config, path)
    assert load_config(Training, path) == config


def test_defaults_are_saved_too(tmp_path: Path) -> None:
    save_config(Training(name="a"), tmp_path / "saved.yaml")
    assert "lr: 0.001" in (tmp_path / "saved.yaml").read_text()


def test_a_wrong_key_names_the_nearest_right_one(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "name: a\nstep: 5"))
    assert "training.yaml: unknown key 'step'; did you mean 'steps'?" in message


def test_a_wrong_key_inside_a_part_is_looked_up_in_that_part(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "name: a\noptimizer: {beta: 1}"))
    assert "unknown key 'optimizer.beta'; did you mean 'betas'?" in message
    assert "known here: betas, lr" in message


def test_a_wrong_key_in_an_override_is_refused_alike(tmp_path: Path) -> None:
    assert "unknown key 'optimizer.lrr'" in refusal(write(tmp_path, "name: a"), "optimizer.lrr=1")


def test_a_refused_value_is_shown_with_its_key(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "name: a\noptimizer: {lr: -1}"))
    assert "'optimizer.lr' is -1: input should be greater than 0" in message


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    assert "'name' is missing" in refusal(write(tmp_path, "steps: 1"))


def test_a_check_across_keys_speaks_in_its_own_words(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "name: short"))
    assert message.endswith("training.yaml: steps is 100; 'short' takes at most 10")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps", "--set steps: expected KEY=VALUE"),
        ("=5", "--set =5: expected KEY=VALUE"),
        ("name.first=b", "--set name.first=b: name holds 'a', it has no parts"),
        ("steps=[1", "--set steps=[1: '[1' is not a YAML value"),
    ],
)
def test_a_malformed_override_is_refused(tmp_path: Path, override: str, message: str) -> None:
    assert message in refusal(write(tmp_path, "name: a"), override)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not readable as YAML"),
        ("- 1\n- 2", "holds list, not keys and values"),
        ("!!python/object:os.system {}", "not readable as YAML"),
    ],
)
def test_a_file_that_is_no_set_of_keys_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(write(tmp_path, text))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "not readable as YAML" in refusal(path)


def test_a_path_is_taken_before_a_shipped_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cut").write_text("name: mine")
    assert find_config("cut", "configs/translate") == Path("cut")


def test_each_shipped_configuration_is_found_by_its_name() -> None:
    shipped = sorted(shipped_folder("configs/translate").glob("*.yaml"))
    assert shipped
    assert [find_config(file.stem, "configs/translate") for file in shipped] == shipped


def test_an_unknown_name_lists_the_shipped_ones_and_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"fastcutt: no such .*did you mean 'fastcut.*shipped ones"
    ):
        find_config("fastcutt", "configs/translate")


def test_a_configuration_cannot_be_changed_once_made() -> None:
    config = Training(name="a")
    with pytest.raises(ValueError, match="frozen"):
        config.steps = 1  # type: ignore[misc]
