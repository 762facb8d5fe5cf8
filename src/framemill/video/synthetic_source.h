#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/core/answer.h"
#include "framemill/video/blocking_guard.h"
#include "framemill/video/sampler.h"
#include "framemill/video/source.h"

namespace framemill {

/// Moving shapes on a still background, a pure function of these numbers: where everything is in
/// any frame is known without looking. Plain value.
struct SyntheticScene {
  Size size{640, 360};      ///< 16..8192 a side
  double rate_hz = 25;      ///< 0.01..1000 frames/s
  int objects = 3;          ///< 0..1000
  std::uint32_t seed = 1;   ///< another seed, another scene
  std::int64_t frames = 0;  ///< of a round; 0: endless
  friend bool operator==(const SyntheticScene&, const SyntheticScene&) = default;
};

/// Reads "synthetic://?size=640x360&rate=25&objects=3&seed=1&frames=250", all keys optional.
/// Errors: kInvalidArgument for an unknown key or a value out of range.
[[nodiscard]] Result<SyntheticScene> parse_synthetic_url(std::string_view url);

/// The objects of a frame, whole pixels, class_id and track = the object's number; later ones cover
/// earlier ones. Pure, any thread, O(objects).
[[nodiscard]] std::vector<Detection> synthetic_truth(const SyntheticScene& scene,
                                                     std::int64_t frame_index);

/// The picture of a frame, I420 in limited range. Pure; frames of a scene share one background.
class SyntheticPainter {
 public:
  explicit SyntheticPainter(const SyntheticScene& scene);
  /// Copies the background and draws the objects: 0.1 ms for 640x360.
  [[nodiscard]] std::shared_ptr<const Picture> paint(std::int64_t frame_index) const;

 private:
  SyntheticScene scene_;
  std::vector<std::uint8_t> background_;  // I420 without padding
};

/// A source without a decoder: delivers a SyntheticScene at its rate, at pace live to the moment.
/// Frames that are not sampled are not painted.
class SyntheticSource final : public Source {
 public:
  /// `clock` outlives the source.
  SyntheticSource(SourceOptions options, const Clock& clock);

  /// Errors: kInvalidArgument for a bad URL, kCancelled.
  Result<void> open() override;
  Result<std::optional<SourceFrame>> read() override;
  void interrupt() override { guard_.interrupt(); }
  [[nodiscard]] StreamFacts facts() const override { return facts_; }
  [[nodiscard]] SourceCounts counts() const override { return counts_; }

 private:
  const SourceOptions options_;
  const Clock& clock_;
  BlockingGuard guard_;  // synchronizes itself

  // Used by the reading thread only.
  SyntheticScene scene_;
  std::optional<SyntheticPainter> painter_;
  Sampler sampler_;
  StreamFacts facts_;
  SourceCounts counts_;
  std::int64_t frame_index_ = 0;  ///< of the next frame
  std::int64_t scene_frame_ = 0;  ///< its place in the scene
  bool is_loop_start_ = false;
  TimePoint begin_;  ///< of frame 0
  WallTime begin_wall_;
};

}  // namespace framemill
