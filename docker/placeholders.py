"""Refuses to let anything start while a secret is empty, short, or still the placeholder: `placeholders.py NAME …`.

Servers of others would take the placeholder; so everything waits for this. Prints names, never values.
"""

# ruff: noqa: INP001 - a script copied into the images, in no package

import os
import re
import sys

PLACEHOLDER = "change-me"
SHORTEST = 12
_IN_A_URL = re.compile(r"[A-Za-z0-9._~-]+")


def faults(names: list[str], environment: dict[str, str]) -> list[str]:
    """What is wrong with each, in words."""
    found = []
    seen: dict[str, str] = {}
    for name in names:
        value = environment.get(name, "")
        if PLACEHOLDER in value.lower():
            found.append(f"{name} is still the placeholder")
        elif len(value) < SHORTEST:
            found.append(f"{name} has fewer than {SHORTEST} characters")
        elif _IN_A_URL.fullmatch(value) is None:
            found.append(f"{name} may have letters, digits and . _ ~ - only (it goes into URLs and configuration)")
        elif value[0] in "0123456789.~-":
            found.append(f"{name} must begin with a letter (NATS would read a number)")
        elif value in seen:
            found.append(f"{name} is the same as {seen[value]}")
        seen.setdefault(value, name)
    return found


if __name__ == "__main__":
    wrong = faults(sys.argv[1:], dict(os.environ))
    for fault in wrong:
        print(f"refused to start: {fault}; see .env.example", file=sys.stderr)
    sys.exit(1 if wrong or not sys.argv[1:] else 0)
