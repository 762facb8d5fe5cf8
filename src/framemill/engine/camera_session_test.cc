#include "framemill/engine/camera_session.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "framemill/core/grey_picture.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

/// Plays a script: each step is a frame, an error, or the end.
class ScriptedSource final : public Source {
 public:
  using Step = std::function<Result<std::optional<SourceFrame>>()>;
  struct Script {
    std::optional<Error> open_error;
    std::deque<Step> steps;  ///< after the last one read() blocks until interrupted
  };

  explicit ScriptedSource(Script script) : script_(std::move(script)) {}
  Result<void> open() override {
    if (script_.open_error) return fail(*script_.open_error);
    return {};
  }
  Result<std::optional<SourceFrame>> read() override {
    if (!script_.steps.empty()) {
      const Step step = std::move(script_.steps.front());
      script_.steps.pop_front();
      return step();
    }
    std::unique_lock lock(mu_);
    interrupted_.wait(lock, [this] { return is_interrupted_; });
    return fail(ErrorCode::kCancelled, "interrupted");
  }
  void interrupt() override {
    const std::lock_guard lock(mu_);
    is_interrupted_ = true;
    interrupted_.notify_all();
  }
  StreamFacts facts() const override { return {.codec = "script", .size = {32, 32}}; }
  SourceCounts counts() const override { return {.packets = 1}; }

 private:
  Script script_;
  std::mutex mu_;
  std::condition_variable interrupted_;
  bool is_interrupted_ = false;
};

std::shared_ptr<const Picture> picture_of(std::uint8_t grey, int side = 32) {
  return make_grey_picture({side, side}, grey);
}

ScriptedSource::Step frame(std::int64_t index, bool is_sampled = true, bool is_failed = false) {
  return [=]() -> Result<std::optional<SourceFrame>> {
    SourceFrame frame;
    frame.frame_index = index;
    frame.pts_s = 0.1 * static_cast<double>(index);
    frame.is_sampled = is_sampled;
    frame.is_failed = is_failed;
    if (is_sampled && !is_failed) frame.picture = picture_of(static_cast<std::uint8_t>(index * 9));
    return std::optional<SourceFrame>(std::move(frame));
  };
}
/// The same grey in another size.
ScriptedSource::Step frame_of_size(std::int64_t index, int side) {
  return [=]() -> Result<std::optional<SourceFrame>> {
    SourceFrame frame;
    frame.frame_index = index;
    frame.is_sampled = true;
    frame.picture = picture_of(90, side);
    return std::optional<SourceFrame>(std::move(frame));
  };
}
ScriptedSource::Step error(ErrorCode code, const char* message) {
  return [=]() -> Result<std::optional<SourceFrame>> { return fail(code, message); };
}
ScriptedSource::Step end() {
  return []() -> Result<std::optional<SourceFrame>> { return std::optional<SourceFrame>(); };
}

/// Settles each frame at once as inferred, and remembers it.
class RecordingScheduler final : public FrameScheduler {
 public:
  explicit RecordingScheduler(AnswerLedger*& ledger) : ledger_(ledger) {}
  void offer(CameraIndex, Frame&& frame) override {
    const std::int64_t seq = frame.stamp.seq;
    {
      const std::lock_guard lock(mu_);
      frames_.push_back(std::move(frame));
    }
    changed_.notify_all();
    ledger_->settle_inferred(seq, {}, nullptr);
  }
  void end_camera(CameraIndex) override {
    const std::lock_guard lock(mu_);
    has_ended_ = true;
    changed_.notify_all();
  }
  void stop(Duration) override {}
  void wait_until_done() override {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [this] { return has_ended_; });
  }
  std::vector<Frame> wait_for(std::size_t count) {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [&] { return frames_.size() >= count; });
    return frames_;
  }

 private:
  AnswerLedger*& ledger_;
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<Frame> frames_;
  bool has_ended_ = false;
};

class CameraSessionTest : public testing::Test {
 protected:
  CameraSessionTest()
      : ledger_({}, clock_, [this](Answer&&) {
          if (on_answer_) on_answer_();
        }) {
    options_.id = "gate";
    options_.source.url = "rtsp://camera/1";
  }
  void start(std::deque<ScriptedSource::Script> scripts) {
    scripts_ = std::move(scripts);
    session_.emplace(
        options_,
        [this](const SourceOptions&, const Clock&) -> Result<std::unique_ptr<Source>> {
          if (scripts_.empty()) return fail(ErrorCode::kUnavailable, "nobody is there");
          auto source = std::make_unique<ScriptedSource>(std::move(scripts_.front()));
          scripts_.pop_front();
          return std::unique_ptr<Source>(std::move(source));
        },
        ledger_, scheduler_, clock_);
  }

