#include "framemill/vision/yolo_head.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/vision/yolo_head_rows.h"

// A YOLO model says nowhere which family it is from, but its output does: the number of candidates
// is that of the cells of the stride grids, once for anchor-free heads and three times for v5's
// anchors, and the other side is what a candidate needs. What the layout leaves open (are YOLOX
// boxes decoded, are boxes pixels or 0..1) the values of one test picture decide, since a candidate
// lies near its cell.
namespace framemill {
namespace {

constexpr std::array<std::string_view, 5> kKindNames{"v8", "v5", "yolox", "yolox_decoded",
                                                     "end2end"};
constexpr std::array kStrides{8, 16, 32};
constexpr std::int64_t kSideMax = 10'000'000;     // candidates or columns: more is not a detector
constexpr std::int64_t kEnd2EndCountMax = 1'000;  // Ultralytics exports 300
constexpr std::int64_t kDynamic = -1;
constexpr std::int64_t kCocoClassCount = 80;

std::int64_t cell_count(Size input, std::span<const int> strides) {
  std::int64_t count = 0;
  for (const int stride : strides)
    count += static_cast<std::int64_t>((input.width + stride - 1) / stride) *
             ((input.height + stride - 1) / stride);
  return count;
}
std::int64_t cell_count(Size input) { return cell_count(input, kStrides); }

/// True where `count` is `anchors` times the cells of a stride set that published models have:
/// the usual three, those with stride 64 (P6), with stride 4 (P2), and the two of "tiny" models.
bool is_cell_count(std::int64_t count, Size input, int anchors) {
  static constexpr std::array kWithP6{8, 16, 32, 64};
  static constexpr std::array kWithP2{4, 8, 16, 32};
  static constexpr std::array kTiny{16, 32};
  return count == anchors * cell_count(input) || count == anchors * cell_count(input, kWithP6) ||
         count == anchors * cell_count(input, kWithP2) ||
         count == anchors * cell_count(input, kTiny);
}

bool has_objectness(HeadKind kind) {
  return kind == HeadKind::kV5 || kind == HeadKind::kYolox || kind == HeadKind::kYoloxDecoded;
}

/// "output0 [?,84,8400]".
std::string describe(const OutputShape& output) {
  std::string sides;
  for (const std::int64_t side : output.dims) {
    if (!sides.empty()) sides += ",";
    sides += side == kDynamic ? std::string("?") : std::to_string(side);
  }
  return fmt::format("{} [{}]", output.name, sides);
}

constexpr std::string_view kHowToOverride =
    R"(; if the first output is a detection head all the same, say which with )"
    R"("head: v8|v5|yolox|yolox_decoded|end2end")";

/// Which side of an output is what.
struct Layout {
  HeadKind kind = HeadKind::kV8;
  bool is_transposed = false;
  std::int64_t candidate_count = 0;  ///< may be kDynamic
  std::int64_t column_count = 0;     ///< may be kDynamic
};

/// The layout of a [B,rows,columns] output, or nothing where it is not known.
std::optional<Layout> find_layout(std::int64_t rows, std::int64_t columns, Size input,
                                  std::optional<int> labels) {
  const Layout v8{HeadKind::kV8, false, columns, rows};
  const Layout v8_transposed{HeadKind::kV8, true, rows, columns};
  const Layout v5{HeadKind::kV5, false, rows, columns};
  const Layout yolox{HeadKind::kYolox, false, rows, columns};
  const Layout end2end{HeadKind::kEnd2End, false, rows, columns};

  if (rows == kDynamic && columns == kDynamic) return std::nullopt;
  if (columns == kDynamic) {
    if (is_cell_count(rows, input, 3)) return v5;
    if (is_cell_count(rows, input, 1)) return std::nullopt;  // YOLOX or a transposed v8
    return v8;
  }
  if (rows == kDynamic) {
    if (is_cell_count(columns, input, 1)) return v8;
    if (labels && columns == 4 + *labels) return v8_transposed;
    // With 6 columns and other than one label the rows are final detections of unknown number.
    if (columns == 6 && labels != 1) return std::nullopt;
    return v5;
  }
  if (is_cell_count(columns, input, 1)) return v8;
  // Six columns are end2end, or one class with objectness; the number of labels knows better.
  const bool may_be_end2end = columns == 6 && rows <= kEnd2EndCountMax;
  if (may_be_end2end && labels && *labels > 2) return end2end;
  if (is_cell_count(rows, input, 3)) return v5;
  if (is_cell_count(rows, input, 1)) {
    // Without labels 84 columns are COCO's classes rather than a YOLOX of 79.
    const std::int64_t class_count = labels ? *labels : columns == 5 ? 1 : kCocoClassCount;
    return columns == 4 + class_count ? v8_transposed : yolox;
  }
  if (may_be_end2end) return end2end;
  return std::nullopt;
}

/// The layout where the kind is given.
Layout read_as(HeadKind kind, std::int64_t rows, std::int64_t columns, Size input) {
  if (kind != HeadKind::kV8) return {kind, false, rows, columns};
  bool is_transposed = false;
  if (is_cell_count(columns, input, 1) || columns == kDynamic)
    is_transposed = false;
  else if (is_cell_count(rows, input, 1) || rows == kDynamic)
    is_transposed = true;
  else
    is_transposed = columns < rows;  // candidates are many, classes few
  return is_transposed ? Layout{kind, true, rows, columns} : Layout{kind, false, columns, rows};
}

}  // namespace

std::string_view to_string(HeadKind kind) { return kKindNames[static_cast<std::size_t>(kind)]; }

Result<HeadKind> parse_head_kind(std::string_view text) {
  const auto* const found = std::find(kKindNames.begin(), kKindNames.end(), text);
  if (found != kKindNames.end()) return static_cast<HeadKind>(found - kKindNames.begin());
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format(R"("{}" is not a head; write auto, v8, v5, yolox, yolox_decoded or end2end)",
                  text));
}

