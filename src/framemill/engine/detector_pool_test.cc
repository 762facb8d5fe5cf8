// What the pool does with its requests, over a backend that fails on demand.
#include "framemill/engine/detector_pool.h"

#include <atomic>
#include <future>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "framemill/infer/fake_backend.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

/// Holds on to its callback until it is started again or destroyed, as OpenVINO's requests do.
class KeepingRequest final : public InferRequest {
 public:
  KeepingRequest(std::unique_ptr<InferRequest> inner, std::shared_ptr<std::atomic<int>> alive)
      : alive_(std::move(alive)), inner_(std::move(inner)) {
    ++*alive_;
  }
  KeepingRequest(const KeepingRequest&) = delete;
  ~KeepingRequest() override { --*alive_; }

  std::size_t batch() const override { return inner_->batch(); }
  Size input_size() const override { return inner_->input_size(); }
  std::span<float> input(std::size_t item) override { return inner_->input(item); }
  void start(std::function<void(Result<void>)> done) override {
    done_ = std::move(done);
    inner_->start(done_);
  }
  std::span<const float> output(std::size_t item) override { return inner_->output(item); }

 private:
  const std::shared_ptr<std::atomic<int>> alive_;
  std::function<void(Result<void>)> done_;
  const std::unique_ptr<InferRequest> inner_;  // last: waits for the callback to return
};

class KeepingBackend final : public Backend {
 public:
  KeepingBackend(std::unique_ptr<Backend> inner, std::shared_ptr<std::atomic<int>> alive)
      : inner_(std::move(inner)), alive_(std::move(alive)) {}
  const ModelFacts& facts() const override { return inner_->facts(); }
  Result<std::unique_ptr<InferRequest>> create_request(std::size_t batch, Size input) override {
    Result<std::unique_ptr<InferRequest>> inner = inner_->create_request(batch, input);
    if (!inner) return fail(inner.error());
    return std::unique_ptr<InferRequest>(
        std::make_unique<KeepingRequest>(std::move(*inner), alive_));
  }

 private:
  const std::unique_ptr<Backend> inner_;
  const std::shared_ptr<std::atomic<int>> alive_;
};

class DetectorPoolTest : public testing::Test {
 protected:
  DetectorPoolTest() {
    auto backend = std::make_unique<KeepingBackend>(
        create_fake_backend({.input = {64, 64}}, control_), alive_);
    Result<std::unique_ptr<Detector>> detector = Detector::create(std::move(backend), {});
    CHECK(detector.has_value());
    std::vector<std::shared_ptr<const Detector>> detectors;
    detectors.push_back(std::move(*detector));
    pool_ = std::make_unique<DetectorPool>(std::move(detectors), 2, clock_);
  }

  /// Whether a batch of one grey picture succeeded.
  bool infer() {
    auto samples = std::make_shared<std::vector<std::uint8_t>>(32 * 32, 114);
    Picture picture;
    picture.format = PixelFormat::kGray;
    picture.size = {32, 32};
    picture.planes[0] = {samples->data(), 32};
    picture.owner = samples;
    std::promise<bool> promise;
    pool_->submit(
        pool_->lane_for(0, picture.size),
        {InferenceJob{.picture = std::make_shared<const Picture>(picture)}},
        [&promise](BatchOutcome&& outcome) { promise.set_value(outcome.detections.has_value()); });
    return promise.get_future().get();
  }

  const SystemClock clock_;
  const std::shared_ptr<FakeBackendControl> control_ = std::make_shared<FakeBackendControl>();
  const std::shared_ptr<std::atomic<int>> alive_ = std::make_shared<std::atomic<int>>(0);
  std::unique_ptr<DetectorPool> pool_;
};

TEST_F(DetectorPoolTest, KeepsARequestThatWorks) {
  EXPECT_TRUE(infer());
  EXPECT_TRUE(infer());
  EXPECT_EQ(*alive_, 1);
  pool_.reset();
  EXPECT_EQ(*alive_, 0);
}

TEST_F(DetectorPoolTest, LetsGoOfRequestsThatFailed) {
  control_->fail_all = true;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(infer());
  EXPECT_TRUE(pool_->stop(10s));
  EXPECT_EQ(*alive_, 0);
}

TEST_F(DetectorPoolTest, WorksAgainAfterAFailure) {
  control_->fail_all = true;
  EXPECT_FALSE(infer());
  control_->fail_all = false;
  EXPECT_TRUE(infer());
}

}  // namespace
}  // namespace framemill
