#pragma once

#include <span>

#include "framemill/base/result.h"
#include "framemill/core/picture.h"

namespace framemill {

/// Where the picture lies inside the model input.
enum class LetterboxPlace { kCenter, kTopLeft };
enum class ChannelOrder { kRgb, kBgr };
enum class ValueRange { kUnit, kByte };  ///< 0..1 or 0..255

/// How a model wants its input; constant per model.
struct InputStyle {
  LetterboxPlace place = LetterboxPlace::kCenter;
  ChannelOrder channels = ChannelOrder::kRgb;
  ValueRange range = ValueRange::kUnit;
  float border = 114.0F;  ///< 0..255, the grey around the picture
};

/// Where a source picture lies inside the model input. Plain value; lengths in model pixels.
/// Back to source pixels: x = (x_model - left) / scale, likewise y with top; then clip.
struct Letterbox {
  double scale = 1.0;  ///< model pixels per source pixel, > 0
  Size resized;        ///< picture without border
  int left = 0;        ///< border; an odd pixel goes right and bottom
  int top = 0;
};

/// scale = min(model.width / source.width, model.height / source.height), sides rounded.
/// Same geometry as Ultralytics `LetterBox` (auto=False, center=True), so mAP stays comparable.
/// Pure, any thread, O(1). Errors: kInvalidArgument if a side is < 1.
[[nodiscard]] Result<Letterbox> plan_letterbox(Size source, Size model, LetterboxPlace place);

/// Converts, scales (bilinear, pixel centres aligned as OpenCV's INTER_LINEAR) and places `picture`
/// into `tensor` in one pass, border included. `tensor`: 3 planes of model.height rows of
/// model.width floats. Requires tensor.size() == 3 * model.width * model.height and
/// plan == plan_letterbox(picture.size, model, style.place). Any thread; no allocation once a
/// thread has seen the sizes. About 0.2 ms for 640x384 with AVX2, 1 ms without.
void write_letterbox(const Picture& picture, const Letterbox& plan, Size model,
                     const InputStyle& style, std::span<float> tensor);

/// A box of the model input in pixels of the source picture, clipped to it.
[[nodiscard]] Box to_source(const Box& box, const Letterbox& plan, Size source);

}  // namespace framemill
