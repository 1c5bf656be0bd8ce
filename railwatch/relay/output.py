"""What every kind of relay output does."""

from __future__ import annotations

from typing import Protocol


class Output(Protocol):
    """One output, which is de-energised when it is made and after `close`.

    Use it from one thread, but for `drop`. `set` is called at every beat, several times a second, also when nothing
    changes: an output that is not told again within its own time must fall by itself, where the hardware can.
    """

    def set(self, energised: bool) -> None:
        """Energise or de-energise; returns when the output has taken it. Raises RelayError when it has not."""
        ...

    def drop(self) -> None:
        """De-energise as well as can be from another thread, while `set` hangs; never raises."""
        ...

    def close(self) -> None:
        """De-energise and let go; never raises."""
        ...
