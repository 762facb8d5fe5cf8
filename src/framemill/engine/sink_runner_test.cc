#include "framemill/engine/sink_runner.h"

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

/// Records what it was given and fails on demand; the state outlives the sink.
struct Recorded {
  std::mutex mu;
  std::vector<std::int64_t> seqs;          // flushed
  std::vector<std::int64_t> unflushed;     // written only
  std::vector<Result<void>> next_results;  // taken from the back, then success
  std::vector<std::string> alarms;
  std::vector<std::size_t> answers_before_alarm;
  bool wants_alarms = true;
  bool is_refusing_alarms = false;
  std::optional<std::int64_t> holds_back;  // each flush but this many answers, and fails
};

class RecordingSink final : public ResultSink {
 public:
  explicit RecordingSink(std::shared_ptr<Recorded> recorded) : recorded_(std::move(recorded)) {}
  std::string_view name() const override { return "recording"; }
  Result<void> write(const Answer& answer) override {
    const std::lock_guard lock(recorded_->mu);
    if (!recorded_->next_results.empty()) {
      const Result<void> result = recorded_->next_results.back();
      recorded_->next_results.pop_back();
      if (!result) return result;
    }
    recorded_->unflushed.push_back(answer.stamp.seq);
    return {};
  }
  Result<void> write_alarm(const AlarmEvent& event) override {
    const std::lock_guard lock(recorded_->mu);
    if (recorded_->is_refusing_alarms) return fail(ErrorCode::kInternal, "no alarms");
    recorded_->alarms.push_back(event.alarm_id);
    recorded_->answers_before_alarm.push_back(recorded_->seqs.size());
    return {};
  }
  bool wants_alarms() const override { return recorded_->wants_alarms; }
  Result<void> flush() override {
    const std::lock_guard lock(recorded_->mu);
    std::vector<std::int64_t>& unflushed = recorded_->unflushed;
    const auto kept = static_cast<std::size_t>(recorded_->holds_back.value_or(0));
    while (unflushed.size() > kept) {
      recorded_->seqs.push_back(unflushed.front());
      unflushed.erase(unflushed.begin());
    }
    if (recorded_->holds_back) return fail(ErrorCode::kResourceExhausted, "disk full");
    return {};
  }
  std::optional<std::int64_t> held() const override { return recorded_->holds_back; }

 private:
  std::shared_ptr<Recorded> recorded_;
};

Answer answer(std::int64_t seq) {
  Answer a;
  a.stamp.seq = seq;
  return a;
}

TEST(SinkRunner, WritesAllInOrderBeforeStopReturns) {
  auto recorded = std::make_shared<Recorded>();
  SinkRunner runner(std::make_unique<RecordingSink>(recorded), {}, nullptr);
  for (int i = 0; i < 1000; ++i) runner.offer(answer(i));
  runner.stop();
  ASSERT_EQ(recorded->seqs.size(), 1000U);
  EXPECT_TRUE(std::is_sorted(recorded->seqs.begin(), recorded->seqs.end()));
  EXPECT_EQ(runner.counts().written, 1000);
  EXPECT_EQ(runner.counts().lost, 0);
}

TEST(SinkRunner, AFailureThatPassesLosesNothing) {
  auto recorded = std::make_shared<Recorded>();
  for (int i = 0; i < 3; ++i) {
    recorded->next_results.emplace_back(fail(ErrorCode::kResourceExhausted, "disk full"));
  }
  SinkRunner runner(std::make_unique<RecordingSink>(recorded), {.retry_every = 1ms}, nullptr);
  for (int i = 0; i < 10; ++i) runner.offer(answer(i));
  runner.stop();
  EXPECT_EQ(recorded->seqs.size(), 10U);
  EXPECT_EQ(runner.counts().lost, 0);
  EXPECT_EQ(runner.counts().last_error, "disk full");
  EXPECT_FALSE(runner.counts().is_failing) << "it works again";
}

TEST(SinkRunner, IsFailingWhileItFails) {
  auto recorded = std::make_shared<Recorded>();
  for (int i = 0; i < 1'000'000; ++i) {
    recorded->next_results.emplace_back(fail(ErrorCode::kResourceExhausted, "disk full"));
  }
  SinkRunner runner(std::make_unique<RecordingSink>(recorded), {.retry_every = 1ms}, nullptr);
  EXPECT_FALSE(runner.counts().is_failing);
  runner.offer(answer(0));
  while (!runner.counts().is_failing) std::this_thread::yield();  // hangs where it does not say so
  {
    const std::lock_guard lock(recorded->mu);
    recorded->next_results.clear();
  }
  while (runner.counts().is_failing) std::this_thread::yield();
  EXPECT_EQ(runner.counts().last_error, "disk full");
  runner.stop();
  EXPECT_EQ(runner.counts().written, 1);
}

