"""Generate engine/tallystick/v1 from proto/tallystick/v1.

`python proto/generate.py` writes the code; with `--check` it only compares, and fails when what is committed
is not what the protos say. Google's own protos are compiled against but not generated: at run time they come
from googleapis-common-protos.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "proto"
PACKAGE = Path("tallystick") / "v1"
GENERATED = ROOT / "engine" / PACKAGE
PATTERNS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def compile_protos(out: Path) -> None:
    """Run protoc, with the plugins of this very environment, over every proto of ours into `out`."""
    scripts = Path(sysconfig.get_path("scripts"))
    protos = sorted(path.relative_to(PROTOS).as_posix() for path in (PROTOS / PACKAGE).glob("*.proto"))
    if not protos:
        raise SystemExit(f"no .proto files in proto/{PACKAGE.as_posix()}")
    command = [
        sys.executable,
        *("-m", "grpc_tools.protoc", "-Iproto"),
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out=quiet:{out}",
        f"--mypy_grpc_out=quiet:{out}",
        *protos,
    ]
    if subprocess.run(command, cwd=ROOT).returncode != 0:
        raise SystemExit("protoc failed")


def read_generated(folder: Path) -> dict[str, bytes]:
    """The generated files of one folder by name; what is written by hand there is left out."""
    return {path.name: path.read_bytes() for pattern in PATTERNS for path in folder.glob(pattern)}


def without_empty_stubs(files: dict[str, bytes]) -> dict[str, bytes]:
    """Leave out the gRPC files of protos that define no service: they hold nothing."""
    serving = {
        path.stem
        for path in (PROTOS / PACKAGE).glob("*.proto")
        if re.search(r"^service\s", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    return {
        name: content
        for name, content in files.items()
        if "_pb2_grpc." not in name or name.partition("_pb2_grpc.")[0] in serving
    }


def difference(fresh: dict[str, bytes], committed: dict[str, bytes]) -> list[str]:
    """One line for each file that is missing, stale or left over."""
    lines = [f"missing:   {name}" for name in sorted(fresh.keys() - committed.keys())]
    lines += [f"left over: {name}" for name in sorted(committed.keys() - fresh.keys())]
    both = sorted(fresh.keys() & committed.keys())
    return lines + [f"stale:     {name}" for name in both if fresh[name] != committed[name]]


def write(fresh: dict[str, bytes], committed: dict[str, bytes]) -> None:
    """Make the committed folder equal to the fresh one, touching only what differs."""
    GENERATED.mkdir(parents=True, exist_ok=True)
    for name in committed.keys() - fresh.keys():
        (GENERATED / name).unlink()
    for name, content in fresh.items():
        if committed.get(name) != content:
            (GENERATED / name).write_bytes(content)


def main() -> int:
    parser = argparse.ArgumentParser(description="Generate engine/tallystick/v1 from proto/tallystick/v1.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when anything is stale")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as out:
        compile_protos(Path(out))
        fresh = without_empty_stubs(read_generated(Path(out) / PACKAGE))
    committed = read_generated(GENERATED)
    changes = difference(fresh, committed)
    if check and changes:
        print(f"generated code in engine/{PACKAGE.as_posix()} does not match proto/:")
        print("\n".join(f"  {line}" for line in changes))
        print("mend it with: make proto")
        return 1
    if not check:
        write(fresh, committed)
        print(f"engine/{PACKAGE.as_posix()}: {len(fresh)} files, {len(changes)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
