#include "framemill/infer/detector.h"

#include <algorithm>
#include <cmath>
#include <future>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using testing::HasSubstr;

// ---- a backend that answers as the test says

using Answer = std::function<void(std::span<const float> input, std::span<float> output)>;

/// Calls back before start() returns: also a legal backend.
class ScriptedRequest final : public InferRequest {
 public:
  ScriptedRequest(std::size_t batch, Size size, std::size_t output_count, Answer answer)
      : batch_(batch), size_(size), answer_(std::move(answer)) {
    inputs_.resize(batch,
                   std::vector<float>(static_cast<std::size_t>(3 * size.width * size.height)));
    outputs_.resize(batch, std::vector<float>(output_count));
  }
  std::size_t batch() const override { return batch_; }
  Size input_size() const override { return size_; }
  std::span<float> input(std::size_t item) override { return inputs_[item]; }
  void start(std::function<void(Result<void>)> done) override {
    for (std::size_t i = 0; i < batch_; ++i) answer_(inputs_[i], outputs_[i]);
    done({});
  }
  std::span<const float> output(std::size_t item) override { return outputs_[item]; }

 private:
  std::size_t batch_;
  Size size_;
  Answer answer_;
  std::vector<std::vector<float>> inputs_;
  std::vector<std::vector<float>> outputs_;
};

class ScriptedBackend final : public Backend {
 public:
  ScriptedBackend(ModelFacts facts, Answer answer)
      : facts_(std::move(facts)), answer_(std::move(answer)) {}
  const ModelFacts& facts() const override { return facts_; }
  Result<std::unique_ptr<InferRequest>> create_request(std::size_t batch, Size input) override {
    std::size_t count = 1;
    for (std::size_t i = 1; i < 3; ++i)
      count *= static_cast<std::size_t>(facts_.outputs[0].dims[i]);
    return std::unique_ptr<InferRequest>(
        std::make_unique<ScriptedRequest>(batch, input, count, answer_));
  }

 private:
  ModelFacts facts_;
  Answer answer_;
};

constexpr Size kInput{64, 64};

ModelFacts facts_with(std::vector<std::int64_t> dims) {
  ModelFacts facts;
  facts.path = "models/scripted.onnx";
  facts.name = "scripted";
  facts.input = kInput;
  facts.batch_max = 4;
  facts.outputs = {{"output0", std::move(dims)}};
  return facts;
}

float mean(std::span<const float> values) {
  float sum = 0;
  for (const float value : values) sum += value;
  return sum / static_cast<float>(values.size());
}

TEST(DetectorSelfTest, RefusesOutputsThatCannotDetect) {
  const struct {
    const char* name;
    Answer answer;
    const char* says;
  } cases[] = {
      {"all scores 0",
       [](auto, std::span<float> out) {
         std::ranges::fill(out, 0.0F);
         std::fill_n(out.begin(), 4 * 84, 30.0F);
       },
       "all 0"},
      {"not a number",
       [](auto, std::span<float> out) {
         std::ranges::fill(out, 0.5F);
         out[400] = std::nanf("");
       },
       "not finite"},
      {"scores above 1",
       [](auto in, std::span<float> out) { std::ranges::fill(out, 9 + mean(in)); }, "0..1"},
      {"the same for every picture",
       [](auto, std::span<float> out) {
         for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(i) / 1000.0F;
       },
       "does not depend on the input"},
  };
  for (const auto& [name, answer, says] : cases) {
    const auto detector =
        Detector::create(std::make_unique<ScriptedBackend>(facts_with({-1, 5, 84}), answer), {});
    ASSERT_FALSE(detector) << name;
    EXPECT_EQ(detector.error().code(), ErrorCode::kUnsupported) << name;
    EXPECT_THAT(detector.error().message(), HasSubstr(says));
    EXPECT_THAT(detector.error().message(), HasSubstr("models/scripted.onnx"));
    EXPECT_THAT(detector.error().message(), HasSubstr("output0"));
  }
}

TEST(DetectorSelfTest, GivesEveryClassOfAHeadThatDoesNotCountThemALabel) {
  const Answer answer = [](std::span<const float> in, std::span<float> out) {
    for (std::size_t i = 0; i < out.size(); i += 6) {
      const float row[6] = {8,
                            8,
                            40,
                            40,
                            (0.2F + 0.5F * mean(in)) / static_cast<float>(i + 1),
                            static_cast<float>(i / 6 % 3)};
      std::ranges::copy(row, out.begin() + static_cast<std::ptrdiff_t>(i));
    }
  };
  const auto detector =
      Detector::create(std::make_unique<ScriptedBackend>(facts_with({-1, 300, 6}), answer), {});
  ASSERT_TRUE(detector) << detector.error().message();
  EXPECT_EQ((*detector)->head_kind(), HeadKind::kEnd2End);
  EXPECT_EQ((*detector)->labels().at(2), "class 2");
}

