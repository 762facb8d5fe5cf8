// What the pool does with its requests, over a backend that fails on demand.
#include "framemill/engine/detector_pool.h"

#include <array>
#include <atomic>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
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

/// Who reads outputs: a reader waits until there are two, or a while.
struct Readers {
  std::mutex mu;
  std::condition_variable changed;
  std::set<std::thread::id> threads;
  void enter() {
    std::unique_lock lock(mu);
    threads.insert(std::this_thread::get_id());
    changed.notify_all();
    changed.wait_for(lock, std::chrono::seconds(5), [this] { return threads.size() >= 2; });
  }
};

class WatchedRequest final : public InferRequest {
 public:
  WatchedRequest(std::unique_ptr<InferRequest> inner, std::shared_ptr<Readers> readers)
      : inner_(std::move(inner)), readers_(std::move(readers)) {}
  std::size_t batch() const override { return inner_->batch(); }
  Size input_size() const override { return inner_->input_size(); }
  std::span<float> input(std::size_t item) override { return inner_->input(item); }
  void start(std::function<void(Result<void>)> done) override { inner_->start(std::move(done)); }
  std::span<const float> output(std::size_t item) override {
    if (batch() > 4) readers_->enter();
    return inner_->output(item);
  }

 private:
  const std::unique_ptr<InferRequest> inner_;
  const std::shared_ptr<Readers> readers_;
};

class WatchedBackend final : public Backend {
 public:
  explicit WatchedBackend(std::shared_ptr<Readers> readers)
      : inner_(create_fake_backend({.input = {128, 128}, .batch_max = 32},
                                   std::make_shared<FakeBackendControl>())),
        readers_(std::move(readers)) {}
  const ModelFacts& facts() const override { return inner_->facts(); }
  Result<std::unique_ptr<InferRequest>> create_request(std::size_t batch, Size input) override {
    Result<std::unique_ptr<InferRequest>> inner = inner_->create_request(batch, input);
    if (!inner) return fail(inner.error());
    return std::unique_ptr<InferRequest>(
        std::make_unique<WatchedRequest>(*std::move(inner), readers_));
  }

 private:
  const std::unique_ptr<Backend> inner_;
  const std::shared_ptr<Readers> readers_;
};

/// 128x128, dark, with a bright cell of 32x32 in column and row `place` % 3 + 1 and `place` / 3
/// + 1.
std::shared_ptr<const Picture> picture_with_object(int place) {
  auto samples = std::make_shared<std::vector<std::uint8_t>>(128 * 128, 20);
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 32; ++x)
      (*samples)[static_cast<std::size_t>(128 * (32 * (place / 3 % 3 + 1) + y) +
                                          32 * (place % 3 + 1) + x)] = 235;
  auto picture = std::make_shared<Picture>();
  picture->format = PixelFormat::kGray;
  picture->size = {128, 128};
  picture->planes[0] = {samples->data(), 128};
  picture->owner = samples;
  return picture;
}

class LargeBatches : public testing::Test {
 protected:
  LargeBatches() {
    Result<std::unique_ptr<Detector>> detector =
        Detector::create(std::make_unique<WatchedBackend>(readers_), {});
    CHECK(detector.has_value());
    std::vector<std::shared_ptr<const Detector>> detectors;
    detectors.push_back(*std::move(detector));
    pool_ = std::make_unique<DetectorPool>(std::move(detectors), 3, clock_);
  }

  BatchOutcome infer(const std::vector<std::shared_ptr<const Picture>>& pictures) {
    std::vector<InferenceJob> jobs;
    for (const auto& picture : pictures) jobs.push_back({.picture = picture});
    std::promise<BatchOutcome> promise;
    pool_->submit(pool_->lane_for(0, {128, 128}), std::move(jobs), [&promise](BatchOutcome&& done) {
      promise.set_value(std::move(done));  // throws, and ends the test, if it is called twice
    });
    return promise.get_future().get();
  }

  const SystemClock clock_;
  const std::shared_ptr<Readers> readers_ = std::make_shared<Readers>();
  std::unique_ptr<DetectorPool> pool_;
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
        create_fake_backend({.input = {64, 64}, .batch_max = 4}, control_), alive_);
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

TEST_F(DetectorPoolTest, MakesAsManyRequestsReadyAsAreAskedFor) {
  const LaneIndex lane = pool_->lane_for(0, {32, 32});
  ASSERT_TRUE(pool_->warm_up(lane, 1, 5));
  EXPECT_EQ(*alive_, 5);
  ASSERT_TRUE(pool_->warm_up(lane, 1, 3));  // that are there
  EXPECT_EQ(*alive_, 5);
}

TEST_F(DetectorPoolTest, LetsGoOfLargerBatchesAndMakesThemAnewWhereTheyComeAfterAll) {
  const LaneIndex lane = pool_->lane_for(0, {32, 32});
  ASSERT_TRUE(pool_->warm_up(lane, 1, 2));
  ASSERT_TRUE(pool_->warm_up(lane, 2, 2));
  ASSERT_TRUE(pool_->warm_up(lane, 4, 2));
  EXPECT_EQ(*alive_, 6);
  pool_->unload_larger(lane, 2);
  EXPECT_EQ(*alive_, 4);
  EXPECT_TRUE(pool_->is_ready(lane, 1));
  EXPECT_TRUE(pool_->is_ready(lane, 2));
  EXPECT_FALSE(pool_->is_ready(lane, 4));
  ASSERT_TRUE(pool_->warm_up(lane, 4, 1));
  EXPECT_TRUE(pool_->is_ready(lane, 4));
}