  const SystemClock clock_;
  std::function<void()> on_answer_;
  CameraSessionOptions options_;
  AnswerLedger ledger_;
  AnswerLedger* ledger_pointer_ = &ledger_;
  RecordingScheduler scheduler_{ledger_pointer_};
  std::deque<ScriptedSource::Script> scripts_;
  std::optional<CameraSession> session_;
};

TEST_F(CameraSessionTest, AReconnectStartsAnEpochAndGoesOnCounting) {
  start({{.steps = {frame(0), frame(1, false), frame(2), error(ErrorCode::kUnavailable, "gone")}},
         {.open_error = Error(ErrorCode::kUnavailable, "refused")},
         {.steps = {frame(0), frame(1)}}});
  const std::vector<Frame> frames = scheduler_.wait_for(4);
  session_.reset();
  EXPECT_EQ(frames[1].stamp.frame_index, 2);
  EXPECT_EQ(frames[1].stamp.epoch, 0);
  EXPECT_EQ(frames[2].stamp.frame_index, 3) << "frame 0 of the new epoch comes after 0, 1, 2";
  EXPECT_EQ(frames[2].stamp.epoch, 1) << "the attempt that was refused is no epoch";
  EXPECT_EQ(frames[3].stamp.seq, 3);
  EXPECT_TRUE(frames[0].is_stream_start);
  EXPECT_FALSE(frames[1].is_stream_start);
  EXPECT_TRUE(frames[2].is_stream_start);
  const CameraCounts counts = ledger_.counts();
  EXPECT_EQ(counts.captured, 5);
  EXPECT_TRUE(counts.is_conserved());
}

TEST_F(CameraSessionTest, AFailedFrameCostsOneFrame) {
  start({{.steps = {frame(0), frame(1, true, true), frame(2)}}});
  scheduler_.wait_for(2);
  session_.reset();
  const CameraCounts counts = ledger_.counts();
  EXPECT_EQ(counts.outcomes[static_cast<std::size_t>(Outcome::kFailed)], 1);
  EXPECT_EQ(counts.outcomes[static_cast<std::size_t>(Outcome::kInferred)], 2);
  EXPECT_TRUE(counts.is_conserved());
}

TEST_F(CameraSessionTest, PicturesOfAnotherSizeStartAScene) {
  start({{.steps = {frame_of_size(0, 320), frame_of_size(1, 320), frame_of_size(2, 160),
                    frame(3, true, true), frame_of_size(4, 160), frame_of_size(5, 320)}}});
  const std::vector<Frame> frames = scheduler_.wait_for(5);
  std::vector<bool> is_start;
  for (const Frame& frame : frames) is_start.push_back(frame.is_scene_start);
  EXPECT_EQ(is_start, (std::vector{true, false, true, false, true}));
}

TEST_F(CameraSessionTest, AFileEndsAndOneThatBreaksOffHasFailed) {
  options_.is_reconnecting = false;
  start({{.steps = {frame(0), end()}}});
  scheduler_.wait_until_done();
  EXPECT_EQ(session_->status().state, CameraState::kEnded);
  session_.reset();
  start({{.steps = {error(ErrorCode::kInvalidArgument, "broken off")}}});
  while (session_->status().state != CameraState::kFailed) std::this_thread::yield();
  EXPECT_EQ(session_->status().last_error, "broken off");
}

TEST_F(CameraSessionTest, AFileOfWhichNothingDecodesHasFailed) {
  options_.is_reconnecting = false;
  start({{.steps = {frame(0, true, true), frame(1, false), frame(2, true, true), end()}}});
  scheduler_.wait_until_done();
  EXPECT_EQ(session_->status().state, CameraState::kFailed);
  EXPECT_EQ(session_->status().last_error, "none of its frames could be decoded");
}

