#include "framemill/engine/sink_runner.h"

#include <spdlog/spdlog.h>

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
      thread_([this] { run(); }) {}

SinkRunner::~SinkRunner() { stop(); }

void SinkRunner::offer(Answer&& answer) {
  const bool is_taken = options_.when_full == WhenFull::kWait ? queue_.push(std::move(answer))
                                                              : queue_.try_push(std::move(answer));
  if (!is_taken) ++lost_;
}

void SinkRunner::stop() {
  {
    const MutexLock lock(mu_);
    is_stopping_ = true;
  }
  stopping_.notify_all();
  queue_.close();
  if (thread_.joinable()) thread_.join();
}

SinkCounts SinkRunner::counts() const {
  const MutexLock lock(mu_);
  return {std::string(sink_->name()), written_, lost_, last_error_};
}

void SinkRunner::note_error(const Error& error) {
  bool is_new = false;
  {
    const MutexLock lock(mu_);
    is_new = last_error_ != error.message();
    last_error_ = error.message();
  }
  if (is_new) spdlog::error("{}", error.message());
}

bool SinkRunner::insist(const std::function<Result<void>()>& attempt) {
  const auto began = std::chrono::steady_clock::now();
  while (!is_dead_) {
    const Result<void> result = attempt();
    if (result) return true;
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
    if (stop_seen_ && now - *stop_seen_ >= options_.stop_patience) return false;
    stopping_.wait_for(
        mu_, is_stopping_ ? Duration(std::chrono::milliseconds(50)) : options_.retry_every);
  }
  return false;
}

void SinkRunner::run() {
  std::int64_t unflushed = 0;
  const auto flush = [&] {
    if (unflushed == 0) return;
    (insist([this] { return sink_->flush(); }) ? written_ : lost_) += unflushed;
    unflushed = 0;
  };
  while (true) {
    // Flush whenever the queue runs dry, so that a reader of the file sees answers at once.
    if (queue_.size() == 0) flush();
    const std::optional<Answer> answer = queue_.pop();
    if (!answer) break;  // closed and drained
    if (insist([&] { return sink_->write(*answer); })) {
      ++unflushed;
    } else {
      ++lost_;
    }
  }
  flush();
}

}  // namespace framemill
