#include "framemill/vision/yolo_head.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {

// Shown by failing comparisons.
static void PrintTo(const Detection& d, std::ostream* out) {
  *out << "class " << d.class_id << " score " << d.score << " box " << d.box.x1 << "," << d.box.y1
       << "," << d.box.x2 << "," << d.box.y2;
}

namespace {

using testing::HasSubstr;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr Size k640{640, 640};

std::vector<OutputShape> one(std::vector<std::int64_t> dims) {
  return {{"output0", std::move(dims)}};
}

// ---- Layout.

struct Wanted {
  HeadKind kind;
  int class_count;
  int candidate_count;
  bool is_transposed = false;
};

TEST(RecogniseHead, FollowsTheTable) {
  const std::tuple<const char*, std::vector<std::int64_t>, Size, std::optional<int>, Wanted>
      cases[] = {
          {"v8", {1, 84, 8400}, k640, 80, {HeadKind::kV8, 80, 8400}},
          {"v8, labels unknown", {1, 84, 8400}, k640, {}, {HeadKind::kV8, 80, 8400}},
          {"v8 of one class", {-1, 5, 8400}, k640, 1, {HeadKind::kV8, 1, 8400}},
          {"v8 of two classes", {1, 6, 8400}, k640, 2, {HeadKind::kV8, 2, 8400}},
          {"v8, wide input", {-1, 84, 5040}, {640, 384}, 80, {HeadKind::kV8, 80, 5040}},
          {"v8, dynamic N", {-1, 84, -1}, {512, 288}, 80, {HeadKind::kV8, 80, 3024}},
          {"v8, all dynamic but labels", {1, -1, 8400}, k640, 80, {HeadKind::kV8, 80, 8400}},
          {"v8 with stride 64", {1, 84, 34000}, {1280, 1280}, 80, {HeadKind::kV8, 80, 34000}},
          {"v8 with stride 4", {1, 84, 34000}, k640, 80, {HeadKind::kV8, 80, 34000}},
          {"v8, candidate by candidate", {1, 8400, 84}, k640, 80, {HeadKind::kV8, 80, 8400, true}},
          {"the same, no labels", {1, 8400, 84}, k640, {}, {HeadKind::kV8, 80, 8400, true}},
          {"the same, dynamic", {1, -1, 84}, k640, 80, {HeadKind::kV8, 80, 8400, true}},
          {"v8, 64x64: as many classes as cells",
           {1, 84, 84},
           {64, 64},
           80,
           {HeadKind::kV8, 80, 84}},
          {"v5", {-1, 25200, 85}, k640, 80, {HeadKind::kV5, 80, 25200}},
          {"v5, dynamic N", {-1, -1, 85}, k640, 80, {HeadKind::kV5, 80, 25200}},
          {"v5 of one class", {1, 25200, 6}, k640, {}, {HeadKind::kV5, 1, 25200}},
          {"v5 of one class, small", {1, 192, 6}, {64, 48}, 1, {HeadKind::kV5, 1, 192}},
          {"YOLOX", {1, 3549, 85}, {416, 416}, 80, {HeadKind::kYolox, 80, 3549}},
          {"YOLOX, labels unknown", {1, 3549, 85}, {416, 416}, {}, {HeadKind::kYolox, 80, 3549}},
          {"YOLOX of one class", {1, 8400, 6}, k640, {}, {HeadKind::kYolox, 1, 8400}},
          {"YOLOX of one class, labelled", {1, 8400, 6}, k640, 1, {HeadKind::kYolox, 1, 8400}},
          {"end2end", {1, 300, 6}, k640, 80, {HeadKind::kEnd2End, 80, 300}},
          {"end2end, labels unknown", {-1, 300, 6}, k640, {}, {HeadKind::kEnd2End, 0, 300}},
          {"end2end of one class", {1, 300, 6}, k640, 1, {HeadKind::kEnd2End, 1, 300}},
          {"end2end, as many as cells", {1, 189, 6}, {96, 96}, 80, {HeadKind::kEnd2End, 80, 189}},
      };
  for (const auto& [name, dims, input, labels, want] : cases) {
    const Result<HeadSpec> spec = recognise_head(one(dims), input, labels, std::nullopt);
    ASSERT_TRUE(spec) << name << ": " << spec.error().message();
    EXPECT_EQ(to_string(spec->kind), to_string(want.kind)) << name;
    EXPECT_EQ(spec->class_count, want.class_count) << name;
    EXPECT_EQ(spec->candidate_count, want.candidate_count) << name;
    EXPECT_EQ(spec->is_transposed, want.is_transposed) << name;
    EXPECT_EQ(spec->extra_count, 0) << name;
    EXPECT_EQ(spec->input, input) << name;
  }
}

TEST(RecogniseHead, RefusesWhatItCannotRead) {
  const OutputShape boxes{"output0", {1, 116, 8400}};
  const OutputShape masks{"output1", {1, 32, 160, 160}};
  const std::tuple<const char*, std::vector<OutputShape>, std::optional<int>, const char*> cases[] =
      {{"masks", {boxes, masks}, 80, "output1 [1,32,160,160]"},
       {"pose", one({1, 56, 8400}), 1, "52 classes, but the model has 1 label"},
       {"oriented boxes", one({1, 20, 8400}), 15, "16 classes, but the model has 15 labels"},
       {"labels of another model", one({1, 84, 8400}), 6, "80 classes"},
       {"v5 with other labels", one({1, 25200, 85}), 20, "v5 with 80 classes"},
       {"a classifier", one({1, 1000}), 1000, "three sides"},
       {"raw anchors", one({1, 3, 80, 80, 85}), 80, "three sides"},
       {"unknown N", one({1, 84, 8399}), 80, "8400 candidates"},
       {"masks in end2end", one({1, 300, 38}), 80, "no known layout"},
       {"end2end, dynamic N", one({1, -1, 6}), 80, "fixed number"},
       {"nothing known", one({-1, -1, -1}), 80, "fixed number"},
       {"classes dynamic, no labels", one({1, -1, 8400}), {}, "labels"},
       {"a side of 0", one({1, 0, 8400}), 80, "out of range"},
       {"a huge side", one({1, 84, std::int64_t{1} << 60}), 80, "out of range"},
       {"no class", one({1, 4, 8400}), {}, "no class"},
       {"no output", {}, 80, "no output"}};
  for (const auto& [name, outputs, labels, part] : cases) {
    const Result<HeadSpec> spec = recognise_head(outputs, k640, labels, std::nullopt);
    ASSERT_FALSE(spec) << name;
    EXPECT_EQ(spec.error().code(), ErrorCode::kUnsupported) << name;
    EXPECT_THAT(spec.error().message(), HasSubstr(part)) << name;
    if (outputs.empty()) continue;
    EXPECT_THAT(spec.error().message(), HasSubstr(outputs.front().name + " [")) << name;
    EXPECT_THAT(spec.error().message(), HasSubstr("\"head: v8|v5|yolox|yolox_decoded|end2end\""))
        << name;
  }
  EXPECT_EQ(recognise_head(one({1, 84, 8400}), {0, 640}, 80, {}).error().code(),
            ErrorCode::kInvalidArgument);
}

TEST(RecogniseHead, RefusesNoneAndMillionsOfBoxes) {
  const std::vector<std::int64_t> shapes[] = {
      {1, 84, 0}, {1, 0, 85}, {1, 0, 6}, {1, 84, 3'000'000}, {1, 3'000'000, 85}, {1, 3'000'000, 6}};
  for (const auto& dims : shapes) {
    const Result<HeadSpec> spec = recognise_head(one(dims), k640, 80, std::nullopt);
    ASSERT_FALSE(spec) << dims[1] << " x " << dims[2];
    EXPECT_EQ(spec.error().code(), ErrorCode::kUnsupported);
    EXPECT_THAT(spec.error().message(), HasSubstr("output0"));
    EXPECT_THAT(spec.error().message(), HasSubstr("head"));
  }
}

TEST(RecogniseHead, OverrideReadsTheFirstOutput) {
  const OutputShape masks{"output1", {1, 32, 160, 160}};
  Result<HeadSpec> spec = recognise_head(
      std::vector<OutputShape>{{"output0", {1, 116, 8400}}, masks}, k640, 80, HeadKind::kV8);
  ASSERT_TRUE(spec) << spec.error().message();
  EXPECT_EQ(spec->class_count, 80);
  EXPECT_EQ(spec->extra_count, 32);
  EXPECT_EQ(value_count_per_candidate(*spec), 116U);

  spec = recognise_head(one({1, 56, 8400}), k640, 1, HeadKind::kV8);  // pose
  ASSERT_TRUE(spec) << spec.error().message();
  EXPECT_EQ(spec->class_count, 1);
  EXPECT_EQ(spec->extra_count, 51);

  spec = recognise_head(one({1, 8400, 85}), k640, 80, HeadKind::kYoloxDecoded);
  ASSERT_TRUE(spec) << spec.error().message();
  EXPECT_EQ(spec->kind, HeadKind::kYoloxDecoded);

  spec = recognise_head(one({1, 999, 85}), k640, 80, HeadKind::kV5);  // a grid of its own
  ASSERT_TRUE(spec) << spec.error().message();
  EXPECT_EQ(spec->candidate_count, 999);

  spec = recognise_head(one({-1, -1, -1}), k640, 80, HeadKind::kV8);
  ASSERT_TRUE(spec) << spec.error().message();
  EXPECT_EQ(spec->candidate_count, 8400);

  EXPECT_FALSE(recognise_head(one({1, 84, 8400}), k640, 80, HeadKind::kYolox));
  EXPECT_FALSE(recognise_head(one({1, 84, 8400}), k640, 80, HeadKind::kEnd2End));
  EXPECT_FALSE(recognise_head(one({1, 84, 8400}), k640, 90, HeadKind::kV8));
}

TEST(RecogniseHead, NeverCrashesOnAnyShape) {
  std::mt19937 rng(3);
  const std::int64_t sides[] = {
      -2, -1, 0,   1,   4,    5,     6,       7,
      84, 85, 300, 336, 8400, 25200, 1 << 30, std::numeric_limits<std::int64_t>::max()};
  for (int round = 0; round < 20'000; ++round) {
    std::vector<OutputShape> outputs(rng() % 3);
    for (OutputShape& output : outputs) {
      output.dims.resize(rng() % 5);
      for (std::int64_t& side : output.dims) side = sides[rng() % std::size(sides)];
    }
    const Size input{static_cast<int>(rng() % 1300) - 2, static_cast<int>(rng() % 1300) - 2};
    std::optional<int> labels;
    if (rng() % 2 == 0) labels = static_cast<int>(rng() % 90) - 2;
    std::optional<HeadKind> kind;
    if (rng() % 2 == 0) kind = static_cast<HeadKind>(rng() % 5);
    const Result<HeadSpec> spec = recognise_head(outputs, input, labels, kind);
    if (!spec) continue;
    EXPECT_GT(spec->candidate_count, 0);
    EXPECT_GE(spec->class_count, spec->kind == HeadKind::kEnd2End ? 0 : 1);
    EXPECT_GE(spec->extra_count, 0);
  }
}

TEST(HeadKindNames, GoBothWays) {
  for (const HeadKind kind : {HeadKind::kV8, HeadKind::kV5, HeadKind::kYolox,
                              HeadKind::kYoloxDecoded, HeadKind::kEnd2End}) {
    const Result<HeadKind> parsed = parse_head_kind(to_string(kind));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, kind);
  }
  EXPECT_EQ(parse_head_kind("auto").error().code(), ErrorCode::kInvalidArgument);
  EXPECT_FALSE(parse_head_kind(""));
}

