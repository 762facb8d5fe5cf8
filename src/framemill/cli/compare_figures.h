#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framemill/core/agreement.h"
#include "framemill/core/answer.h"
#include "framemill/core/camera.h"

namespace framemill {

/// What a run answered to one sampled frame, as far as agreement looks at it.
struct ComparedAnswer {
  std::int64_t frame_index = 0;  ///< place in the clip, display order
  double pts_s = 0;              ///< media time
  Origin origin = Origin::kNone;
  std::int64_t source_frame_index = -1;  ///< the inferred frame the boxes come from; -1: none
  std::vector<Detection> detections;     ///< empty with origin kNone
};

/// One clip.
struct ComparedCamera {
  CameraId id;
  std::vector<std::string> labels;  ///< of its model, by class id
  Size picture_size;
};

/// One policy with one setting over all clips.
struct ComparedRun {
  std::string policy;   ///< "hold", "similarity", "adaptive", ...; runs of one policy form a curve
  std::string setting;  ///< what tells it from the others of its policy: "budget .20"
  std::vector<std::int64_t> inferences;  ///< by camera, whatever their purpose
  /// Processor time of motion and propagation, the decoder's extra work included, a sampled frame;
  /// none where nothing was measured.
  std::optional<double> motion_ms_per_frame;
  std::vector<std::vector<ComparedAnswer>> answers;  ///< by camera, then by ascending frame index
};

/// The policy that the others are held against.
inline constexpr std::string_view kBaselinePolicy = "hold";

struct CompareOptions {
  AgreementThresholds thresholds;  ///< of `agreement.py`
  double strict_iou = .7;          ///< overlap that the strict recall asks for
  std::int64_t macro_least = 20;   ///< sure detections a clip needs to count in the macro average
  std::int64_t below_least = 100;  ///< ... and to be named as below the baseline
  std::size_t resamples = 2000;    ///< of the bootstrap
  std::uint64_t seed = 1;
};

/// Agreement of answers with full inference, 0..1 each; 1 where there is nothing to count. See
/// AgreementCounts for the definitions; `strict_recall` is the recall at `strict_iou`.
struct AgreementFigures {
  double recall = 1;
  double precision = 1;
  double sure_precision = 1;
  double mean_iou = 1;
  double strict_recall = 1;
  friend bool operator==(const AgreementFigures&, const AgreementFigures&) = default;
};

/// Errors of a run divided by those of the baseline at the same share of inference; below 1 is
/// better. `low` and `high`: 95 % interval by paired bootstrap over clips, both or none; none below
/// five clips; `high` is infinite where the baseline makes no error in some resamples.
struct ErrorRatio {
  double ratio = 1;
  std::optional<double> low;
  std::optional<double> high;
};

/// What the baseline does on one clip at the run's share.
struct ClipBaseline {
  double recall = 1;
  double sure_precision = 1;
  bool is_ahead = false;  ///< in recall or sure precision, on a clip with enough sure detections
};

/// One run on one clip.
struct ClipFigures {
  AgreementCounts counts;
  std::int64_t strict_found = 0;
  std::int64_t frames = 0;   ///< sampled, as the reference has them
  std::int64_t missing = 0;  ///< of these without an answer
  double share_inferred = 0;
  AgreementFigures figures;
  std::optional<ClipBaseline> baseline;
};

/// A run beside the baseline at the same share.
struct BaselineComparison {
  double recall = 1;  ///< of the baseline, pooled
  double precision = 1;
  double sure_precision = 1;
  /// 1 - recall, 1 - precision, 1 - sure precision; none where the baseline makes no error.
  std::optional<ErrorRatio> misses;
  std::optional<ErrorRatio> errors;
  std::optional<ErrorRatio> sure_errors;
  std::vector<CameraIndex> clips_behind;  ///< where ClipBaseline::is_ahead
};

/// One run over all clips.
struct RunFigures {
  std::string policy;
  std::string setting;
  double share_inferred = 0;  ///< inferences / sampled frames
  std::optional<double> motion_ms_per_frame;
  AgreementCounts counts;
  std::int64_t frames = 0;
  std::int64_t missing = 0;
  AgreementFigures pooled;                ///< of the counts over all clips
  std::optional<AgreementFigures> macro;  ///< mean over the clips that count
  std::size_t macro_clips = 0;
  std::optional<BaselineComparison> against_baseline;  ///< none for the baseline itself, and where
                                                       ///< its runs do not reach down to this share
  std::vector<ClipFigures> clips;                      ///< by camera
};

/// Compares each run with `reference`, what full inference answered, by camera; frames that it has
/// no answer for are left out, frames that a run has none for count as misses.
///
/// "The baseline at the same share" of inference: its errors as a piecewise linear function of the
/// mean gap between inferences (1 / share), in which they grow nearly evenly, through its runs and
/// full inference (gap 1, no errors; with an answer delay this favours the baseline). A run may lie
/// 5 % beyond the baseline's largest gap and is then held against that run.
///
/// Pure; the same input gives the same figures, bit by bit. Requires one entry a camera in
/// `reference` and in each run, in ascending order of frames, no frame twice.
[[nodiscard]] std::vector<RunFigures> compare_runs(
    std::span<const std::vector<ComparedAnswer>> reference, std::span<const ComparedRun> runs,
    const CompareOptions& options = {});

/// Which run to put into the headline: of those which save inference (share < 1) by another policy
/// than the baseline, the least share with recall and sure precision both >= `fidelity`; where
/// there is none, the run with the greatest lesser of the two. None without such runs.
[[nodiscard]] std::optional<std::size_t> choose_headline(std::span<const RunFigures> runs,
                                                         double fidelity);

}  // namespace framemill
