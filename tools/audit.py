#!/usr/bin/env python3
"""Looks the pinned packages up in the database of known vulnerabilities; fails where one has any.

Without a network, or behind an index that has no such database, nothing can be looked up: that is said, and no failure.
"""

import json
import subprocess  # nosec B404 # runs pip-audit alone
import sys
from pathlib import Path

COMMAND = ["pip-audit", "--requirement", "requirements.lock", "--no-deps", "--disable-pip", "--format", "json"]


def main() -> int:
    """Returns 0 where nothing is known against the packages, or nothing could be asked."""
    program = Path(sys.executable).with_name(COMMAND[0])
    ended = subprocess.run([program, *COMMAND[1:]], capture_output=True, text=True, check=False)  # nosec B603 # constant
    try:
        packages = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
        sys.stdout.write(f"Nothing was audited: pip-audit reached no database ({reason}).\n")
        return 0
    asked = [package for package in packages if "vulns" in package]
    known = [(package, one) for package in asked for one in package["vulns"]]
    for package, one in known:
        mend = ", ".join(one["fix_versions"]) or "no version yet"
        sys.stdout.write(f"{package['name']} {package['version']}: {one['id']}, mended in {mend}\n")
    sys.stdout.write(f"{len(asked)} of {len(packages)} packages were looked up, {len(known)} vulnerabilities known.\n")
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(main())
