"""Makes torch's CUDA wheel importable without the 2.7 GB of CUDA libraries. Runs inside the environment of the engine.

The Python package index has no torch for CPUs alone. Its CUDA build links the CUDA libraries and calls none of them where
there is no GPU, so each library is replaced by one with an empty function for every symbol that is imported from it.
Only libcudart must be the real one (nvidia-cuda-runtime): it is asked, at import, whether there is a device.
"""

import re
import subprocess
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

CUDA = re.compile(r"lib(cu(blas|blasLt|dnn|fft|file|pti|rand|solver|sparse|sparseLt)|nccl|nvrtc|nvshmem_host)\.so")
SYMBOL = re.compile(r"(cu|nv|nccl)\w+$")
USERS = ("torch/lib/*.so*", "torch/*.so", "torchvision/*.so", "vllm/*.so")


@dataclass
class Imports:
    """What shared libraries ask of others."""

    libraries: set[str] = field(default_factory=set)
    owner: dict[str, str] = field(default_factory=dict)  # version node -> library
    symbols: dict[str, set[str]] = field(default_factory=dict)  # version node, "" for none -> names
    defined: set[str] = field(default_factory=set)  # by one of them, for another


def output_of(*command: str | Path) -> str:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout


def read(file: Path, imports: Imports) -> None:
    imports.libraries |= set(re.findall(r"NEEDED\).*\[(.*?)\]", output_of("readelf", "-d", file)))
    library = ""
    for line in output_of("readelf", "-V", "-W", file).splitlines():
        if found := re.search(r"File: (\S+)", line):
            library = found[1]
        if library and (found := re.search(r"Name: (\S+)", line)):
            imports.owner[found[1]] = library
    for line in output_of("nm", "-D", file).splitlines():
        kind, name = line.split()[-2:]
        name, _, version = name.partition("@")
        if kind != "U":
            imports.defined.add(name)
        elif SYMBOL.match(name):
            imports.symbols.setdefault(version.lstrip("@"), set()).add(name)


def build(library: str, imports: Imports, folder: Path) -> None:
    nodes = [node for node, owner in imports.owner.items() if owner == library]
    names = set().union(*(imports.symbols.get(node, set()) for node in nodes or [""])) - imports.defined
    source, script = folder / "stub.c", folder / "stub.map"
    source.write_text("".join(f"int {name}(void) {{ return 999; }}\n" for name in sorted(names)))
    script.write_text("".join(f"{node} {{ global: *; }};\n" for node in nodes[:1]))
    output_of("gcc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{library}", "-o", folder / library, source,
              *([f"-Wl,--version-script={script}"] if nodes else []))
    source.unlink()
    script.unlink()


def main() -> None:
    site = Path(sysconfig.get_paths()["purelib"])
    folder = site / "nvidia" / "cu13" / "lib"
    folder.mkdir(parents=True, exist_ok=True)
    imports = Imports()
    for pattern in USERS:
        for file in site.glob(pattern):
            read(file, imports)
    for library in sorted(filter(CUDA.match, imports.libraries)):
        build(library, imports, folder)


if __name__ == "__main__":
    main()