Result<HeadSpec> recognise_head(std::span<const OutputShape> outputs, Size input,
                                std::optional<int> labels, std::optional<HeadKind> override_kind) {
  if (input.width < 1 || input.height < 1)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("a model input of {}x{} is empty", input.width, input.height));
  if (outputs.empty()) return fail(ErrorCode::kUnsupported, "the model has no output");
  std::string all;
  for (const OutputShape& output : outputs) all += (all.empty() ? "" : ", ") + describe(output);
  const auto refuse = [&all](std::string_view why) {
    return fail(ErrorCode::kUnsupported, fmt::format("{}: {}{}", all, why, kHowToOverride));
  };

  if (outputs.size() > 1 && !override_kind)
    return refuse(
        "a detector has one output; further ones are masks, key points or intermediate results. "
        "Export the model for detection alone");
  const std::vector<std::int64_t>& dims = outputs.front().dims;
  if (dims.size() != 3)
    return refuse(
        "no known layout: the output of a detector has three sides (batch, values, candidates, the "
        "latter two in either order). Export with the boxes decoded and without NMS inside");
  for (const std::int64_t side : dims)
    if (side != kDynamic && (side < 1 || side > kSideMax))
      return refuse(fmt::format("a side of {} is out of range", side));

  const std::optional<Layout> layout = override_kind
                                           ? read_as(*override_kind, dims[1], dims[2], input)
                                           : find_layout(dims[1], dims[2], input, labels);
  if (!layout)
    return refuse(fmt::format(
        "no known layout for an input of {}x{}, which has {} candidates (anchor-free) or {} (three "
        "anchors){}",
        input.width, input.height, cell_count(input), 3 * cell_count(input),
        dims[1] == kDynamic || dims[2] == kDynamic
            ? "; export with a fixed number of candidates and classes"
            : ""));

  HeadSpec spec{.kind = layout->kind, .is_transposed = layout->is_transposed, .input = input};
  std::int64_t candidate_count = layout->candidate_count;
  std::int64_t column_count = layout->column_count;
  if (spec.kind == HeadKind::kEnd2End) {
    if (candidate_count == kDynamic || column_count < 6 || column_count > kEnd2EndCountMax)
      return refuse("end2end needs [B,N,6] with a fixed N");
    if (column_count > 6 && !labels) return refuse("end2end has 6 columns");
    spec.class_count = labels.value_or(0);
    spec.extra_count = static_cast<int>(column_count - 6);
    spec.candidate_count = static_cast<int>(candidate_count);
    return spec;
  }

  const std::int64_t box_count = has_objectness(spec.kind) ? 5 : 4;
  if (candidate_count == kDynamic)
    candidate_count = (spec.kind == HeadKind::kV5 ? 3 : 1) * cell_count(input);
  if (column_count == kDynamic) {
    if (!labels) return refuse("the number of classes is dynamic; give the model its labels");
    column_count = box_count + *labels;
  }
  if (column_count <= box_count)
    return refuse(
        fmt::format("{} values a candidate leave {} no class", column_count, to_string(spec.kind)));
  if (spec.kind == HeadKind::kYolox && candidate_count != cell_count(input))
    return refuse(fmt::format("yolox at {}x{} has {} candidates", input.width, input.height,
                              cell_count(input)));
  if (candidate_count > kSideMax || candidate_count * column_count > 100 * kSideMax)
    return refuse("the output is too large for a detector");

  std::int64_t class_count = column_count - box_count;
  if (labels && *labels != class_count) {
    if (!override_kind || *labels > class_count || *labels < 1)
      return refuse(fmt::format(
          "reads as {} with {} classes, but the model has {} label{}: key points, masks or angles "
          "after the class scores, or labels of another model",
          to_string(spec.kind), class_count, *labels, *labels == 1 ? "" : "s"));
    class_count = *labels;
  }
  spec.class_count = static_cast<int>(class_count);
  spec.extra_count = static_cast<int>(column_count - box_count - class_count);
  spec.candidate_count = static_cast<int>(candidate_count);
  return spec;
}