TEST_F(DetectorPoolTest, WorksAgainAfterAFailure) {
  control_->fail_all = true;
  EXPECT_FALSE(infer());
  control_->fail_all = false;
  EXPECT_TRUE(infer());
}

/// Three models of one device that has memory for `pictures`.
class ShortMemory : public testing::Test {
 protected:
  ShortMemory() {
    std::vector<std::shared_ptr<const Detector>> detectors;
    for (std::size_t i = 0; i < alive_.size(); ++i) {
      alive_[i] = std::make_shared<std::atomic<int>>(0);
      Result<std::unique_ptr<Detector>> detector =
          Detector::create(std::make_unique<KeepingBackend>(
                               create_fake_backend({.input = {64, 64}}, control_), alive_[i]),
                           {});
      CHECK(detector.has_value());
      detectors.push_back(*std::move(detector));
    }
    pool_ = std::make_unique<DetectorPool>(std::move(detectors), 1, clock_);
  }
  Result<void> use(std::size_t model, std::size_t requests) {
    return pool_->warm_up(pool_->lane_for(model, {32, 32}), 1, requests);
  }

  ManualClock clock_;
  const std::shared_ptr<FakeBackendControl> control_ = std::make_shared<FakeBackendControl>();
  std::array<std::shared_ptr<std::atomic<int>>, 3> alive_;
  std::unique_ptr<DetectorPool> pool_;
};

TEST_F(ShortMemory, IsMadeUpForByTheModelThatWasUsedLongestAgo) {
  ASSERT_TRUE(use(0, 3));
  clock_.advance(5s);
  ASSERT_TRUE(use(1, 3));
  clock_.advance(20s);
  control_->memory_pictures = 7;
  ASSERT_TRUE(use(2, 2));
  EXPECT_EQ(*alive_[0], 0);
  EXPECT_EQ(*alive_[1], 3) << "one was enough";
  EXPECT_EQ(*alive_[2], 2);
}

TEST_F(ShortMemory, TakesNothingFromModelsThatAreInUse) {
  ASSERT_TRUE(use(0, 4));
  control_->memory_pictures = 4;
  clock_.advance(DetectorPool::kIdleLeast - 1s);
  const Result<void> refused = use(1, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(*alive_[0], 4);
  clock_.advance(1s);
  EXPECT_TRUE(use(1, 1));
  EXPECT_EQ(*alive_[0], 0);
}

TEST_F(ShortMemory, BringsAnUnloadedModelBackWhenItIsWanted) {
  ASSERT_TRUE(use(0, 2));
  control_->memory_pictures = 2;
  clock_.advance(11s);
  ASSERT_TRUE(use(1, 2));
  clock_.advance(11s);
  EXPECT_TRUE(use(0, 2));
  EXPECT_EQ(*alive_[1], 0);
}

TEST_F(ShortMemory, WithPlentyNothingIsUnloaded) {
  ASSERT_TRUE(use(0, 4));
  clock_.advance(100s);
  ASSERT_TRUE(use(1, 4));
  EXPECT_EQ(*alive_[0], 4);
}

TEST_F(LargeBatches, GiveEachPictureItsOwnAnswer) {
  std::vector<std::shared_ptr<const Picture>> pictures;
  for (int i = 0; i < 29; ++i) pictures.push_back(picture_with_object(i % 9));
  const BatchOutcome outcome = infer(pictures);
  ASSERT_TRUE(outcome.detections);
  ASSERT_EQ(outcome.detections->size(), pictures.size());
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const BatchOutcome alone = infer({pictures[i]});
    ASSERT_TRUE(alone.detections);
    ASSERT_EQ(alone.detections->front().size(), 1U) << i;
    ASSERT_EQ(outcome.detections->at(i).size(), 1U) << i;
    EXPECT_EQ(outcome.detections->at(i)[0].box.x1, alone.detections->front()[0].box.x1) << i;
    EXPECT_EQ(outcome.detections->at(i)[0].box.y1, alone.detections->front()[0].box.y1) << i;
  }
}

TEST_F(LargeBatches, AreReadByMoreThanOneThread) {
  infer(std::vector<std::shared_ptr<const Picture>>(16, picture_with_object(4)));
  EXPECT_GE(readers_->threads.size(), 2U);
}

TEST_F(LargeBatches, FailAsOneWhereAPictureCannotBeTaken) {
  std::vector<std::shared_ptr<const Picture>> pictures(16, picture_with_object(4));
  auto flat = std::make_shared<Picture>();
  flat->size = {128, 0};
  pictures[2] = pictures[9] = flat;
  const BatchOutcome outcome = infer(pictures);
  ASSERT_FALSE(outcome.detections);
  EXPECT_EQ(outcome.detections.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(outcome.jobs.size(), pictures.size());
  EXPECT_TRUE(infer({picture_with_object(0)}).detections);
}

}  // namespace
}  // namespace framemill