TEST_F(CameraSessionTest, ACameraThatNeverDecodesIsNotUpAndWaitsLongerEachTime) {
  std::atomic<bool> was_up{false};
  std::promise<void> third;
  const auto look = [&]() -> Result<std::optional<SourceFrame>> {
    if (session_->status().state == CameraState::kUp) was_up = true;
    return fail(ErrorCode::kUnavailable, "no decodable frame");
  };
  const auto tell = [&]() -> Result<std::optional<SourceFrame>> {
    third.set_value();
    return fail(ErrorCode::kUnavailable, "no decodable frame");
  };
  const auto began = std::chrono::steady_clock::now();
  start({{.steps = {frame(0, true, true), look}},
         {.steps = {frame(0, true, true), look}},
         {.steps = {frame(0, true, true), tell}}});
  third.get_future().wait();
  EXPECT_GE(std::chrono::steady_clock::now() - began, 600ms) << "250 and 500 ms, up to 20 % less";
  EXPECT_FALSE(was_up);
  session_.reset();
}

TEST_F(CameraSessionTest, LimitsEndTheCamera) {
  options_.max_answers = 2;
  start({{.steps = {frame(0), frame(1, false), frame(2), frame(3)}}});
  scheduler_.wait_until_done();
  EXPECT_EQ(ledger_.counts().captured, 3);
  EXPECT_EQ(session_->status().state, CameraState::kEnded);
}

TEST_F(CameraSessionTest, ABlockedSourceIsInterrupted) {
  start({{.steps = {frame(0)}}});
  scheduler_.wait_for(1);
  session_.reset();  // hangs, if interrupt() does not reach the source
  EXPECT_EQ(ledger_.counts().captured, 1);
}

TEST_F(CameraSessionTest, NoFrameEntersAfterAStop) {
  std::promise<void> stopped;
  const ScriptedSource::Step late = [&]() {
    stopped.get_future().wait();
    return frame(1)();
  };
  start({{.steps = {frame(0), late}}});
  scheduler_.wait_for(1);
  session_->request_stop();
  session_->wait_until_quiet();
  EXPECT_EQ(ledger_.counts().captured, 1);
  stopped.set_value();
  session_.reset();
  EXPECT_EQ(ledger_.counts().captured, 1);
}

TEST_F(CameraSessionTest, AFrameOnItsWayAtAStopIsHandedOver) {
  std::promise<void> is_on_its_way, released;
  std::atomic<bool> is_handed_over = false;
  on_answer_ = [&] {
    is_on_its_way.set_value();
    released.get_future().wait();
    is_handed_over = true;
  };
  start({{.steps = {frame(0)}}});
  is_on_its_way.get_future().wait();
  session_->request_stop();
  std::thread releaser([&] { released.set_value(); });
  session_->wait_until_quiet();
  EXPECT_TRUE(is_handed_over);
  releaser.join();
}

TEST_F(CameraSessionTest, ItsStateIsWhatItWasWhenItWasAskedToEnd) {
  const auto end_in = [this](CameraState state) {
    while (session_->status().state != state) std::this_thread::yield();
    session_->request_stop();
    while (!session_->has_left()) std::this_thread::yield();
    EXPECT_EQ(session_->status().state, state);
    return session_->status().last_error;
  };
  start({{.steps = {frame(0)}}});
  EXPECT_EQ(end_in(CameraState::kUp), "") << "that its source was interrupted is no trouble of it";
  session_.reset();
  start({});
  EXPECT_EQ(end_in(CameraState::kDown), "nobody is there");
  session_.reset();
  start({{.steps = {}}});  // says nothing
  EXPECT_EQ(end_in(CameraState::kConnecting), "");
  session_.reset();
  options_.is_paused = true;
  start({});
  EXPECT_EQ(end_in(CameraState::kPaused), "");
}

TEST_F(CameraSessionTest, AFrameThatComesAfterAStopMakesNoCameraUp) {
  std::promise<void> is_reading, stopped;
  start({{.steps = {[&]() {
            is_reading.set_value();
            stopped.get_future().wait();
            return frame(0)();
          }}}});
  is_reading.get_future().wait();
  session_->request_stop();
  stopped.set_value();
  while (!session_->has_left()) std::this_thread::yield();
  EXPECT_EQ(session_->status().state, CameraState::kConnecting);
}

TEST_F(CameraSessionTest, ADownCameraSaysWhyAndIsStoppedWhileItWaits) {
  start({});
  while (session_->status().state != CameraState::kDown) std::this_thread::yield();
  EXPECT_EQ(session_->status().last_error, "nobody is there");
  session_.reset();
  EXPECT_EQ(ledger_.counts().captured, 0);
}

}  // namespace
}  // namespace framemill