// ---- Decoding.

/// An output to write by candidate and column.
class Output {
 public:
  explicit Output(const HeadSpec& spec)
      : spec_(spec),
        values_(static_cast<std::size_t>(spec.candidate_count) * value_count_per_candidate(spec)) {}
  float& at(std::size_t candidate, std::size_t column) {
    if (spec_.kind == HeadKind::kV8 && !spec_.is_transposed)
      return values_[column * static_cast<std::size_t>(spec_.candidate_count) + candidate];
    return values_[candidate * value_count_per_candidate(spec_) + column];
  }
  void set(std::size_t candidate, std::initializer_list<float> columns) {
    std::size_t column = 0;
    for (const float value : columns) at(candidate, column++) = value;
  }
  [[nodiscard]] std::vector<float>& values() { return values_; }
  [[nodiscard]] const HeadSpec& spec() const { return spec_; }

 private:
  HeadSpec spec_;
  std::vector<float> values_;
};

std::vector<Detection> decode(Output& output, float score_min) {
  std::vector<Detection> found{Detection{}};  // what was inside must go
  decode_head(output.spec(), output.values(), score_min, found);
  return found;
}

TEST(DecodeHead, ReadsV8InBothOrientations) {
  for (const bool is_transposed : {false, true}) {
    Output output({.kind = HeadKind::kV8,
                   .class_count = 3,
                   .candidate_count = 21,
                   .is_transposed = is_transposed,
                   .extra_count = 2,
                   .input = {32, 32}});
    output.set(4, {10, 20, 4, 8, 0.1F, 0.7F, 0.2F, 99, 99});
    output.set(20, {16, 16, 2, 2, 0.5F, 0.5F, 0.4F, 99, 99});  // ties: the lower id
    output.set(5, {10, 20, 4, 8, 0.39F, 0, 0, 99, 99});
    EXPECT_THAT(decode(output, 0.4F), testing::ElementsAre(Detection{1, 0.7F, {8, 16, 12, 24}},
                                                           Detection{0, 0.5F, {15, 15, 17, 17}}));
  }
}

