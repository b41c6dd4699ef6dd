"""Runs every test: unit tests through ctest, end-to-end and tool tests through pytest.

The last line counts them: N passed, N failed. Exit code 1 when any failed or none ran.
"""

import argparse
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path


def count(report: Path) -> tuple[int, int, int]:
    """(passed, failed, skipped) of a JUnit report; a missing report counts as one failure."""
    if not report.exists():
        return 0, 1, 0
    passed = failed = skipped = 0
    for case in xml.parse(report).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
            failed += 1
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev test", description="Runs every test of the project.")
    parser.add_argument("--build", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--jobs", default="2", help=argparse.SUPPRESS)
    parser.add_argument("--engines", action="store_true", help="only the tests against engines that are not ours, such as a real vLLM")
    parser.add_argument("-k", metavar="EXPR", help="only tests whose name matches (a regular expression for unit tests)")
    args = parser.parse_args()

    reports = [args.build.resolve() / "unit-tests.xml", args.build.resolve() / "python-tests.xml"]
    for report in reports:
        report.unlink(missing_ok=True)
    unit = ["ctest", "--test-dir", str(args.build), "-j", args.jobs, "--output-on-failure", "--progress", "--output-junit", str(reports[0])]
    folders = ["tests/engines"] if args.engines else ["tests", "tools", "python"]
    python = [sys.executable, "-m", "pytest", "-q", "-ra", *folders, f"--junitxml={reports[1]}"]
    if args.engines:
        reports, runs = reports[1:], [python]
    else:
        runs = [unit, python]
    if args.k:
        unit += ["-R", args.k]
        python += ["-k", args.k]
    codes = [subprocess.run(command).returncode for command in runs]

    passed, failed, skipped = map(sum, zip(*map(count, reports)))
    if failed == 0 and any(code not in (0, 5) for code in codes):  # 5: pytest collected nothing
        failed = 1
    if passed == 0:
        failed = failed or 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