// ---- real models, tiny

std::string tiny(const std::string& name) {
  return std::string(FRAMEMILL_SOURCE_DIR) + "/src/framemill/infer/testdata/" + name + ".onnx";
}

class TinyModels : public testing::Test {
 protected:
  void SetUp() override {
    const auto backend = load_backend({.path = tiny("single"), .device = "CPU"});
    if (!backend && backend.error().message().find("FRAMEMILL_OPENVINO") != std::string::npos)
      GTEST_SKIP() << "built without OpenVINO";
  }
  static DetectorOptions options(const std::string& name) {
    return {.backend = {.path = tiny(name), .device = "CPU"}};
  }
};

/// A picture of one colour, by its full-range BT.601 samples.
Picture plain_picture(Size size, std::uint8_t y, std::uint8_t u, std::uint8_t v) {
  const std::size_t plane =
      static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height);
  auto samples = std::make_shared<std::vector<std::uint8_t>>(3 * plane);
  std::fill_n(samples->begin(), plane, y);
  std::fill_n(samples->begin() + static_cast<std::ptrdiff_t>(plane), plane, u);
  std::fill_n(samples->begin() + static_cast<std::ptrdiff_t>(2 * plane), plane, v);
  Picture picture{.format = PixelFormat::kI444, .range = ColorRange::kFull, .size = size};
  for (std::size_t i = 0; i < 3; ++i) picture.planes[i] = {samples->data() + i * plane, size.width};
  picture.owner = samples;
  return picture;
}

Result<std::vector<Detection>> detect(const Detector& detector, const Picture& picture) {
  auto request = detector.create_request(1, detector.input_for(picture.size));
  if (!request) return fail(request.error());
  if (const Result<void> set = (*request)->set_picture(0, picture); !set) return fail(set.error());
  std::promise<Result<void>> done;
  (*request)->start([&done](Result<void> result) { done.set_value(std::move(result)); });
  if (const Result<void> result = done.get_future().get(); !result) return fail(result.error());
  return (*request)->detections(0);
}

float tiny_score(float blue) { return 1 / (1 + std::exp(2 - 4 * blue)); }

TEST_F(TinyModels, SeeRedGreenAndBlueBetween0And1) {
  const auto detector = Detector::load(options("plain"));
  ASSERT_TRUE(detector) << detector.error().message();
  EXPECT_EQ((*detector)->labels(), std::vector<std::string>{"mill"});
  EXPECT_EQ((*detector)->score(), 0.35F);
  EXPECT_EQ((*detector)->nms_iou(), 0.65F);
  EXPECT_EQ((*detector)->variant_name({64, 64}), "plain");
  // Y 128, U 192, V 128 is r 128, g 106, b 241.
  const auto detections = detect(**detector, plain_picture({64, 64}, 128, 192, 128));
  ASSERT_TRUE(detections);
  ASSERT_EQ(detections->size(), 1U);
  const float r = 128 / 255.0F, g = 106 / 255.0F, b = 241.4F / 255.0F;
  EXPECT_NEAR((*detections)[0].score, tiny_score(b), 0.005);
  EXPECT_NEAR((*detections)[0].box.x1, std::max(64 * (r - b / 2), 0.0F), 0.2);
  EXPECT_NEAR((*detections)[0].box.x2, 64 * (r + b / 2), 0.2);
  EXPECT_NEAR((*detections)[0].box.y1, 64 * (g - r / 2), 0.2);
  EXPECT_NEAR((*detections)[0].box.y2, 64 * (g + r / 2), 0.2);
}

TEST_F(TinyModels, FollowTheirOwnMetadata) {
  const auto detector = Detector::load(options("bgr_bytes"));
  ASSERT_TRUE(detector) << detector.error().message();
  EXPECT_EQ((*detector)->style().channels, ChannelOrder::kBgr);
  EXPECT_EQ((*detector)->style().range, ValueRange::kByte);
  EXPECT_EQ((*detector)->style().place, LetterboxPlace::kTopLeft);
  EXPECT_EQ((*detector)->score(), 0.5F);
  EXPECT_EQ((*detector)->nms_iou(), 0.45F);

  DetectorOptions stronger = options("bgr_bytes");
  stronger.score = 0.2F;
  stronger.nms_iou = 0.7F;
  stronger.channels = ChannelOrder::kRgb;
  stronger.range = ValueRange::kUnit;
  stronger.place = LetterboxPlace::kCenter;
  stronger.labels = {"stone"};
  const auto overridden = Detector::load(stronger);
  ASSERT_TRUE(overridden) << overridden.error().message();
  EXPECT_EQ((*overridden)->style().channels, ChannelOrder::kRgb);
  EXPECT_EQ((*overridden)->score(), 0.2F);
  EXPECT_EQ((*overridden)->nms_iou(), 0.7F);
  EXPECT_EQ((*overridden)->labels()[0], "stone");
}

