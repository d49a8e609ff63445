"""The judge's rules: pure, on whole microseconds since 1970 (UTC) and plain floats. No framework, no driver."""

from core.erp.exposure.rules.gaps import TOLD

WORDS = {"gap": tuple(sorted(TOLD))}
