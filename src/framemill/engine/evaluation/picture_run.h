#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/answer.h"
#include "framemill/core/picture.h"
#include "framemill/engine/evaluation/data_set.h"
#include "framemill/infer/detector.h"
#include "framemill/vision/degradation.h"

namespace framemill {

/// One picture that was looked at.
struct SeenPicture {
  std::string name;  ///< "gate.jpg", "gate.mp4 frame 40"
  std::string id;    ///< as LabelledPicture::id
  Size size;
  std::vector<LabelledObject> objects;  ///< in pixels; class ids as in the data set
};

/// What models found in pictures, under each condition.
struct PictureRun {
  std::vector<SeenPicture> pictures;
  /// [condition][model][picture], in the order of the request; scores from candidate_score on.
  std::vector<std::vector<std::vector<std::vector<Detection>>>> detections;
  std::size_t broken = 0;             ///< pictures and clips that could not be read
  std::vector<std::string> problems;  ///< the first of them, with path and reason
};

struct PictureRunRequest {
  std::vector<std::shared_ptr<const Detector>> models;  ///< one or more
  std::vector<Degradation> conditions{Degradation::kNone};
  std::uint64_t seed = 1;            ///< of the degradations; each picture draws its own
  std::size_t pictures_max = 0;      ///< of the data set, evenly spread over it; 0: all
  std::size_t frames_per_clip = 40;  ///< evenly spread over the clip
};

/// Called for each picture and condition once all models have answered, in any order, on the thread
/// of run_on_pictures(): `found` by model, not to be kept. May draw the picture.
using OnPictureDone =
    std::function<void(const SeenPicture& seen, std::size_t picture, std::size_t condition,
                       const Picture& degraded, const std::vector<std::vector<Detection>>& found)>;

struct PictureRunHooks {
  OnPictureDone on_done;                          ///< may be empty
  std::function<void(double share)> on_progress;  ///< may be empty
  std::function<bool()> is_stopped;               ///< may be empty
};

/// Reads each picture once, degrades it for each condition and runs all models on the same pixels,
/// as many at a time as the devices take. A picture that cannot be read is counted, told in
/// `problems`, and left out of all lists. Errors: kCancelled; kInvalidArgument where not a single
/// picture could be read; those of a model that fails. kInternal where a device does not come back:
/// end the process then, its threads are left behind.
[[nodiscard]] Result<PictureRun> run_on_pictures(const DataSet& data,
                                                 const PictureRunRequest& request,
                                                 const Clock& clock,
                                                 const PictureRunHooks& hooks = {});

}  // namespace framemill