TEST(SinkRunner, AFinalFailureIsReportedOnceAndTheRestCountsAsLost) {
  auto recorded = std::make_shared<Recorded>();
  recorded->next_results.emplace_back(fail(ErrorCode::kFailedPrecondition, "broken pipe"));
  std::promise<std::string> dead;
  SinkRunner runner(std::make_unique<RecordingSink>(recorded), {},
                    [&](const Error& error) { dead.set_value(error.message()); });
  for (int i = 0; i < 10; ++i) runner.offer(answer(i));
  EXPECT_EQ(dead.get_future().get(), "broken pipe");
  runner.stop();
  EXPECT_EQ(runner.counts().lost, 10);
  EXPECT_EQ(runner.counts().written, 0);
  EXPECT_TRUE(runner.counts().is_failing);
}

TEST(SinkRunner, GivesUpAfterTheTimeGiven) {
  auto recorded = std::make_shared<Recorded>();
  for (int i = 0; i < 10'000; ++i) {
    recorded->next_results.emplace_back(fail(ErrorCode::kResourceExhausted, "disk full"));
  }
  std::promise<void> dead;
  SinkRunner runner(std::make_unique<RecordingSink>(recorded),
                    {.retry_every = 1ms, .give_up_after = 20ms},
                    [&](const Error&) { dead.set_value(); });
  runner.offer(answer(0));
  dead.get_future().wait();
  runner.stop();
  EXPECT_EQ(runner.counts().lost, 1);
}

TEST(SinkRunner, WhatAFailingSinkGotRidOfIsNotLost) {
  auto recorded = std::make_shared<Recorded>();
  recorded->holds_back = 3;
  SinkRunner runner(std::make_unique<RecordingSink>(recorded),
                    {.retry_every = 1ms, .stop_patience = 20ms, .gather = 10s}, nullptr);
  for (int i = 0; i < 10; ++i) runner.offer(answer(i));
  runner.stop();
  EXPECT_EQ(recorded->seqs.size(), 7U);
  EXPECT_EQ(runner.counts().written, 7);
  EXPECT_EQ(runner.counts().lost, 3);
}

TEST(SinkRunner, WaitsForItsEndAsLongAsAskedFor) {
  auto recorded = std::make_shared<Recorded>();
  SinkRunner good(std::make_unique<RecordingSink>(recorded), {.gather = 10s}, nullptr);
  for (int i = 0; i < 10; ++i) good.offer(answer(i));
  EXPECT_FALSE(good.wait_until_done(std::chrono::steady_clock::now() + 20ms)) << "nobody asked";
  good.request_stop();
  EXPECT_TRUE(good.wait_until_done(std::chrono::steady_clock::now() + 20s));
  EXPECT_EQ(recorded->seqs.size(), 10U);

  recorded->holds_back = 3;
  SinkRunner stuck(std::make_unique<RecordingSink>(recorded),
                   {.retry_every = 1ms, .stop_patience = 1min}, nullptr);
  stuck.offer(answer(10));
  stuck.request_stop();
  EXPECT_FALSE(stuck.wait_until_done(std::chrono::steady_clock::now() + 20ms));
  const std::lock_guard lock(recorded->mu);
  recorded->holds_back.reset();
}

TEST(SinkRunner, PatienceAfterStopIsForAllThatIsLeft) {
  auto recorded = std::make_shared<Recorded>();
  for (int i = 0; i < 1'000'000; ++i) {
    recorded->next_results.emplace_back(fail(ErrorCode::kResourceExhausted, "disk full"));
  }
  SinkRunner runner(std::make_unique<RecordingSink>(recorded), {.stop_patience = 60ms}, nullptr);
  for (int i = 0; i < 100; ++i) runner.offer(answer(i));
  const auto before = std::chrono::steady_clock::now();
  runner.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 3s) << "not 60 ms for each of the 100";
  EXPECT_EQ(runner.counts().lost, 100);
}

TEST(SinkRunner, AFullQueueLosesOrWaitsAsAsked) {
  auto recorded = std::make_shared<Recorded>();
  recorded->mu.lock();  // the sink hangs in its first write
  SinkRunner losing(std::make_unique<RecordingSink>(recorded), {.answers_max = 4}, nullptr);
  for (int i = 0; i < 100; ++i) losing.offer(answer(i));
  recorded->mu.unlock();
  losing.stop();
  const SinkCounts counts = losing.counts();
  EXPECT_EQ(counts.written + counts.lost, 100);
  EXPECT_GE(counts.lost, 90);

  auto patient = std::make_shared<Recorded>();
  SinkRunner waiting(std::make_unique<RecordingSink>(patient),
                     {.answers_max = 4, .when_full = SinkRunner::WhenFull::kWait}, nullptr);
  for (int i = 0; i < 100; ++i) waiting.offer(answer(i));
  waiting.stop();
  EXPECT_EQ(waiting.counts().written, 100);
}

AlarmEvent alarm(const std::string& id) {
  AlarmEvent event;
  event.alarm_id = id;
  return event;
}

