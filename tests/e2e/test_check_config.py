"""`truekeel check-config` and `--print-default-config`, as a user types them."""

import json
import os
import subprocess

TRUEKEEL = os.environ["TRUEKEEL_BIN"]


def truekeel(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([TRUEKEEL, *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_the_printed_default_passes(tmp_path):
    printed = truekeel("--print-default-config")
    assert printed.returncode == 0
    file = tmp_path / "default.yaml"
    file.write_text(printed.stdout)
    checked = truekeel("check-config", file)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "2049 to 32768 tokens -> pool long" in checked.stdout


def test_mistakes_name_file_line_column_and_fix(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text(truekeel("--print-default-config").stdout.replace("temperature:", "tempature:"))
    checked = truekeel("check-config", file)
    assert (checked.returncode, checked.stdout) == (2, "")
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if "tempature:" in text)
    column = file.read_text().splitlines()[line - 1].index("tempature:") + 1
    assert checked.stderr == (
        f"{file}:{line}:{column}: models[0].defaults: unknown key 'tempature'; did you mean 'temperature'?\n"
    )


def test_json_is_one_object_on_stdout_right_or_wrong(tmp_path):
    file = tmp_path / "empty.yaml"
    file.write_text("")
    checked = truekeel("check-config", file, "--json")
    assert (checked.returncode, checked.stderr) == (2, "")
    report = json.loads(checked.stdout)
    assert report["valid"] is False and report["problems"][0]["line"] == 1


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path):
    checked = truekeel("check-config", tmp_path / "absent.yaml")
    assert checked.returncode == 2
    assert "absent.yaml: cannot be read: No such file" in checked.stderr
    assert truekeel("check-config", tmp_path).returncode == 2
