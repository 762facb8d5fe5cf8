#pragma once

#include <cstdint>
#include <optional>

namespace framemill {

/// Which frames of a source are answered: by time or each Nth. Exactly one of the two holds.
struct SamplerOptions {
  double rate_hz = 10.0;   ///< used where every == 0; <= 0 with every == 0: all frames
  std::int64_t every = 0;  ///< >= 1: frames 0, N, 2N, ... of the source
};

/// Decides frame by frame, in display order, what is sampled.
/// By rate: a frame is sampled iff floor((pts - pts0) * rate + 1e-6) exceeds that of the previous
/// sample, a fixed grid (25 frames/s at rate 10 gives 10 a second, not 8.3). After a jump of the
/// timestamps by more than 1 s in either direction pts0 restarts at that frame; the regular
/// interval of a source slower than 1 frame/s is no jump.
/// A small value: to know what it would say of frames to come, ask a copy.
/// Not thread-safe; O(1).
class Sampler {
 public:
  explicit Sampler(SamplerOptions options) : options_(options) {}

  /// Next frame in display order. `time_s`: its pts, or its arrival time where the source's
  /// timestamps are unusable; both in seconds.
  [[nodiscard]] bool take(double time_s);

  /// The grid restarts with the next frame; `every` goes on counting.
  void restart_grid() { grid_start_s_.reset(); }

 private:
  SamplerOptions options_;
  std::int64_t frame_count_ = 0;
  std::optional<double> grid_start_s_;
  double last_time_s_ = 0;      ///< of the last frame seen, sampled or not
  double last_interval_s_ = 0;  ///< between the last two frames seen
  std::int64_t last_cell_ = 0;  ///< of the last sample
};

}  // namespace framemill
