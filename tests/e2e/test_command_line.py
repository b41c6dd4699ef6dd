"""What the program says of itself: help, completion, manual page."""

import os
import shutil
import subprocess

import pytest

BINARY = os.environ["TRUEKEEL_BIN"]


def truekeel(*arguments: str) -> str:
    return subprocess.run([BINARY, *arguments], check=True, capture_output=True, text=True, timeout=30).stdout


def commands() -> list[str]:
    listed = truekeel("--help").split("Subcommands:\n")[1]
    return [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]


def completed(*words: str) -> list[str]:
    """What bash offers for the last word."""
    script = truekeel("completion", "bash") + 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _truekeel; echo "${COMPREPLY[@]}"'
    return subprocess.run(["bash", "-c", script, "bash", "truekeel", *words], check=True, capture_output=True, text=True).stdout.split()


def test_bash_completes_commands_options_and_choices():
    assert set(commands()) <= set(completed(""))
    assert completed("wor") == ["worker"]
    assert completed("worker", "--mod") == ["--model"]
    assert "yarn" in completed("worker", "--model", "x.gguf", "--rope-scaling", "")
    assert completed("incidents", "sh") == ["show"]
    assert completed("incidents", "resolve", "inc-1", "--w") == ["--why"]
    assert completed("completion", "z") == ["zsh"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_read_by_their_shells(shell):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    script = truekeel("completion", shell)
    subprocess.run([shell, "-n"], input=script, check=True, text=True)


@pytest.mark.parametrize("command", [[], *([name] for name in commands())])
def test_every_command_has_help_with_an_example(command):
    text = truekeel(*command, "--help")
    assert not command or "Example" in text, text
    assert command == [] or truekeel("man").replace("\\-", "-").count(f".SH truekeel {command[0]}\n") == 1


def test_the_manual_page_has_every_option():
    page = truekeel("man").replace("\\-", "-")
    for name in commands():
        options = [word.split(",")[-1] for line in truekeel(name, "--help").splitlines() if line.startswith("  -") for word in line.split()[:1]]
        assert options and all(f".B {option}" in page for option in options if option.startswith("--")), name