namespace {

/// Gives single values of an output by candidate and column, whichever way it is stored.
class OutputView {
 public:
  OutputView(const HeadSpec& spec, std::span<const float> output) : output_(output) {
    const auto candidates = static_cast<std::size_t>(spec.candidate_count);
    const std::size_t columns = value_count_per_candidate(spec);
    is_class_major_ = spec.kind == HeadKind::kV8 && !spec.is_transposed;
    candidate_step_ = is_class_major_ ? 1 : columns;
    column_step_ = is_class_major_ ? candidates : 1;
  }
  [[nodiscard]] float at(std::size_t candidate, std::size_t column) const {
    return output_[candidate * candidate_step_ + column * column_step_];
  }
  /// What a person calls the values of one column: rows where they lie together.
  [[nodiscard]] std::string name(std::size_t first, std::size_t last) const {
    const std::string_view side = is_class_major_ ? "row" : "column";
    if (first == last) return fmt::format("{} {}", side, first);
    return fmt::format("{}s {}..{}", side, first, last);
  }

 private:
  std::span<const float> output_;
  std::size_t candidate_step_ = 0;
  std::size_t column_step_ = 0;
  bool is_class_major_ = false;
};

struct ValueRangeOf {
  float least = std::numeric_limits<float>::infinity();
  float most = -std::numeric_limits<float>::infinity();
  void add(float value) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
};

/// The grid place of a YOLOX candidate.
struct Cell {
  int x = 0, y = 0, stride = 0;
};
Cell cell_of(std::size_t candidate, Size input) {
  auto rest = static_cast<std::int64_t>(candidate);
  for (const int stride : kStrides) {
    const std::int64_t across = (input.width + stride - 1) / stride;
    const std::int64_t down = (input.height + stride - 1) / stride;
    if (rest < across * down)
      return {static_cast<int>(rest % across), static_cast<int>(rest / across), stride};
    rest -= across * down;
  }
  return {};
}

/// True where the first two columns hold box centres rather than offsets within a cell: decoded
/// centres spread over the input, pixels by their size and 0..1 by following the cells; offsets
/// stay at a few cells and do not follow them.
bool is_yolox_decoded(const HeadSpec& spec, const OutputView& view) {
  const auto count = static_cast<std::size_t>(spec.candidate_count);
  double sum = 0, cell_sum = 0, least_side = 0, magnitude = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Cell cell = cell_of(i, spec.input);
    sum += view.at(i, 0);
    magnitude += std::abs(view.at(i, 0));
    cell_sum += (cell.x + 0.5) * cell.stride;
    least_side = std::min(
        {least_side, static_cast<double>(view.at(i, 2)), static_cast<double>(view.at(i, 3))});
  }
  const auto n = static_cast<double>(count);
  if (magnitude / n > 0.1 * spec.input.width) return true;
  if (least_side < 0) return false;  // a logarithm; sides of boxes are positive
  double both = 0, own = 0, cells = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Cell cell = cell_of(i, spec.input);
    const double a = view.at(i, 0) - sum / n;
    const double b = (cell.x + 0.5) * cell.stride - cell_sum / n;
    both += a * b;
    own += a * a;
    cells += b * b;
  }
  return own > 0 && cells > 0 && both / std::sqrt(own * cells) > 0.7;
}

