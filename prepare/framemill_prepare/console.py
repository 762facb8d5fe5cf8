"""What a person sees while it works: one line a step on standard error."""
import sys
import time


class Console:
    """Counts steps. On a terminal the step in progress is redrawn; elsewhere each step is one line when it has ended."""

    def __init__(self, total=0, stream=None):
        self.stream = stream or sys.stderr
        self.total, self.done, self.text, self.started = total, 0, "", 0.0
        self.is_terminal = self.stream.isatty()

    def begin(self, text):
        self.text, self.started = text, time.monotonic()
        self.show("")

    def show(self, more):
        """What the step in progress is at."""
        if self.is_terminal:
            self.stream.write(f"\r\033[K[{self.done + 1:2}/{self.total}] {self.text}{': ' + more if more else ''}"[:200])
            self.stream.flush()

    def end(self, result, is_kept):
        self.done += 1
        took = "kept from before" if is_kept else f"{time.monotonic() - self.started:.1f} s"
        self.line(f"[{self.done:2}/{self.total}] {self.text}: {result + ', ' if result else ''}{took}")

    def line(self, text):
        self.stream.write(("\r\033[K" if self.is_terminal else "") + text + "\n")
        self.stream.flush()

    def note(self, text):
        self.line(f"note: {text}")

    def warn(self, text):
        self.line(f"warning: {text}")