TEST(DecodeHead, ReadsV5Normalized) {
  Output output({.kind = HeadKind::kV5,
                 .class_count = 2,
                 .candidate_count = 3,
                 .is_normalized = true,
                 .input = {640, 320}});
  output.set(0, {0.5F, 0.5F, 0.25F, 0.5F, 0.5F, 0.25F, 1});
  output.set(1, {0.5F, 0.5F, 0.25F, 0.5F, 0.9F, 0.2F, 0.2F});  // .18
  output.set(2, {0.5F, 0.5F, 0.25F, 0.5F, 0.1F, 1, 1});
  EXPECT_THAT(decode(output, 0.3F), testing::ElementsAre(Detection{1, 0.5F, {240, 80, 400, 240}}));
}

TEST(DecodeHead, ReadsYoloxOnEachGrid) {
  // 64x32: 8x4 cells of 8, then 4x2 of 16, then 2x1 of 32.
  Output output(
      {.kind = HeadKind::kYolox, .class_count = 1, .candidate_count = 42, .input = {64, 32}});
  output.set(9, {0.5F, 0.25F, 0, std::log(2.0F), 1, 0.5F});  // cell (1, 1) of stride 8
  output.set(37, {0, 0, 0, 0, 1, 0.75F});                    // cell (1, 1) of stride 16
  output.set(41, {-0.5F, 0.5F, 0, 0, 1, 1});                 // cell (1, 0) of stride 32
  const std::vector<Detection> found = decode(output, 0.4F);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_FLOAT_EQ(found[0].box.x1, 8);
  EXPECT_FLOAT_EQ(found[0].box.y1, 2);
  EXPECT_FLOAT_EQ(found[0].box.x2, 16);
  EXPECT_FLOAT_EQ(found[0].box.y2, 18);
  EXPECT_EQ(found[1].box, (Box{8, 8, 24, 24}));
  EXPECT_EQ(found[2].box, (Box{0, 0, 32, 32}));
}

