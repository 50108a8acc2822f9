"""Whether a package that is installed here, the development's included, has a known vulnerability.

    make audit

pip-audit asks PyPI about each. It passes over what PyPI could not be asked about and then calls the
rest clean, even where the rest is nothing; here that is a failure.
"""

import json
import subprocess
import sys

PIP_AUDIT = [sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off"]


def main() -> None:
    found = subprocess.run(PIP_AUDIT, stdout=subprocess.PIPE, text=True, check=False).stdout
    try:
        packages = json.loads(found)["dependencies"]
    except (ValueError, KeyError):
        sys.exit("NOT AUDITED: pip-audit could not ask its service, or came to no end. See above.")
    vulnerable = [package for package in packages if package.get("vulns")]
    for package in vulnerable:
        for fault in package["vulns"]:
            fixed = ", ".join(fault["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {fault['id']}, mended by {fixed}")
    unknown = [package["skip_reason"] for package in packages if "skip_reason" in package]
    if unknown or not packages:
        sys.exit(
            f"NOT AUDITED: nothing is known about {len(unknown)} of {len(packages)} packages: the "
            f"service has not heard of them, or cannot be reached. {' '.join(unknown[:1])}"
        )
    print(f"{len(packages)} packages audited, {len(vulnerable)} with a known vulnerability")
    if vulnerable:
        sys.exit(1)


if __name__ == "__main__":
    main()
