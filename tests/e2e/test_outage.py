"""The measurements of tests/perf/outage.py and kill.py, short: all peers away under load and back; killed at random moments. Nothing may be missing."""
import pathlib
import sys
import unittest

import framemill
from framemill import FramemillTest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "perf"))
import kill  # noqa: E402
import outage  # noqa: E402


def quiet(*_, **__):
    pass


class OutageTest(FramemillTest):
    def test_all_peers_away_for_ten_seconds(self):
        cameras = 2 if framemill.IS_SLOW_BUILD else 8
        figures = outage.measure(self.folder, 10, cameras=cameras, before_s=5, after_s=3, drain_s=120, say=quiet)
        # Rates beside the rest of a test suite prove nothing; the measurement itself holds them to 2 %.
        problems = [p for p in figures["problems"] if "answers/s" not in p]
        self.assertEqual(problems, [], figures)
        self.assertEqual(set(figures["missing"].values()), {0})
        self.assertGreater(figures["alarm_changes"], 2)

    def test_killed_at_random_moments(self):
        # With a sanitizer a database is slow to be made, and what is not in it at the kill is older.
        moments = 4 if framemill.IS_SLOW_BUILD else kill.LAST_MOMENTS_S
        figures = kill.measure(self.folder, 6, seed=11, say=quiet, last_moments_s=moments)
        self.assertEqual(figures["problems"], [], figures)
        self.assertGreater(figures["alarm_changes"], 2)


if __name__ == "__main__":
    unittest.main()