TEST(DecodeHead, ReadsEnd2End) {
  Output output(
      {.kind = HeadKind::kEnd2End, .class_count = 80, .candidate_count = 5, .input = k640});
  output.set(0, {1, 2, 3, 4, 0.9F, 7});
  output.set(1, {3, 4, 1, 2, 0.9F, 7});   // turned round
  output.set(2, {1, 2, 3, 4, 0.9F, 80});  // no such class
  output.set(3, {1, 2, 3, 4, 0.9F, -1});
  EXPECT_THAT(decode(output, 0), testing::ElementsAre(Detection{7, 0.9F, {1, 2, 3, 4}}));
}

TEST(DecodeHead, SkipsWhatIsNotFinite) {
  Output output(
      {.kind = HeadKind::kV8, .class_count = 3, .candidate_count = 21, .input = {32, 32}});
  output.set(0, {10, 20, 4, 8, kInf, 0.7F, kNan});  // the finite score counts
  output.set(1, {kNan, 20, 4, 8, 0.9F});
  output.set(2, {10, kInf, 4, 8, 0.9F});
  output.set(3, {10, 20, 4, kNan, 0.9F});
  output.set(4, {3e38F, 20, 3e38F, 8, 0.9F});  // overflows
  output.set(5, {10, 20, -4, 8, 0.9F});
  output.set(6, {10, 20, 0, 8, 0.9F});
  output.set(7, {10, 20, 4, 8, 1.0004F});
  EXPECT_THAT(decode(output, 0.5F), testing::ElementsAre(Detection{1, 0.7F, {8, 16, 12, 24}},
                                                         Detection{0, 1.0F, {8, 16, 12, 24}}));
}

