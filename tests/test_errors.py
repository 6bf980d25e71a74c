"""Messages: a sentence for the cause and one for the next step, with options spelt as the interface has them."""

import pickle

import pytest

from vithybrid_cli.errors import ImageTooLarge, ModelError, UsageError, VitHybridError, as_keyword, options_spelt


def flag(name: str, value: str | None) -> str:
    return f"--{name.replace('_', '-')}" + (f" {value}" if value else "")


def test_an_error_is_its_cause_and_its_remedy() -> None:
    error = UsageError("There are no inputs.", "Give some.")
    assert (error.cause, error.remedy, str(error)) == (
        "There are no inputs.",
        "Give some.",
        "There are no inputs. Give some.",
    )
    assert str(UsageError("There are no inputs.")) == "There are no inputs."


@pytest.mark.parametrize(
    ("remedy", "keyword", "on_the_command_line"),
    [
        ("Give {dtype=float32}.", "Give dtype='float32'.", "Give --dtype float32."),
        ("Raise {max_pixels}.", "Raise max_pixels.", "Raise --max-pixels."),
        ("Give {workers=1}.", "Give workers=1.", "Give --workers 1."),
        ("Use {} or {A}.", "Use {} or {A}.", "Use {} or {A}."),
    ],
)
def test_a_remedy_spells_options_as_the_interface_in_use_does(
    remedy: str, keyword: str, on_the_command_line: str
) -> None:
    error = VitHybridError("It fails.", remedy)
    with options_spelt(flag):
        assert str(error) == f"It fails. {on_the_command_line}"
    assert str(error) == f"It fails. {keyword}"


def test_a_cause_is_shown_as_it_is_even_with_braces_from_a_file_name() -> None:
    assert str(UsageError("{dtype=x}.jpg is missing.")) == "{dtype=x}.jpg is missing."


def test_an_error_survives_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(ImageTooLarge("It is large.", "Raise {max_pixels}.")))
    assert type(error) is ImageTooLarge
    assert str(error) == f"It is large. Raise {as_keyword('max_pixels', None)}."


def test_an_option_within_a_command_for_a_shell_is_a_flag_whatever_interface_is_in_use() -> None:
    error = ModelError("It is a pickle.", "Run `vithybrid convert SRC DST {$trust_pickle}`, or set {offline=True}.")
    assert str(error) == "It is a pickle. Run `vithybrid convert SRC DST --trust-pickle`, or set offline=True."