TEST(SinkRunner, AlarmsGoBeforeTheAnswersThatWait) {
  auto recorded = std::make_shared<Recorded>();
  for (int i = 0; i < 5; ++i) {
    recorded->next_results.emplace_back(fail(ErrorCode::kUnavailable, "not yet"));
  }
  SinkRunner runner(std::make_unique<RecordingSink>(recorded), {.retry_every = 1ms}, nullptr);
  for (int i = 0; i < 100; ++i) runner.offer(answer(i));
  runner.offer_alarm(alarm("A"));
  runner.stop();
  ASSERT_EQ(recorded->alarms.size(), 1U);
  EXPECT_LE(recorded->answers_before_alarm[0], 2U) << "only what was being written";
  EXPECT_EQ(runner.alarms_settled(), 1);
  EXPECT_EQ(runner.counts().alarms, 1);
  EXPECT_EQ(runner.counts().written, 100);
}

/// Counts how often it was flushed with something to flush.
/// Wants one answer of ten, writes the first two of those at once, and no others.
class ChoosySink final : public ResultSink {
 public:
  std::string_view name() const override { return "choosy"; }
  std::string_view unit() const override { return "pictures"; }
  bool wants(const Answer& answer) const override { return answer.stamp.seq % 10 == 0; }
  Result<void> write(const Answer& answer) override {
    EXPECT_EQ(answer.stamp.seq % 10, 0);
    if (answer.stamp.seq >= 20) return fail(ErrorCode::kInternal, "no more");
    return {};
  }
  Result<void> flush() override { return {}; }
  std::optional<std::int64_t> held() const override { return 0; }
};

TEST(SinkRunner, AnswersThatItsSinkDoesNotWantAreNotCounted) {
  SinkRunner runner(std::make_unique<ChoosySink>(), {}, nullptr);
  for (int i = 0; i < 50; ++i)
    if (runner.wants(answer(i))) runner.offer(answer(i));
  EXPECT_TRUE(runner.wants(answer(10)));
  EXPECT_FALSE(runner.wants(answer(11)));
  runner.stop();
  EXPECT_EQ(runner.counts().written, 2);
  EXPECT_EQ(runner.counts().lost, 3);
  EXPECT_EQ(runner.counts().unit, "pictures");
}

class FlushCounter final : public ResultSink {
 public:
  explicit FlushCounter(std::shared_ptr<std::atomic<int>> flushes) : flushes_(std::move(flushes)) {}
  std::string_view name() const override { return "counter"; }
  Result<void> write(const Answer&) override { return {}; }
  Result<void> write_alarm(const AlarmEvent&) override { return {}; }
  Result<void> flush() override { return ++*flushes_, Result<void>(); }
  bool wants_alarms() const override { return true; }

 private:
  std::shared_ptr<std::atomic<int>> flushes_;
};

TEST(SinkRunner, AnswersGatherAndAreFlushedTogether) {
  const auto flushes = std::make_shared<std::atomic<int>>(0);
  // An hour: only stop() ends the gathering, however slow the machine.
  SinkRunner runner(std::make_unique<FlushCounter>(flushes), {.gather = 1h}, nullptr);
  for (int i = 0; i < 100; ++i) runner.offer(answer(i));
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(*flushes, 0);
  runner.stop();
  EXPECT_EQ(*flushes, 1);
  EXPECT_EQ(runner.counts().written, 100);
}

TEST(SinkRunner, AnAlarmDoesNotWaitForAnswersThatGather) {
  const auto flushes = std::make_shared<std::atomic<int>>(0);
  SinkRunner runner(std::make_unique<FlushCounter>(flushes), {.gather = 1h}, nullptr);
  for (int round = 1; round <= 20; ++round) {
    runner.offer(answer(round));
    runner.offer_alarm({.alarm_id = "a", .camera_id = "gate-1", .rule = "r"});
    while (runner.alarms_settled() < round) std::this_thread::yield();  // hangs where it waits
  }
}

TEST(SinkRunner, ASinkThatWantsNoAlarmsHoldsNoneUp) {
  auto recorded = std::make_shared<Recorded>();
  recorded->wants_alarms = false;
  SinkRunner runner(std::make_unique<RecordingSink>(recorded), {}, nullptr);
  runner.offer_alarm(alarm("A"));
  EXPECT_EQ(runner.alarms_settled(), 1);
  runner.stop();
  EXPECT_TRUE(recorded->alarms.empty());
}

TEST(SinkRunner, AnAlarmThatWasNotTakenStaysUnsettled) {
  auto recorded = std::make_shared<Recorded>();
  recorded->is_refusing_alarms = true;
  SinkRunner runner(std::make_unique<RecordingSink>(recorded), {}, nullptr);
  runner.offer_alarm(alarm("A"));
  runner.offer_alarm(alarm("B"));
  runner.stop();
  EXPECT_EQ(runner.alarms_settled(), 0);
}

}  // namespace
}  // namespace framemill
