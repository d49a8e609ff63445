"""The filling machine's states and commands: the subset of PackML (ISA-TR88.00.02) that a line needs. Pure."""

from enum import IntEnum


class State(IntEnum):
    """PackML state numbers."""

    STOPPED = 2
    IDLE = 4
    EXECUTE = 6
    ABORTED = 9
    HELD = 11


class Command(IntEnum):
    """PackML CntrlCmd numbers."""

    RESET = 1
    START = 2
    STOP = 3
    HOLD = 4
    UNHOLD = 5
    ABORT = 8
    CLEAR = 9


WORDS = {
    State.STOPPED: "stopped",
    State.IDLE: "idle",
    State.EXECUTE: "running",
    State.ABORTED: "fault",
    State.HELD: "held",
}
"""The states as the shop floor calls them."""

_MOVES = {
    (State.STOPPED, Command.RESET): State.IDLE,
    (State.IDLE, Command.START): State.EXECUTE,
    (State.IDLE, Command.STOP): State.STOPPED,
    (State.EXECUTE, Command.HOLD): State.HELD,
    (State.EXECUTE, Command.STOP): State.STOPPED,
    (State.HELD, Command.UNHOLD): State.EXECUTE,
    (State.HELD, Command.STOP): State.STOPPED,
    (State.ABORTED, Command.CLEAR): State.STOPPED,
}


class IllegalCommand(Exception):
    """The machine cannot do that in its state."""


def after(state: State, command: Command) -> State:
    """The state after a command. Aborting is always possible. Raises IllegalCommand."""
    if command is Command.ABORT:
        return State.ABORTED
    try:
        return _MOVES[state, command]
    except KeyError:
        raise IllegalCommand(f"cannot {command.name.lower()} a machine that is {WORDS[state]}") from None


def way(state: State, wanted: State) -> list[Command]:
    """The shortest series of commands that leads from one state to another (breadth first)."""
    trails: list[tuple[State, list[Command]]] = [(state, [])]
    seen = {state}
    while trails:
        here, done = trails.pop(0)
        if here is wanted:
            return done
        reach = [(command, to) for (at, command), to in _MOVES.items() if at is here]
        for command, to in [*reach, (Command.ABORT, State.ABORTED)]:
            if to not in seen:
                seen.add(to)
                trails.append((to, [*done, command]))
    raise IllegalCommand(f"no way from {state.name} to {wanted.name}")
