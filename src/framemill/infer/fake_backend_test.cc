#include "framemill/infer/fake_backend.h"

#include <future>
#include <vector>

#include <gtest/gtest.h>

#include "framemill/infer/detector.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

Result<void> run(InferRequest& request) {
  std::promise<Result<void>> done;
  request.start([&done](Result<void> result) { done.set_value(std::move(result)); });
  return done.get_future().get();
}

TEST(FakeBackend, TakesAtLeastItsServiceTime) {
  const auto backend = create_fake_backend({.batch_max = 4, .fixed = 2ms, .per_item = 3ms},
                                           std::make_shared<FakeBackendControl>());
  const auto request = *backend->create_request(4, {640, 384});
  const SystemClock clock;
  const TimePoint begin = clock.now();
  ASSERT_TRUE(run(*request));
  EXPECT_GE(clock.now() - begin, 14ms);
}

TEST(FakeBackend, RunsAsManyAtOnceAsItHasLanes) {
  const auto control = std::make_shared<FakeBackendControl>();
  control->hang = true;
  const auto backend = create_fake_backend({.input = {64, 64}, .parallel_requests = 2}, control);
  std::vector<std::unique_ptr<InferRequest>> requests;
  std::vector<std::promise<Result<void>>> done(3);
  for (auto& promise : done) {
    requests.push_back(*backend->create_request(1, {64, 64}));
    requests.back()->start([&promise](Result<void> result) { promise.set_value(result); });
  }
  EXPECT_EQ(control->started, 3);
  EXPECT_EQ(control->in_flight_peak, 3);
  EXPECT_EQ(control->finished, 0);
  control->hang = false;
  for (auto& promise : done) EXPECT_TRUE(promise.get_future().get());
  EXPECT_EQ(control->finished, 3);
  EXPECT_EQ(control->in_flight, 0);
}

TEST(FakeBackend, IsGoneOutOfMemoryOrSlowOnDemand) {
  const auto control = std::make_shared<FakeBackendControl>();
  const FakeBackendOptions options{
      .input = {64, 64}, .batch_max = 4, .fixed = std::chrono::milliseconds(5)};
  const auto backend = create_fake_backend(options, control);
  const auto one = *backend->create_request(1, {64, 64});
  const auto four = *backend->create_request(4, {64, 64});
  control->memory_frames = 2;
  EXPECT_TRUE(run(*one));
  EXPECT_EQ(run(*four).error().code(), ErrorCode::kResourceExhausted);
  control->memory_frames = 0;
  EXPECT_TRUE(run(*four));
  control->slowdown = 10;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(run(*one));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(50));
  control->slowdown = 1;
  control->gone = true;
  EXPECT_EQ(run(*one).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(backend->create_request(1, {64, 64}).error().code(), ErrorCode::kUnavailable);
  control->gone = false;
  EXPECT_TRUE(run(*one));
  ++control->lives;  // another device in its place
  EXPECT_EQ(run(*one).error().code(), ErrorCode::kUnavailable);
  const auto again = create_fake_backend(options, control);
  EXPECT_TRUE(run(**again->create_request(1, {64, 64})));
}

TEST(FakeBackend, FailsOnDemand) {
  const auto control = std::make_shared<FakeBackendControl>();
  const auto backend = create_fake_backend({.input = {64, 64}}, control);
  const auto request = *backend->create_request(1, {64, 64});
  control->fail_all = true;
  const Result<void> failed = run(*request);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), ErrorCode::kInternal);
  control->fail_all = false;
  EXPECT_TRUE(run(*request));
}

TEST(FakeBackend, AHangingRequestEndsWhenItIsGivenUp) {
  const auto control = std::make_shared<FakeBackendControl>();
  control->hang = true;
  const auto backend = create_fake_backend({.input = {64, 64}}, control);
  auto request = *backend->create_request(1, {64, 64});
  std::promise<Result<void>> done;
  request->start([&done](Result<void> result) { done.set_value(result); });
  request.reset();
  const Result<void> result = done.get_future().get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), ErrorCode::kCancelled);
}

TEST(FakeBackend, RefusesShapesItDoesNotHave) {
  const auto backend =
      create_fake_backend({.batch_max = 2}, std::make_shared<FakeBackendControl>());
  EXPECT_FALSE(backend->create_request(0, {640, 384}));
  EXPECT_FALSE(backend->create_request(3, {640, 384}));
  EXPECT_FALSE(backend->create_request(1, {640, 640}));
  EXPECT_TRUE(backend->create_request(2, {640, 384}));
}

/// A grey picture with a white rectangle.
Picture picture_with_object(Size size, const Box& object) {
  auto samples = std::make_shared<std::vector<std::uint8_t>>(
      static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height), 60);
  for (int y = static_cast<int>(object.y1); y < static_cast<int>(object.y2); ++y)
    for (int x = static_cast<int>(object.x1); x < static_cast<int>(object.x2); ++x)
      (*samples)[static_cast<std::size_t>(y) * static_cast<std::size_t>(size.width) +
                 static_cast<std::size_t>(x)] = 255;
  Picture picture{.format = PixelFormat::kGray, .range = ColorRange::kFull, .size = size};
  picture.planes[0] = {samples->data(), size.width};
  picture.owner = samples;
  return picture;
}

TEST(FakeBackend, DetectsTheBrightObjectInEachItemOfABatch) {
  const auto detector =
      Detector::create(create_fake_backend({.class_count = 3, .batch_max = 2},
                                           std::make_shared<FakeBackendControl>()),
                       {.batch_max = 2});
  ASSERT_TRUE(detector) << detector.error().message();
  auto request = (*detector)->create_request(2, {640, 384});
  ASSERT_TRUE(request);
  // 640x360 lies 12 rows down in 640x384, so these edges are on the fake's 32-pixel grid.
  const Box first{64, 84, 128, 148};
  const Box second{320, 148, 480, 244};
  ASSERT_TRUE((*request)->set_picture(0, picture_with_object({640, 360}, first)));
  ASSERT_TRUE((*request)->set_picture(1, picture_with_object({640, 360}, second)));
  std::promise<Result<void>> done;
  (*request)->start([&done](Result<void> result) { done.set_value(result); });
  ASSERT_TRUE(done.get_future().get());
  const std::vector<Detection> in_first = (*request)->detections(0);
  const std::vector<Detection> in_second = (*request)->detections(1);
  ASSERT_EQ(in_first.size(), 1U);
  ASSERT_EQ(in_second.size(), 1U);
  EXPECT_EQ(in_first[0].box, first);
  EXPECT_EQ(in_second[0].box, second);
  EXPECT_EQ(in_first[0].class_id, 0);
  EXPECT_NEAR(in_first[0].score, 0.9F, 1e-6);
}

}  // namespace
}  // namespace framemill
