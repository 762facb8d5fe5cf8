#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/core/answer.h"
#include "framemill/core/geometry.h"

namespace framemill {

/// The families of detection outputs. B: batch, C: classes, N: candidates.
enum class HeadKind {
  kV8,            ///< [B,4+C,N]: cx,cy,w,h in input pixels, class scores; v8, 9, 11, 12
  kV5,            ///< [B,N,5+C]: cx,cy,w,h, objectness, class scores; anchors decoded in the graph
  kYolox,         ///< [B,N,5+C]: offsets to the grid and log sizes; strides 8, 16, 32
  kYoloxDecoded,  ///< [B,N,5+C]: anchor-free with objectness, already in input pixels
  kEnd2End,       ///< [B,N,6]: x1,y1,x2,y2,score,class; no NMS needed; v10, 26
};
[[nodiscard]] std::string_view to_string(HeadKind kind);
/// From a setting: v8, v5, yolox, yolox_decoded, end2end. Errors: kInvalidArgument (auto is the
/// caller's).
[[nodiscard]] Result<HeadKind> parse_head_kind(std::string_view text);

/// One output of a model as the backend reports it; -1 for a dynamic side.
struct OutputShape {
  std::string name;
  std::vector<std::int64_t> dims;
};

/// How to read a model's output: `candidate_count` candidates of value_count_per_candidate()
/// floats.
struct HeadSpec {
  HeadKind kind = HeadKind::kV8;
  int class_count = 0;         ///< 0: not known, which only kEnd2End may say
  int candidate_count = 0;     ///< N for `input`
  bool is_normalized = false;  ///< boxes in 0..1 of the input instead of pixels
  bool is_transposed = false;  ///< kV8 stored as [B,N,4+C], candidate by candidate
  int extra_count = 0;  ///< values after the class scores which are not read (masks, key points)
  Size input;
};

/// Floats per candidate in the output: box, objectness where there is one, class scores, extra
/// ones.
[[nodiscard]] constexpr std::size_t value_count_per_candidate(const HeadSpec& spec) {
  const int read_count = spec.kind == HeadKind::kEnd2End ? 6
                         : spec.kind == HeadKind::kV8    ? 4 + spec.class_count
                                                         : 5 + spec.class_count;
  return static_cast<std::size_t>(read_count + spec.extra_count);
}

/// Finds the family from the layout alone (design section 8): by N against the grid
/// (3 * sum(HW/s^2): v5; sum(HW/s^2): v8 or YOLOX by orientation; N <= 1000 with 6 columns:
/// end2end, a one-class v5 also has 6 columns). `labels`: how many there are, if known; they tell a
/// transposed v8 from YOLOX and size a dynamic side. YOLOX comes back as kYolox, and v5 with a
/// dynamic N may be one; settle_by_values() tells. `override_kind`: from the setting; it reads the
/// first output alone, and with known labels ignores what follows the class scores (masks, key
/// points). Errors: kUnsupported for further outputs (masks, key points), a channel count that
/// contradicts the labels, or no known layout; the message names outputs, shapes and the `head`
/// setting. kInvalidArgument for an empty input.
[[nodiscard]] Result<HeadSpec> recognise_head(std::span<const OutputShape> outputs, Size input,
                                              std::optional<int> labels,
                                              std::optional<HeadKind> override_kind);

/// Looks at the values of a test picture's output (one item): decides kYolox / kYoloxDecoded unless
/// overridden, is_normalized, and refuses a dead output.
/// Errors: kUnsupported if the size does not fit, a value is not finite, scores lie outside 0..1,
/// or all scores are the same (0); the message says which part of which output is dead. An end2end
/// output that is 0 throughout, boxes included, is an empty answer: exports with NMS inside pad
/// with zeros.
[[nodiscard]] Result<HeadSpec> settle_by_values(const HeadSpec& spec, std::span<const float> output,
                                                std::string_view output_name,
                                                bool is_kind_overridden);

/// Replaces `candidates` by those with score >= `score_min`: boxes in pixels of the model input
/// (not clipped to it), unordered, before NMS; one per candidate (its best class, the lower id
/// among equals). `output`: one batch item, contiguous; of another size than `spec` says it gives
/// nothing. Values that are not finite and boxes without area are skipped, scores end at 1. Pure,
/// any thread; cost is one pass over the scores, 0.1 ms for 84x8400 from the cache.
void decode_head(const HeadSpec& spec, std::span<const float> output, float score_min,
                 std::vector<Detection>& candidates);

/// True where nms() has to follow.
[[nodiscard]] constexpr bool needs_nms(HeadKind kind) { return kind != HeadKind::kEnd2End; }

}  // namespace framemill