TEST_F(TinyModels, AreRefusedWithFileAndRemedy) {
  DetectorOptions wrong_labels = options("single");
  wrong_labels.labels = {"a", "b"};
  DetectorOptions latin_labels = options("single");
  latin_labels.labels = {"T\xfcre"};
  const struct {
    DetectorOptions options;
    ErrorCode code;
    const char* says;
  } cases[] = {
      {options("dead"), ErrorCode::kUnsupported, "all 0"},
      {options("two_outputs"), ErrorCode::kUnsupported, "output"},
      {options("ignores_input"), ErrorCode::kUnsupported, "does not depend on the input"},
      {options("wrong_metadata"), ErrorCode::kInvalidArgument, "rgb, bgr"},
      {options("three_names"), ErrorCode::kInvalidArgument, "3 labels"},
      {wrong_labels, ErrorCode::kInvalidArgument, "2 labels are given by the settings"},
      {latin_labels, ErrorCode::kInvalidArgument, "label 0 (of the settings) is not UTF-8"},
  };
  for (const auto& [options, code, says] : cases) {
    const auto detector = Detector::load(options);
    ASSERT_FALSE(detector) << options.backend.path;
    EXPECT_EQ(detector.error().code(), code) << detector.error().message();
    EXPECT_THAT(detector.error().message(), HasSubstr(says));
    EXPECT_THAT(detector.error().message(), HasSubstr(options.backend.path));
  }
}

TEST_F(TinyModels, ThatMixABatchAreRefusedForBatchesOnly) {
  DetectorOptions one = options("mixes_batch");
  EXPECT_TRUE(Detector::load(one));
  DetectorOptions batches = options("mixes_batch");
  batches.batch_max = 4;
  const auto refused = Detector::load(batches);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message(), HasSubstr("mixes the pictures of a batch"));
  DetectorOptions sound = options("plain");
  sound.batch_max = 4;
  EXPECT_TRUE(Detector::load(sound));
}

TEST_F(TinyModels, OfAnySizeGetTheSizeThatFitsTheCamera) {
  const auto detector = Detector::load(options("any_size"));
  ASSERT_TRUE(detector) << detector.error().message();
  EXPECT_EQ((*detector)->input_for({1920, 1080}), (Size{320, 192}));  // metadata imgsz is 320
  EXPECT_EQ((*detector)->input_for({600, 600}), (Size{320, 320}));
  EXPECT_EQ((*detector)->variant_name({320, 192}), "any_size@320x192");
  EXPECT_EQ((*detector)->labels(), std::vector<std::string>{"class 0"});
  for (const Size size : {Size{1920, 1080}, Size{600, 600}, Size{480, 640}}) {
    const auto detections = detect(**detector, plain_picture(size, 200, 128, 128));
    ASSERT_TRUE(detections) << detections.error().message();
    ASSERT_FALSE(detections->empty());
    EXPECT_NEAR((*detections)[0].score, tiny_score(200 / 255.0F), 0.005);
  }
}

TEST_F(TinyModels, TellTheirServiceTime) {
  const auto detector = Detector::load(options("plain"));
  ASSERT_TRUE(detector);
  const auto time = (*detector)->measure_service_time(2, {64, 64}, 5);
  ASSERT_TRUE(time) << time.error().message();
  EXPECT_GT(time->median, Duration(0));
  EXPECT_GE(time->p95, time->median);
  EXPECT_GT(time->items_per_second, 0);
  EXPECT_FALSE((*detector)->measure_service_time(2, {64, 64}, 0));
}

TEST(FitInput, TakesTheMultiplesThatCoverTheAspect) {
  const struct {
    Size source;
    int multiple, side_max;
    Size want;
  } cases[] = {
      {{1920, 1080}, 32, 640, {640, 384}}, {{1080, 1920}, 32, 640, {384, 640}},
      {{640, 480}, 32, 640, {640, 480}},   {{500, 500}, 32, 640, {640, 640}},
      {{1920, 1080}, 64, 640, {640, 384}}, {{10'000, 10}, 32, 640, {640, 32}},
      {{352, 288}, 32, 416, {416, 352}},   {{0, 0}, 32, 640, {640, 640}},
      {{1920, 1080}, 32, 20, {32, 32}},
  };
  for (const auto& [source, multiple, side_max, want] : cases)
    EXPECT_EQ(fit_input(source, multiple, side_max), want) << source.width << "x" << source.height;
}

}  // namespace
}  // namespace framemill