TEST(DecodeHead, GivesNothingForAnotherSize) {
  const HeadSpec spec{
      .kind = HeadKind::kV8, .class_count = 3, .candidate_count = 21, .input = {32, 32}};
  const std::vector<float> output(7 * 21 - 1, 1.0F);
  std::vector<Detection> found{Detection{}};
  decode_head(spec, output, 0.1F, found);
  EXPECT_TRUE(found.empty());
}

/// Written for being obvious: every candidate, every class, from the definitions.
std::vector<Detection> slow_decode(Output& output, float score_min) {
  const HeadSpec& spec = output.spec();
  const bool has_objectness = spec.kind != HeadKind::kV8;
  std::vector<Detection> found;
  std::vector<std::tuple<int, int, int>> cells;
  for (const int stride : {8, 16, 32})
    for (int y = 0; y < (spec.input.height + stride - 1) / stride; ++y)
      for (int x = 0; x < (spec.input.width + stride - 1) / stride; ++x)
        cells.emplace_back(x, y, stride);
  for (int n = 0; n < spec.candidate_count; ++n) {
    const auto i = static_cast<std::size_t>(n);
    float x = output.at(i, 0), y = output.at(i, 1), w = output.at(i, 2), h = output.at(i, 3);
    const float objectness = has_objectness ? output.at(i, 4) : 1.0F;
    int best_class = -1;
    float best = 0;
    for (int c = 0; c < spec.class_count; ++c) {
      const float score = output.at(i, static_cast<std::size_t>(c) + (has_objectness ? 5 : 4));
      if (!std::isfinite(score)) continue;
      if (best_class < 0 || score > best) {
        best_class = c;
        best = score;
      }
    }
    if (best_class < 0 || !std::isfinite(objectness) || objectness < score_min) continue;
    const float score = std::min(1.0F, objectness) * std::min(1.0F, best);
    if (!(score >= score_min)) continue;
    if (spec.kind == HeadKind::kYolox) {
      const auto [cell_x, cell_y, stride] = cells[i];
      const auto s = static_cast<float>(stride);
      x = (x + static_cast<float>(cell_x)) * s;
      y = (y + static_cast<float>(cell_y)) * s;
      w = std::exp(w) * s;
      h = std::exp(h) * s;
    }
    const float across = spec.is_normalized ? static_cast<float>(spec.input.width) : 1.0F;
    const float down = spec.is_normalized ? static_cast<float>(spec.input.height) : 1.0F;
    const Box box{(x - w / 2) * across, (y - h / 2) * down, (x + w / 2) * across,
                  (y + h / 2) * down};
    if (std::isfinite(box.x1) && std::isfinite(box.x2) && std::isfinite(box.y1) &&
        std::isfinite(box.y2) && box.x2 > box.x1 && box.y2 > box.y1)
      found.push_back({best_class, score, box});
  }
  return found;
}