constexpr float kScoreSlack = 1e-3F;  // half precision and INT8 scales overshoot by less
// Boxes in pixels reach at least half of the input; a model that overshoots 0..1 stays below this.
constexpr float kNormalizedMost = 2.0F;

}  // namespace

Result<HeadSpec> settle_by_values(const HeadSpec& spec, std::span<const float> output,
                                  std::string_view output_name, bool is_kind_overridden) {
  HeadSpec settled = spec;
  const auto refuse = [output_name](const std::string& why) {
    return fail(ErrorCode::kUnsupported, fmt::format("{}: {}", output_name, why));
  };
  const std::size_t columns = value_count_per_candidate(spec);
  const auto yolox_count = static_cast<std::size_t>(cell_count(spec.input));
  // A dynamic N was taken for v5's; its test picture shows whether it is YOLOX's.
  if (spec.kind == HeadKind::kV5 && !is_kind_overridden && output.size() == yolox_count * columns) {
    settled.kind = HeadKind::kYolox;
    settled.candidate_count = static_cast<int>(yolox_count);
  }
  const auto count = static_cast<std::size_t>(std::max(settled.candidate_count, 0));
  if (count == 0 || output.size() != count * columns)
    return refuse(
        fmt::format("has {} values for a test picture, but {} at {}x{} has {} candidates of {} "
                    "values; set \"head\" "
                    "to the right kind, or export with a fixed size",
                    output.size(), to_string(settled.kind), spec.input.width, spec.input.height,
                    count, columns));

  const auto is_not_finite = [](float value) { return !std::isfinite(value); };
  const auto first = std::ranges::find_if(output, is_not_finite);
  if (first != output.end()) {
    const auto place = static_cast<std::size_t>(first - output.begin());
    const bool is_class_major = spec.kind == HeadKind::kV8 && !spec.is_transposed;
    return refuse(fmt::format(
        "{} of {} values are not finite, the first ({}) at candidate {}, value {}; the model "
        "overflows, often from a conversion to half precision or INT8",
        std::ranges::count_if(output, is_not_finite), output.size(), *first,
        is_class_major ? place % count : place / columns,
        is_class_major ? place / count : place % columns));
  }

  const OutputView view(settled, output);
  const bool is_end2end = settled.kind == HeadKind::kEnd2End;
  const bool is_objectness_used = has_objectness(settled.kind);
  const std::size_t class_first = is_objectness_used ? 5 : 4;
  const std::size_t class_last =
      is_end2end ? 4 : class_first + static_cast<std::size_t>(settled.class_count) - 1;
  ValueRangeOf objectness, classes, scores, coordinates;
  for (std::size_t i = 0; i < count; ++i) {
    float best = -std::numeric_limits<float>::infinity();
    for (std::size_t c = class_first; c <= class_last; ++c) {
      classes.add(view.at(i, c));
      best = std::max(best, view.at(i, c));
    }
    if (is_objectness_used) {
      objectness.add(view.at(i, 4));
      best *= view.at(i, 4);
    }
    scores.add(best);
    for (std::size_t c = 0; c < 4; ++c) coordinates.add(std::abs(view.at(i, c)));
    if (is_end2end) {
      const float class_id = view.at(i, 5);
      const bool is_known =
          settled.class_count == 0 || class_id < static_cast<float>(settled.class_count);
      if (class_id < 0 || class_id != std::floor(class_id) || !is_known)
        return refuse(
            fmt::format("column 5 should be a class id below {}, but candidate {} has {}; the "
                        "columns of end2end "
                        "are x1, y1, x2, y2, score, class",
                        settled.class_count == 0 ? std::string("the number of labels")
                                                 : std::to_string(settled.class_count),
                        i, class_id));
    }
  }

  const std::string class_name = fmt::format("{} ({})", view.name(class_first, class_last),
                                             is_end2end                  ? "score"
                                             : class_first == class_last ? "class score"
                                                                         : "class scores");
  const std::string objectness_name = fmt::format("{} (objectness)", view.name(4, 4));
  const std::tuple<const ValueRangeOf&, const std::string&, bool> parts[] = {
      {objectness, objectness_name, is_objectness_used}, {classes, class_name, true}};
  for (const auto& [range, name, is_present] : parts) {
    if (!is_present) continue;
    if (range.least < -kScoreSlack || range.most > 1 + kScoreSlack)
      return refuse(
          fmt::format("{} should lie in 0..1 but reach from {:.4g} to {:.4g}; export with the "
                      "sigmoid inside, or set "
                      "\"head\" if this is another layout than {}",
                      name, range.least, range.most, to_string(settled.kind)));
  }
  constexpr std::string_view kDead =
      " for a test picture, so nothing can ever be detected; often a bad INT8 conversion (one "
      "scale for "
      "boxes and scores): convert again with the head left in float";
  const bool is_empty_answer = is_end2end && classes.most <= 0 && coordinates.most <= 0;
  for (const auto& [range, name, is_present] : parts)
    if (is_present && range.most <= 0 && !is_empty_answer)
      return refuse(fmt::format("{} are all 0{}", name, kDead));
  // One-class models may have a constant class score, and others a constant objectness; not both.
  const ValueRangeOf& all = is_objectness_used ? scores : classes;
  if (all.most <= 0 && !is_empty_answer)
    return refuse(fmt::format("objectness times class score is 0 throughout{}", kDead));
  if (all.least == all.most && count > 1 && !is_empty_answer)
    return refuse(fmt::format("{} are all {:.4g}{}", is_objectness_used ? "scores" : class_name,
                              all.most, kDead));

  if (settled.kind == HeadKind::kYolox && !is_kind_overridden && is_yolox_decoded(settled, view))
    settled.kind = HeadKind::kYoloxDecoded;
  settled.is_normalized =
      settled.kind != HeadKind::kYolox && !is_empty_answer && coordinates.most <= kNormalizedMost;
  return settled;
}

