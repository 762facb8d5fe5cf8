#include "framemill/engine/model_profiler.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/infer/fake_backend.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(FindKnee, IsWhereTheNextStepGainsTooLittle) {
  const std::vector<std::size_t> doubling{1, 2, 4, 8};
  EXPECT_EQ(find_knee(doubling, {100}, .05), 1U);
  EXPECT_EQ(find_knee(doubling, {100, 104.9}, .05), 1U);
  EXPECT_EQ(find_knee(doubling, {100, 105.1}, .05), 2U);
  EXPECT_EQ(find_knee(doubling, {100, 150, 160, 161}, .05), 4U);
  EXPECT_EQ(find_knee(doubling, {100, 90, 300}, .05), 1U);  // ascending: never looks further
  EXPECT_EQ(find_knee(doubling, {100, 200, 400, 800}, .05), 8U);
  // From 2 to 3 is .585 of a doubling: 2.9 % are asked for.
  const std::vector<std::size_t> ones{1, 2, 3, 4};
  EXPECT_EQ(find_knee(ones, {100, 200, 205}, .05), 2U);
  EXPECT_EQ(find_knee(ones, {100, 200, 207}, .05), 3U);
}

TEST(MakeDistribution, HoldsLeastMedianAndMost) {
  EXPECT_TRUE(make_distribution({}).percentiles.empty());
  const LatencyDistribution one = make_distribution({7ms});
  ASSERT_EQ(one.percentiles.size(), 101U);
  EXPECT_EQ(one.percentiles.front(), 7ms);
  EXPECT_EQ(one.percentiles.back(), 7ms);
  std::vector<Duration> samples;
  for (int i = 200; i >= 0; --i) samples.push_back(i * 1ms);  // falling on purpose
  const LatencyDistribution many = make_distribution(samples);
  EXPECT_EQ(many.percentiles[0], 0ms);
  EXPECT_EQ(many.percentiles[50], 100ms);
  EXPECT_EQ(many.percentiles[95], 190ms);
  EXPECT_EQ(many.percentiles[100], 200ms);
  EXPECT_TRUE(std::ranges::is_sorted(many.percentiles));
  EXPECT_EQ(make_distribution({10ms, 20ms}).percentiles[25], 12500us);
}

TEST(FindSteady, TakesTheWindowsInARowThatDifferLeast) {
  const SteadyWindows steady = find_steady({50, 90, 100, 102, 101, 60}, 3);
  EXPECT_EQ(steady.first, 2U);
  EXPECT_NEAR(steady.spread, 2.0 / 101, 1e-9);
  EXPECT_EQ(find_steady({1, 2, 3}, 3).first, 0U);
}

class ModelProfilerTest : public testing::Test {
 protected:
  ModelProfilerTest() {
    auto samples = std::make_shared<std::vector<std::uint8_t>>(32 * 32, 114);
    auto picture = std::make_shared<Picture>();
    picture->format = PixelFormat::kGray;
    picture->size = {32, 32};
    picture->planes[0] = {samples->data(), 32};
    picture->owner = samples;
    options_.pictures = {picture};
    options_.warm_up = 0ms;
    options_.window = 20ms;
    options_.window_batches_min = 2;
    options_.windows_max = 8;  // a stall of the machine spoils one, and the steadiest count
    options_.is_border_checked = false;
    backend_ = {.input = {64, 64}, .batch_max = 4, .fixed = 10ms, .per_item = 10us};
  }

  ModelProfiler make_profiler() {
    const auto load = [this](std::size_t streams) -> Result<std::unique_ptr<Detector>> {
      ++loads_;
      if (loads_ > loads_max_) return fail(ErrorCode::kResourceExhausted, "no memory");
      FakeBackendOptions backend = backend_;
      backend.parallel_requests = streams == 0 ? run_streams_ : streams;
      DetectorOptions options;
      options.batch_max = backend.batch_max;
      return Detector::create(create_fake_backend(backend, control_), options);
    };
    return ModelProfiler(options_, load, clock_,
                         [this](const std::string& step, double) { steps_.push_back(step); });
  }

  const SystemClock clock_;
  const std::shared_ptr<FakeBackendControl> control_ = std::make_shared<FakeBackendControl>();
  ModelProfilerOptions options_;
  FakeBackendOptions backend_;
  std::size_t run_streams_ = 2;
  int loads_ = 0, loads_max_ = 1000;
  std::vector<std::string> steps_;
};

std::vector<std::tuple<std::size_t, std::size_t>> settings_of(const ModelMeasurement& result) {
  std::vector<std::tuple<std::size_t, std::size_t>> settings;
  for (const ServicePoint& point : result.points) settings.emplace_back(point.batch, point.streams);
  return settings;
}

// The fake takes 10 ms whatever it is given, so throughput doubles with the batch and with the
// streams, and both knees are the largest tried.
TEST_F(ModelProfilerTest, SweepsBatchesAtTheStreamsOfRunThenStreams) {
  options_.streams_max = 2;
  ModelProfiler bench = make_profiler();
  const Result<ModelMeasurement> result = bench.measure();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(result->run_streams, 2U);
  EXPECT_EQ(result->knee_batch, 4U);
  EXPECT_EQ(result->knee_streams, 2U);
  using Setting = std::tuple<std::size_t, std::size_t>;
  EXPECT_THAT(settings_of(*result), ElementsAre(Setting{1, 1}, Setting{4, 1}, Setting{1, 2},
                                                Setting{2, 2}, Setting{4, 2}));
  EXPECT_EQ(control_->in_flight, 0);
  EXPECT_EQ(control_->in_flight_peak, 2);
  for (const ServicePoint& point : result->points) {
    ASSERT_EQ(point.service.percentiles.size(), 101U);
    EXPECT_TRUE(std::ranges::is_sorted(point.service.percentiles));
    EXPECT_GE(point.service.percentiles.front(), 10ms);  // a fake is never faster than it says
    EXPECT_GT(point.frames_per_s, 0);
    EXPECT_LE(point.frames_per_s, static_cast<double>(point.batch * point.streams) / .010 * 1.05);
    EXPECT_EQ(point.decoders, 0U);
  }
  EXPECT_EQ(steps_.front(), "loading");
  EXPECT_THAT(steps_, testing::Contains("batch 4, 1 stream"));
}