TEST(DecodeHead, EqualsTheSlowVersionOnAnything) {
  std::mt19937 rng(5);
  std::uniform_real_distribution<float> unit(0, 1);
  for (int round = 0; round < 400; ++round) {
    const Size input{static_cast<int>(rng() % 5 + 1) * 32, static_cast<int>(rng() % 5 + 1) * 32};
    const int cells = input.width * input.height * 21 / 1024;
    const auto kind = static_cast<HeadKind>(rng() % 4);
    HeadSpec spec{.kind = kind,
                  .class_count = static_cast<int>(rng() % 20) + 1,
                  .candidate_count = kind == HeadKind::kV5 ? 3 * cells : cells,
                  .is_normalized = kind != HeadKind::kYolox && rng() % 2 == 0,
                  .is_transposed = kind == HeadKind::kV8 && rng() % 2 == 0,
                  .extra_count = static_cast<int>(rng() % 3),
                  .input = input};
    Output output(spec);
    const bool is_wild = rng() % 2 == 0;
    for (float& value : output.values()) {
      const std::uint32_t pick = is_wild ? rng() % 64 : 9;
      value = pick == 0   ? kNan
              : pick == 1 ? kInf
              : pick == 2 ? -kInf
              : pick == 3 ? 3.3e38F
              : pick == 4 ? -3.3e38F
              : pick == 5 ? 1e-42F
              : pick == 6 ? 500.0F
                          : unit(rng);
    }
    const float score_min = std::array{0.0F, 0.1F, 0.6F, 0.95F}[rng() % 4];
    const std::vector<Detection> found = decode(output, score_min);
    const std::vector<Detection> want = slow_decode(output, score_min);
    ASSERT_EQ(found.size(), want.size()) << round;
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i], want[i]) << round;
      ASSERT_LE(found[i].score, 1.0F);
      ASSERT_TRUE(std::isfinite(found[i].box.x1 + found[i].box.x2)) << round;
    }
  }
}

// ---- Values.

/// What a trained v8 gives: boxes near their cells, scores small but for one.
Output plausible(HeadKind kind, bool is_normalized = false, int class_count = 4) {
  Output output({.kind = kind,
                 .class_count = class_count,
                 .candidate_count = kind == HeadKind::kV5        ? 3 * 336
                                    : kind == HeadKind::kEnd2End ? 300
                                                                 : 336,
                 .input = {128, 128}});
  std::mt19937 rng(2);
  std::uniform_real_distribution<float> unit(0, 1);
  const float scale = is_normalized ? 1.0F / 128 : 1.0F;
  const auto count = static_cast<std::size_t>(output.spec().candidate_count);
  for (std::size_t i = 0; i < count; ++i) {
    if (kind == HeadKind::kEnd2End) {
      output.set(i, {5 * scale, 6 * scale, 90 * scale, 99 * scale, 0.9F / static_cast<float>(i + 1),
                     static_cast<float>(i % 4)});
      continue;
    }
    const std::size_t cell = i % 336;
    const std::size_t stride = cell < 256 ? 8 : cell < 320 ? 16 : 32;
    const std::size_t in_level = cell < 256 ? cell : cell < 320 ? cell - 256 : cell - 320;
    const std::size_t across = 128 / stride;
    const float x =
        (static_cast<float>(in_level % across) + unit(rng)) * static_cast<float>(stride);
    const float y =
        (static_cast<float>(in_level / across) + unit(rng)) * static_cast<float>(stride);
    if (kind == HeadKind::kYolox)
      output.set(i, {unit(rng) * 4 - 2, unit(rng) * 4 - 2, unit(rng) * 3 - 1, unit(rng) * 3 - 1});
    else
      output.set(i, {x * scale, y * scale, 20 * scale, 30 * scale});
    for (std::size_t c = 4; c < value_count_per_candidate(output.spec()); ++c)
      output.at(i, c) = 1e-6F * unit(rng);
  }
  return output;
}