namespace {

/// Collects candidates as boxes of the input, and leaves out what is none.
class CandidateWriter {
 public:
  CandidateWriter(const HeadSpec& spec, std::vector<Detection>& out)
      : x_scale_(spec.is_normalized ? static_cast<float>(spec.input.width) : 1.0F),
        y_scale_(spec.is_normalized ? static_cast<float>(spec.input.height) : 1.0F),
        out_(out) {}

  void add_corners(float x1, float y1, float x2, float y2, float score, int class_id) {
    const Box box{x1 * x_scale_, y1 * y_scale_, x2 * x_scale_, y2 * y_scale_};
    // Comparisons are false for NaN; infinite sides fail the second one.
    const bool has_area = box.x2 > box.x1 && box.y2 > box.y1;
    const bool is_finite = std::isfinite(box.x1) && std::isfinite(box.y1) &&
                           std::isfinite(box.x2) && std::isfinite(box.y2);
    if (has_area && is_finite)
      out_.push_back({.class_id = class_id, .score = std::min(score, 1.0F), .box = box});
  }
  void add_centred(float x, float y, float width, float height, float score, int class_id) {
    add_corners(x - width / 2, y - height / 2, x + width / 2, y + height / 2, score, class_id);
  }

 private:
  float x_scale_;
  float y_scale_;
  std::vector<Detection>& out_;
};

struct BestClass {
  int class_id = -1;  ///< -1: no finite score
  float score = 0;
};

/// The best finite one of `class_count` scores that lie `step` apart.
BestClass find_best_class(const float* scores, std::size_t class_count, std::size_t step) {
  BestClass best;
  for (std::size_t c = 0; c < class_count; ++c) {
    const float score = scores[c * step];
    if (std::isfinite(score) && (best.class_id < 0 || score > best.score))
      best = {static_cast<int>(c), score};
  }
  return best;
}

void decode_v8(const HeadSpec& spec, const float* output, float score_min,
               CandidateWriter& candidates) {
  const auto count = static_cast<std::size_t>(spec.candidate_count);
  const auto class_count = static_cast<std::size_t>(spec.class_count);
  // A block's row is a page, so that the rows stream from memory; its 80 rows stay in the L2 cache
  // for the candidates that look up their class.
  constexpr std::size_t kBlock = 1024;
  std::array<float, kBlock> best_scores;
  for (std::size_t begin = 0; begin < count; begin += kBlock) {
    const std::size_t block = std::min(kBlock, count - begin);
    const float* const boxes = output + begin;
    const float* const scores = boxes + 4 * count;
    max_over_rows(scores, count, class_count, block, best_scores.data());
    for (std::size_t i = 0; i < block; ++i) {
      if (!(best_scores[i] >= score_min)) continue;
      // The maximum may be infinite, then the best finite one counts.
      const BestClass best = find_best_class(scores + i, class_count, count);
      if (best.class_id < 0 || !(best.score >= score_min)) continue;
      candidates.add_centred(boxes[i], boxes[count + i], boxes[2 * count + i], boxes[3 * count + i],
                             best.score, best.class_id);
    }
  }
}

void decode_v8_transposed(const HeadSpec& spec, const float* output, float score_min,
                          CandidateWriter& candidates) {
  const std::size_t columns = value_count_per_candidate(spec);
  const auto class_count = static_cast<std::size_t>(spec.class_count);
  for (int i = 0; i < spec.candidate_count; ++i, output += columns) {
    const float* const scores = output + 4;
    // Independent lanes: one running maximum would wait for itself at every score.
    std::array<float, 8> lanes;
    lanes.fill(-std::numeric_limits<float>::infinity());
    std::size_t c = 0;
    for (; c + lanes.size() <= class_count; c += lanes.size())
      for (std::size_t k = 0; k < lanes.size(); ++k)
        lanes[k] = scores[c + k] > lanes[k] ? scores[c + k] : lanes[k];
    for (; c < class_count; ++c) lanes[0] = scores[c] > lanes[0] ? scores[c] : lanes[0];
    if (!(*std::ranges::max_element(lanes) >= score_min)) continue;
    const BestClass best = find_best_class(scores, class_count, 1);
    if (best.class_id < 0 || !(best.score >= score_min)) continue;
    candidates.add_centred(output[0], output[1], output[2], output[3], best.score, best.class_id);
  }
}

/// v5 and both kinds of YOLOX: score = objectness * best class score, and neither exceeds 1, so
/// most candidates end at their objectness.
void decode_with_objectness(const HeadSpec& spec, const float* output, float score_min,
                            CandidateWriter& candidates) {
  const std::size_t columns = value_count_per_candidate(spec);
  const auto class_count = static_cast<std::size_t>(spec.class_count);
  for (int i = 0; i < spec.candidate_count; ++i, output += columns) {
    const float objectness = output[4];
    if (!(objectness >= score_min) || !std::isfinite(objectness)) continue;
    const BestClass best = find_best_class(output + 5, class_count, 1);
    const float score = std::min(objectness, 1.0F) * std::min(best.score, 1.0F);
    if (best.class_id < 0 || !(score >= score_min)) continue;
    if (spec.kind != HeadKind::kYolox) {
      candidates.add_centred(output[0], output[1], output[2], output[3], score, best.class_id);
      continue;
    }
    const Cell cell = cell_of(static_cast<std::size_t>(i), spec.input);
    const auto stride = static_cast<float>(cell.stride);
    candidates.add_centred((output[0] + static_cast<float>(cell.x)) * stride,
                           (output[1] + static_cast<float>(cell.y)) * stride,
                           std::exp(output[2]) * stride, std::exp(output[3]) * stride, score,
                           best.class_id);
  }
}

void decode_end2end(const HeadSpec& spec, const float* output, float score_min,
                    CandidateWriter& candidates) {
  const std::size_t columns = value_count_per_candidate(spec);
  const float class_end = spec.class_count > 0 ? static_cast<float>(spec.class_count) : 1e6F;
  for (int i = 0; i < spec.candidate_count; ++i, output += columns) {
    const float score = output[4];
    const float class_id = output[5];
    if (!(score >= score_min) || !std::isfinite(score)) continue;
    if (!(class_id >= 0 && class_id < class_end)) continue;
    candidates.add_corners(output[0], output[1], output[2], output[3], score,
                           static_cast<int>(class_id));
  }
}

}  // namespace

void decode_head(const HeadSpec& spec, std::span<const float> output, float score_min,
                 std::vector<Detection>& candidates) {
  candidates.clear();
  if (spec.candidate_count < 0 || spec.class_count < 0 || spec.extra_count < 0) return;
  if (output.size() !=
      static_cast<std::size_t>(spec.candidate_count) * value_count_per_candidate(spec))
    return;
  CandidateWriter writer(spec, candidates);
  switch (spec.kind) {
    case HeadKind::kV8:
      if (spec.is_transposed)
        decode_v8_transposed(spec, output.data(), score_min, writer);
      else
        decode_v8(spec, output.data(), score_min, writer);
      return;
    case HeadKind::kV5:
    case HeadKind::kYolox:
    case HeadKind::kYoloxDecoded:
      decode_with_objectness(spec, output.data(), score_min, writer);
      return;
    case HeadKind::kEnd2End:
      decode_end2end(spec, output.data(), score_min, writer);
      return;
  }
}

}  // namespace framemill