// Two in flight of 10 ms and 4 frames each: 800/s, less what handing over takes.
TEST_F(ModelProfilerTest, MeasuresTheSpeedOfOneSettingAlone) {
  ModelProfiler profiler = make_profiler();
  const Result<double> speed = profiler.measure_speed(4);
  ASSERT_TRUE(speed) << speed.error().message();
  EXPECT_LE(*speed, 4 * 2 / .010 * 1.05);
  EXPECT_GT(*speed, 4 * 1 / .010 * .5);
  EXPECT_THAT(steps_, ElementsAre("loading", "batch 4, 2 streams"));
  EXPECT_EQ(control_->in_flight, 0);
}

TEST_F(ModelProfilerTest, MeasuresTheWholeGridWhereAsked) {
  options_.streams_max = 3;
  options_.batch_max = 2;
  options_.is_grid_wanted = true;
  ModelProfiler bench = make_profiler();
  const Result<ModelMeasurement> result = bench.measure();
  ASSERT_TRUE(result) << result.error().message();
  const auto settings = settings_of(*result);
  EXPECT_EQ(std::set(settings.begin(), settings.end()).size(), 6U);
  EXPECT_EQ(settings.size(), 6U);
}

// What the processor's sensors tell is no figure of a card's.
TEST_F(ModelProfilerTest, ReadsTheCardThatTheModelRunsOn) {
  options_.streams_max = 1;
  options_.batch_max = 1;
  run_streams_ = 1;
  options_.cards_before = {
      {.device = "cuda:0", .name = "no device", .memory_used_bytes = 1'000'000}};
  options_.read_cards = [] {
    return std::vector<GpuReading>{{.device = "cuda:0",
                                    .name = "no device",
                                    .memory_used_bytes = 5'000'000,
                                    .temperature_c = 61,
                                    .power_w = 312.5}};
  };
  backend_.device = "cuda:0";
  ModelProfiler card = make_profiler();
  const Result<ModelMeasurement> on_card = card.measure();
  ASSERT_TRUE(on_card) << on_card.error().message();
  EXPECT_EQ(on_card->points.front().device_bytes, 4'000'000);
  EXPECT_EQ(on_card->points.front().temperature_c, 61);
  ASSERT_TRUE(on_card->points.front().power_w);
  EXPECT_NEAR(*on_card->points.front().power_w, 312.5, 1e-6);

  backend_.device = "GPU.0";  // none that can be read
  ModelProfiler other = make_profiler();
  const Result<ModelMeasurement> on_other = other.measure();
  ASSERT_TRUE(on_other) << on_other.error().message();
  EXPECT_FALSE(on_other->points.front().device_bytes);
  EXPECT_FALSE(on_other->points.front().temperature_c);
  EXPECT_FALSE(on_other->points.front().power_w);
}

TEST_F(ModelProfilerTest, SaysThatAModelTakesSinglePicturesOnly) {
  backend_.batch_max = 1;
  options_.streams_max = 1;
  run_streams_ = 1;
  ModelProfiler bench = make_profiler();
  const Result<ModelMeasurement> result = bench.measure();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(result->points.size(), 1U);
  EXPECT_THAT(result->notes, testing::Contains(HasSubstr("single pictures only")));
}

TEST_F(ModelProfilerTest, ASettingThatFailsEndsItsSweepAndIsNoted) {
  options_.streams_max = 1;
  loads_max_ = 3;  // one to look at the model, two settings
  run_streams_ = 1;
  ModelProfiler bench = make_profiler();
  const Result<ModelMeasurement> result = bench.measure();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(result->knee_batch, 2U);
  EXPECT_THAT(result->notes,
              testing::Contains(HasSubstr("batch 4, 1 stream cannot be run: no memory")));
  loads_ = 2;
  ModelProfiler none = make_profiler();
  loads_max_ = 3;
  EXPECT_FALSE(none.measure());  // nothing was measured at all
}

TEST_F(ModelProfilerTest, AFailingDeviceIsAnErrorNotAFigure) {
  bool is_first = true;
  ModelProfiler bench(
      options_,
      [&](std::size_t) -> Result<std::unique_ptr<Detector>> {
        auto detector = Detector::create(create_fake_backend(backend_, control_), {});
        if (!is_first) control_->fail_all = true;  // after its self-test
        is_first = false;
        return detector;
      },
      clock_, [](const std::string&, double) {});
  EXPECT_FALSE(bench.measure());
}

TEST_F(ModelProfilerTest, StopsBetweenAndWithinSettings) {
  ModelProfiler before = make_profiler();
  before.request_stop();
  const Result<ModelMeasurement> none = before.measure();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), ErrorCode::kCancelled);

  options_.window = 1h;  // no window ever ends
  ModelProfiler* running = nullptr;
  ModelProfiler within(
      options_,
      [this](std::size_t) { return Detector::create(create_fake_backend(backend_, control_), {}); },
      clock_,
      [&running](const std::string& step, double) {
        if (step != "loading") running->request_stop();
      });
  running = &within;
  const Result<ModelMeasurement> stopped = within.measure();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), ErrorCode::kCancelled);
  EXPECT_EQ(control_->in_flight, 0);
}

}  // namespace
}  // namespace framemill