Result<HeadSpec> settle(Output& output) {
  return settle_by_values(output.spec(), output.values(), "output0", false);
}

TEST(SettleByValues, TellsPixelsFromUnits) {
  for (const HeadKind kind : {HeadKind::kV8, HeadKind::kV5, HeadKind::kEnd2End}) {
    for (const bool is_normalized : {false, true}) {
      Output output = plausible(kind, is_normalized);
      const Result<HeadSpec> spec = settle(output);
      ASSERT_TRUE(spec) << to_string(kind) << spec.error().message();
      EXPECT_EQ(spec->is_normalized, is_normalized) << to_string(kind);
      EXPECT_EQ(spec->kind, kind);
    }
  }
}

TEST(SettleByValues, TellsDecodedYoloxFromRaw) {
  Output raw = plausible(HeadKind::kYolox);
  ASSERT_TRUE(settle(raw));
  EXPECT_EQ(settle(raw)->kind, HeadKind::kYolox);
  EXPECT_FALSE(settle(raw)->is_normalized);
  for (const bool is_normalized : {false, true}) {
    Output decoded = plausible(HeadKind::kYoloxDecoded, is_normalized);
    HeadSpec spec = decoded.spec();
    spec.kind = HeadKind::kYolox;  // as recognise_head gives it
    const Result<HeadSpec> settled = settle_by_values(spec, decoded.values(), "output0", false);
    ASSERT_TRUE(settled) << settled.error().message();
    EXPECT_EQ(settled->kind, HeadKind::kYoloxDecoded);
    EXPECT_EQ(settled->is_normalized, is_normalized);
    // The setting is believed.
    EXPECT_EQ(settle_by_values(spec, decoded.values(), "output0", true)->kind, HeadKind::kYolox);
  }
}

TEST(SettleByValues, FindsYoloxBehindADynamicNumberOfCandidates) {
  const Result<HeadSpec> spec = recognise_head(one({1, -1, 9}), {128, 128}, 4, std::nullopt);
  ASSERT_TRUE(spec) << spec.error().message();
  Output raw = plausible(HeadKind::kYolox);
  const Result<HeadSpec> settled = settle_by_values(*spec, raw.values(), "output0", false);
  ASSERT_TRUE(settled) << settled.error().message();
  EXPECT_EQ(settled->kind, HeadKind::kYolox);
  EXPECT_EQ(settled->candidate_count, 336);
  EXPECT_FALSE(settle_by_values(*spec, raw.values(), "output0", true));
}

