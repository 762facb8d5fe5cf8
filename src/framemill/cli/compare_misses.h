#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "framemill/cli/compare_figures.h"

namespace framemill {

/// A frame which shows a miss, and the boxes of both sides in it.
struct WorstMiss {
  CameraIndex camera = 0;
  std::int64_t frame_index = 0;
  double pts_s = 0;
  Origin origin = Origin::kNone;         ///< of the answer
  std::int64_t source_frame_index = -1;  ///< the inferred frame the answer comes from; -1: none
  std::vector<Detection> reference;      ///< full inference, above base
  std::vector<Detection> given;          ///< the answer, above lo
  std::size_t missed = 0;                ///< the missed object: its place in `reference`
  std::int64_t frames_missed = 0;        ///< sampled frames in a row in which it was missed
  double seconds_missed = 0;             ///< media time from the first of these to the last
};

/// The misses of `run` that a person should look at, at most `count`, worst first. A miss is a sure
/// object of `reference` without a match in the answer; misses of one object in successive sampled
/// frames (same class, IoU of at least .3 from one frame to the next) form a run, which is shown by
/// its middle frame. The longest run of each clip comes first, by length, then each clip's second,
/// and so on: one bad clip does not hide the others. Of equal ones the higher score of the
/// reference goes first, then the order of clips and frames.
///
/// Pure and repeatable. Requires what compare_runs() does.
[[nodiscard]] std::vector<WorstMiss> choose_worst_misses(
    std::span<const std::vector<ComparedAnswer>> reference, const ComparedRun& run,
    std::size_t count, const AgreementThresholds& thresholds = {});

}  // namespace framemill
