"""Do calibration pictures look like those that the model is judged by? Statistics of both, and a warning in words."""
from dataclasses import dataclass

import numpy as np

from .features import STATISTICS

SHIFT_MAX = 1.5     # of a statistic's mean, in standard deviations of the evaluation pictures
OUTSIDE_MAX = 0.35  # share of evaluation pictures outside of what calibration has seen
BARELY_OUTSIDE = 0.05  # a wide calibration may well be unlike a narrow evaluation that it covers
PICTURES_MIN = 8


@dataclass
class DomainReport:
    shifts: dict          # statistic -> shift of its mean, in standard deviations
    outside: float        # share of evaluation pictures with a statistic beyond all of the calibration's
    warning: str = ""


def compare(calibration, evaluation):
    """Rows of features.statistics() of both sides."""
    calibration, evaluation = np.asarray(calibration), np.asarray(evaluation)
    if len(calibration) < PICTURES_MIN or len(evaluation) < PICTURES_MIN:
        return DomainReport({}, 0.0)
    # A spread of nearly nothing (gray pictures all) would make every difference infinite.
    spread = np.maximum(np.maximum(evaluation.std(axis=0), calibration.std(axis=0)), 0.02)
    shifts = (calibration.mean(axis=0) - evaluation.mean(axis=0)) / spread
    low, high = np.percentile(calibration, 1, axis=0) - 0.25 * spread, np.percentile(calibration, 99, axis=0) + 0.25 * spread
    outside = float((((evaluation < low) | (evaluation > high)).sum(axis=1) >= 2).mean())
    report = DomainReport(dict(zip(STATISTICS, map(float, shifts))), outside)
    far = sorted((name for name in STATISTICS if abs(report.shifts[name]) > SHIFT_MAX), key=lambda name: -abs(report.shifts[name]))
    if (far and outside > BARELY_OUTSIDE) or outside > OUTSIDE_MAX:
        means = {name: (calibration[:, i].mean(), evaluation[:, i].mean()) for i, name in enumerate(STATISTICS)}
        named = far[:3] or sorted(STATISTICS, key=lambda name: -abs(report.shifts[name]))[:2]
        said = ", ".join(f"{name} {means[name][0]:.2f} against {means[name][1]:.2f}" for name in named)
        report.warning = (f"calibration pictures do not look like the evaluation's: {said} (means); {outside:.0%} of the evaluation's lie outside of what calibration has seen. "
                          "INT8 is scaled for what calibration shows: name pictures or clips of the cameras' own by --calibrate")
    return report