TEST(SettleByValues, RefusesDeadOutputsAndSaysWhichPart) {
  const auto refusal = [](Output& output) {
    const Result<HeadSpec> spec = settle(output);
    if (spec) return std::string("accepted");
    EXPECT_EQ(spec.error().code(), ErrorCode::kUnsupported);
    return spec.error().message();
  };
  const auto fill = [](Output& output, std::size_t first, std::size_t last, float value) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(output.spec().candidate_count); ++i)
      for (std::size_t c = first; c <= last; ++c) output.at(i, c) = value;
  };
  Output v8 = plausible(HeadKind::kV8, false, 80);
  fill(v8, 4, 83, 0);
  EXPECT_THAT(refusal(v8), HasSubstr("output0: rows 4..83 (class scores) are all 0 "));
  fill(v8, 4, 83, 0.25F);
  EXPECT_THAT(refusal(v8), HasSubstr("rows 4..83 (class scores) are all 0.25 "));
  v8.at(7, 9) = 1e-6F;
  EXPECT_EQ(refusal(v8), "accepted");
  v8.at(7, 9) = 1.2F;
  EXPECT_THAT(refusal(v8), HasSubstr("should lie in 0..1 but reach from 0.25 to 1.2"));
  v8.at(7, 9) = -3;
  EXPECT_THAT(refusal(v8), HasSubstr("reach from -3 to 0.25"));
  v8.at(7, 9) = kNan;
  EXPECT_THAT(refusal(v8), HasSubstr("1 of 28224 values are not finite"));
  EXPECT_THAT(refusal(v8), HasSubstr("candidate 7, value 9"));

  Output v5 = plausible(HeadKind::kV5);
  fill(v5, 4, 4, 0);
  EXPECT_THAT(refusal(v5), HasSubstr("column 4 (objectness) are all 0"));
  fill(v5, 4, 4, 1);  // as YOLOv6 has it
  EXPECT_EQ(refusal(v5), "accepted");
  fill(v5, 5, 8, 0);
  EXPECT_THAT(refusal(v5), HasSubstr("columns 5..8 (class scores) are all 0"));
  fill(v5, 4, 4, 0);
  v5.at(3, 4) = 1;
  v5.at(4, 6) = 1;
  EXPECT_THAT(refusal(v5), HasSubstr("objectness times class score is 0 throughout"));

  Output one_class = plausible(HeadKind::kV8, false, 1);
  fill(one_class, 4, 4, 0);
  EXPECT_THAT(refusal(one_class), HasSubstr("row 4 (class score) are all 0"));

  Output end2end = plausible(HeadKind::kEnd2End);
  fill(end2end, 4, 4, 0);
  EXPECT_THAT(refusal(end2end), HasSubstr("column 4 (score) are all 0"));
  fill(end2end, 0, 5, 0);
  EXPECT_EQ(refusal(end2end), "accepted") << "an empty answer";
  fill(end2end, 5, 5, 0.5F);
  EXPECT_THAT(refusal(end2end), HasSubstr("column 5 should be a class id below 4"));

  v8.values().pop_back();
  EXPECT_THAT(refusal(v8), HasSubstr("has 28223 values"));
}

TEST(SettleByValues, NeverCrashesOnAnyValues) {
  std::mt19937 rng(8);
  const float picks[] = {0, 1, 0.5F, -1, kNan, kInf, -kInf, 3.3e38F, -3.3e38F, 1e-42F, 640};
  for (int round = 0; round < 2'000; ++round) {
    HeadSpec spec{.kind = static_cast<HeadKind>(rng() % 5),
                  .class_count = static_cast<int>(rng() % 3) + 1,
                  .candidate_count = static_cast<int>(rng() % 42),
                  .input = {32, 32}};
    std::vector<float> values(static_cast<std::size_t>(spec.candidate_count) *
                              value_count_per_candidate(spec));
    const std::size_t kinds = rng() % std::size(picks) + 1;
    for (float& value : values) value = picks[rng() % kinds];
    Result<HeadSpec> settled = settle_by_values(spec, values, "output0", rng() % 2 == 0);
    std::vector<Detection> found;
    decode_head(settled ? *settled : spec, values, 0.1F, found);
    for (const Detection& detection : found) {
      ASSERT_TRUE(std::isfinite(detection.box.x1) && std::isfinite(detection.box.y2));
      ASSERT_GE(detection.score, 0.1F);
    }
  }
}

}  // namespace
}  // namespace framemill
