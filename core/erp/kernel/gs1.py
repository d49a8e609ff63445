"""What all GS1 numbers have in common."""


def check_digit(digits: str) -> int:
    """GS1's modulo-10 check digit of the digits before it: weights 3, 1, 3 … from the right (GS1 General Spec. 7.9)."""
    total = sum(int(digit) * (3 if index % 2 == 0 else 1) for index, digit in enumerate(reversed(digits)))
    return -total % 10
