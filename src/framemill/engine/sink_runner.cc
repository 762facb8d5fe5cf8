#include "framemill/engine/sink_runner.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "framemill/base/thread_name.h"

namespace framemill {
namespace {

bool may_pass(const Error& error) {
  return error.code() == ErrorCode::kUnavailable || error.code() == ErrorCode::kResourceExhausted;
}

}  // namespace

SinkRunner::SinkRunner(std::unique_ptr<ResultSink> sink, Options options,
                       std::function<void(Error)> on_dead)
    : sink_(std::move(sink)),
      options_(options),
      on_dead_(std::move(on_dead)),
      queue_(options.answers_max),
      alarm_queue_(options.alarms_max),
      thread_([this] { run(); }) {}

SinkRunner::~SinkRunner() { stop(); }

void SinkRunner::offer(Answer&& answer) {
  if (!sink_->wants_pictures()) answer.picture.reset();  // a queue of pictures is a lot of memory
  Item item(std::move(answer));
  const bool is_taken = options_.when_full == WhenFull::kWait ? queue_.push(std::move(item))
                                                              : queue_.try_push(std::move(item));
  if (!is_taken) ++lost_;
}

void SinkRunner::offer_alarm(const AlarmEvent& event) {
  if (!sink_->wants_alarms()) {
    ++alarms_settled_;
    return;
  }
  if (!alarm_queue_.try_push(AlarmEvent(event))) is_alarm_missing_ = true;
  (void)queue_.try_push(Item(Wake{}));  // a full queue needs none to be looked at
  {
    const MutexLock lock(mu_);
    has_alarm_ = true;
  }
  stopping_.notify_all();
}

void SinkRunner::offer_status(std::shared_ptr<const RunStatus> status) {
  if (sink_->wants_status()) (void)queue_.try_push(Item(std::move(status)));
}

void SinkRunner::request_stop() {
  {
    const MutexLock lock(mu_);
    is_stopping_ = true;
  }
  stopping_.notify_all();
  queue_.close();
}

bool SinkRunner::wait_until_done(std::chrono::steady_clock::time_point give_up_at) {
  const MutexLock lock(mu_);
  while (!is_done_) {
    if (stopping_.wait_until(mu_, give_up_at) == std::cv_status::timeout) break;
  }
  return is_done_;
}

void SinkRunner::stop() {
  request_stop();
  if (thread_.joinable()) thread_.join();
}

SinkCounts SinkRunner::counts() const {
  SpoolCounts spool = sink_->spool();
  const MutexLock lock(mu_);
  return {.name = std::string(sink_->name()),
          .unit = sink_->unit(),
          .written = written_,
          .lost = lost_,
          .last_error = last_error_,
          .is_failing = is_failing_,
          .alarms = alarms_,
          .spool = std::move(spool)};
}

void SinkRunner::note_error(const Error& error) {
  bool is_new = false;
  {
    const MutexLock lock(mu_);
    is_new = last_error_ != error.message();
    last_error_ = error.message();
    is_failing_ = true;
  }
  if (is_new) spdlog::error("{}", error.message());
}

bool SinkRunner::insist(const std::function<Result<void>()>& attempt) {
  const auto began = std::chrono::steady_clock::now();
  while (!is_dead_) {
    const Result<void> result = attempt();
    if (result) {
      note_success();
      return true;
    }
    note_error(result.error());
    const bool is_given_up = options_.give_up_after > Duration::zero() &&
                             std::chrono::steady_clock::now() - began >= options_.give_up_after;
    if (is_given_up || !may_pass(result.error())) {
      is_dead_ = true;
      if (on_dead_) on_dead_(result.error());
      return false;
    }
    const MutexLock lock(mu_);
    const auto now = std::chrono::steady_clock::now();
    if (is_stopping_ && !stop_seen_) stop_seen_ = now;
    if (stop_seen_ && now - *stop_seen_ >= options_.stop_patience) {
      is_dead_ = true;  // what is still queued would take an attempt each
      return false;
    }
    stopping_.wait_for(
        mu_, is_stopping_ ? Duration(std::chrono::milliseconds(50)) : options_.retry_every);
  }
  return false;
}

void SinkRunner::gather() {
  const auto until = std::chrono::steady_clock::now() + options_.gather;
  const MutexLock lock(mu_);
  while (!is_stopping_ && !has_alarm_) {
    if (stopping_.wait_until(mu_, until) == std::cv_status::timeout) break;
  }
  has_alarm_ = false;
}

void SinkRunner::run() {
  name_this_thread("sink", sink_->name());
  std::int64_t answers = 0;  // taken by the sink, not flushed
  std::int64_t alarms = 0;
  const auto flush = [&] {
    if (answers == 0 && alarms == 0) return;
    const bool is_done = insist([this] { return sink_->flush(); });
    const std::int64_t kept_back = is_done ? 0 : std::min(sink_->held().value_or(answers), answers);
    written_ += answers - kept_back;
    lost_ += kept_back;
    // Alarms that did not get there stay unsettled, and so does what comes after them: the next run
    // offers them again.
    if (!is_done) is_alarm_missing_ = is_alarm_missing_ || alarms > 0;
    if (is_done) alarms_ += alarms;
    if (is_done && !is_alarm_missing_) alarms_settled_ += alarms;
    answers = 0;
    alarms = 0;
  };
  bool has_gathered = options_.gather == Duration::zero();
  while (true) {
    // Flush whenever the queue runs dry, so that a reader of the file sees answers soon.
    if (queue_.size() == 0 && answers > 0 && !has_gathered) {
      gather();
      has_gathered = true;
    }
    if (queue_.size() == 0) {
      flush();
      has_gathered = options_.gather == Duration::zero();
    }
    const std::optional<Item> item = queue_.pop();
    while (alarm_queue_.size() > 0) {
      const std::optional<AlarmEvent> alarm = alarm_queue_.pop();
      if (!insist([&] { return sink_->write_alarm(*alarm); })) {
        is_alarm_missing_ = true;
        continue;
      }
      ++alarms;
      flush();  // somebody waits for it
    }
    if (!item) break;  // closed and drained
    if (const auto* const answer = std::get_if<Answer>(&*item)) {
      if (insist([&] { return sink_->write(*answer); })) {
        ++answers;
      } else {
        ++lost_;
      }
    } else if (const auto* const status = std::get_if<std::shared_ptr<const RunStatus>>(&*item)) {
      const Result<void> shown = sink_->write_status(**status);
      if (shown)
        note_success();
      else
        note_error(shown.error());
    }
  }
  flush();
  sink_->finish();
  {
    const MutexLock lock(mu_);
    is_done_ = true;
  }
  stopping_.notify_all();
}

}  // namespace framemill
