#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/core/camera.h"
#include "framemill/sched/dispatch_trace.h"

namespace framemill {

/// One sampled frame as a trace tells of it: when it came, and what carrying boxes to it costs.
struct TracedFrame {
  Duration offset{0};  ///< it came so much later than the earliest that its period allows; >= 0
  Duration delay{0};   ///< from its capture until then (network, decoding, reordering); >= 0
  bool is_scene_start = false;
  double objects = 0;      ///< in view
  double drift = 0;        ///< what this frame adds to ObjectDoubt, all >= 0
  double unexplained = 0;  ///<
  double loss = 0;         ///< fidelity that carried boxes lose with this frame
};

/// What one camera of a recorded run did.
struct TracedCamera {
  CameraId id;
  Duration period{0};       ///< mean between its frames; > 0
  bool has_motion = false;  ///< its frames tell of objects and what is lost; policy adaptive only
  double sure_objects = 0;  ///< that the model found in a frame, on average: what fidelity counts
  std::vector<TracedFrame> frames;
};

/// The cameras of a recorded run, to be played again in simulated time.
struct SceneTrace {
  std::vector<TracedCamera> cameras;  ///< those with frames enough
  /// Where most was lost a second: frames [busiest_begin, busiest_end) of a camera with motion.
  std::optional<std::size_t> busiest_camera;
  std::size_t busiest_begin = 0;
  std::size_t busiest_end = 0;
  Duration length{0};
  [[nodiscard]] bool has_motion() const { return busiest_camera.has_value(); }
};

/// Gathers a SceneTrace from the records of a run, in order. Not thread-safe.
///
/// Timing. Within a stretch without a gap, arrivals are laid against an even grid of their mean
/// period; what they lie behind its earliest is `offset`.
/// Motion. The doubt of two frames with one key frame between which nothing was inferred differs by
/// what the frames between them added; after a new key frame the doubt's age says over how many
/// frames it gathered. Frames about which nothing was said share what was gathered by the next.
/// Loss. What the model found wrong in carried boxes over what was expected of them
/// (expected_wrong), per camera and, as far as it was looked at seldom, of all, turns expected into
/// lost fidelity.
class SceneTraceBuilder {
 public:
  explicit SceneTraceBuilder(const DispatchTraceHeader& header);
  void add(const DispatchRecord& record);
  /// Errors: kInvalidArgument where no camera brought two frames, or one that came before the last.
  Result<SceneTrace> finish();

 private:
  struct Frame {
    std::int64_t seq = 0;
    TimePoint captured_at;
    TimePoint arrived_at;
    bool is_stream_start = false;
    bool is_scene_start = false;
    ObjectDoubt doubt;  ///< age 0: nothing is known
  };
  struct Camera {
    CameraId id;
    bool is_adaptive = false;
    std::vector<Frame> frames;
    double wrong = 0;  ///< found by the model, and what was expected then
    double expected = 0;
    double wanted = 0;  ///< sure objects, summed over so many looks
    double looks = 0;
  };

  static void lay_on_grid(const std::vector<Frame>& frames, TracedCamera& traced);
  static void share_out_doubt(const Camera& camera, double wrong_of_expected, TracedCamera& traced);
  static void find_busiest(SceneTrace& trace);

  std::vector<Camera> cameras_;
};

}  // namespace framemill
