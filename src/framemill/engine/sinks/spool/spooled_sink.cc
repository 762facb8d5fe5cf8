#include "framemill/engine/sinks/spool/spooled_sink.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "framemill/base/thread_name.h"

namespace framemill {
namespace {

constexpr std::size_t kBatchBytes = 1'000'000;
constexpr std::int64_t kAlarmShare = 10;
constexpr std::int64_t kSpoolMin = 64 * 1024;

}  // namespace

Result<std::unique_ptr<SpooledSink>> SpooledSink::create(SpooledSinkOptions options,
                                                         std::unique_ptr<Outlet> outlet,
                                                         const CameraDirectory& cameras) {
  std::unique_ptr<SpooledSink> sink(
      new SpooledSink(std::move(options), std::move(outlet), cameras));
  const SpooledSinkOptions& o = sink->options_;
  const std::int64_t alarm_bytes = std::max(kSpoolMin, o.bytes_max / kAlarmShare);
  Result<std::unique_ptr<Spool>> alarms = Spool::open(o.folder + "/alarms", alarm_bytes);
  if (!alarms) return fail(alarms.error());
  Result<std::unique_ptr<Spool>> answers =
      Spool::open(o.folder + "/answers", std::max(kSpoolMin, o.bytes_max - alarm_bytes));
  if (!answers) return fail(answers.error());
  sink->alarms_ = std::move(*alarms);
  sink->answers_ = std::move(*answers);
  if (const std::int64_t waiting = sink->alarms_->waiting() + sink->answers_->waiting();
      waiting > 0)
    spdlog::info("{}: {} messages wait from the run before", o.name, waiting);
  sink->thread_ = std::thread([s = sink.get()] { s->run(); });
  return sink;
}

SpooledSink::SpooledSink(SpooledSinkOptions options, std::unique_ptr<Outlet> outlet,
                         const CameraDirectory& cameras)
    : options_(std::move(options)),
      outlet_(std::move(outlet)),
      cameras_(cameras),
      random_(std::random_device()()) {}

SpooledSink::~SpooledSink() { stop(); }

Result<void> SpooledSink::write(const Answer& answer) {
  const CameraNames& camera = cameras_[answer.camera];
  Message message;
  message.kind = Message::Kind::kAnswer;
  message.key = fmt::format("{}/{}/{}", options_.run_id, camera.id, answer.stamp.seq);
  message.camera = camera.id;
  append_answer_json(message.body, answer, options_.run_id, camera);
  message.body.pop_back();  // the line break
  return answers_->append(format_message(message));
}

Result<void> SpooledSink::write_alarm(const AlarmEvent& event) {
  Message message;
  message.kind = Message::Kind::kAlarm;
  message.key = fmt::format("{}/{}", event.alarm_id, to_string(event.state));
  message.camera = event.camera_id;
  message.rule = event.rule;
  append_alarm_json(message.body, event);
  message.body.pop_back();
  if (Result<void> appended = alarms_->append(format_message(message)); !appended) return appended;
  return {};
}

Result<void> SpooledSink::write_status(const RunStatus& status) {
  const MutexLock lock(mu_);
  status_ = std::make_shared<const RunStatus>(status);
  has_news_ = true;
  changed_.notify_all();
  return {};
}

Result<void> SpooledSink::flush() {
  // Alarms are few, and the book counts on them from here on.
  if (Result<void> synced = alarms_->sync(); !synced) return synced;
  if (Result<void> flushed = answers_->flush(); !flushed) return flushed;
  const MutexLock lock(mu_);
  has_news_ = true;
  changed_.notify_all();
  return {};
}

SpoolCounts SpooledSink::spool() const {
  SpoolCounts counts;
  {
    const MutexLock lock(mu_);
    counts = counts_;
  }
  counts.waiting = alarms_->waiting() + answers_->waiting();
  counts.waiting_bytes = alarms_->waiting_bytes() + answers_->waiting_bytes();
  counts.dropped += alarms_->dropped() + answers_->dropped();
  return counts;
}

void SpooledSink::note(What what, const Result<void>& result) {
  bool is_new = false, is_over = false;
  {
    const MutexLock lock(mu_);
    if (!result) ++counts_.retries;
    errors_[static_cast<std::size_t>(what)] = result ? std::string() : result.error().message();
    if (result) errors_[static_cast<std::size_t>(What::kStatus)].clear();  // it is there
    if (result && what == What::kStatus) errors_ = {};
    const auto error = std::ranges::find_if(errors_, [](const auto& e) { return !e.empty(); });
    is_new = !result && counts_.last_error.empty();
    is_over = error == errors_.end() && !counts_.last_error.empty();
    counts_.last_error = error == errors_.end() ? std::string() : *error;
  }
  if (is_new)
    spdlog::warn("{}: {}; what is meant for it waits on disk", options_.name,
                 result.error().message());
  if (is_over) spdlog::info("{}: takes messages again", options_.name);
}

bool SpooledSink::may_linger() {
  if (std::chrono::steady_clock::now() >= linger_until_ ||
      answers_->ready() >= static_cast<std::int64_t>(outlet_->batch_max()))
    return false;
  const MutexLock lock(mu_);
  return !is_finishing_;
}

std::optional<bool> SpooledSink::deliver_some() {
  for (Spool* const spool : {alarms_.get(), answers_.get()}) {
    is_lingering_ = spool == answers_.get() && may_linger();
    if (is_lingering_) continue;
    const std::vector<std::string> records = spool->peek(outlet_->batch_max(), kBatchBytes);
    if (records.empty()) continue;
    std::vector<Message> messages;
    for (const std::string& record : records)
      if (std::optional<Message> message = parse_message(record))
        messages.push_back(*std::move(message));
    const auto is_refusal = [](const Result<void>& result) {
      return !result && result.error().code() == ErrorCode::kInvalidArgument;
    };
    std::int64_t refused = 0;
    Result<void> delivered = outlet_->deliver(messages);
    if (is_refusal(delivered)) {  // one of them is: the others go alone
      for (const Message& message : messages) {
        delivered = outlet_->deliver({&message, 1});
        if (!delivered && !is_refusal(delivered)) break;  // all of them again, later
        if (delivered) continue;
        ++refused;
        spdlog::error("{}: refuses {} for good, it is dropped: {}", options_.name, message.key,
                      delivered.error().message());
        delivered = {};
      }
    }
    note(spool == alarms_.get() ? What::kAlarms : What::kAnswers, delivered);
    if (!delivered) return false;
    spool->commit();
    if (spool == answers_.get())
      linger_until_ = std::chrono::steady_clock::now() + outlet_->linger();
    const MutexLock lock(mu_);
    counts_.dropped += refused;
    counts_.delivered += static_cast<std::int64_t>(messages.size()) - refused;
    return true;
  }
  return std::nullopt;
}

void SpooledSink::run() {
  name_this_thread("send", options_.name);
  Duration pause = options_.retry_min;
  while (true) {
    std::shared_ptr<const RunStatus> status;
    {
      const MutexLock lock(mu_);
      if (is_stopping_) break;
      has_news_ = false;
      status = std::exchange(status_, nullptr);
    }
    bool has_failed = false;
    if (status && outlet_->wants_status()) {
      const Result<void> shown = outlet_->show(*status);
      // A peer that can be shown something is not gone; whether it takes what waits is seen below.
      if (!shown || alarms_->waiting() + answers_->waiting() == 0) note(What::kStatus, shown);
      has_failed = !shown;
    }
    const std::optional<bool> delivered = has_failed ? std::nullopt : deliver_some();
    has_failed |= delivered == false;
    const MutexLock lock(mu_);
    if (has_failed) {
      if (is_finishing_) break;  // it stays on disk
      // Not all at the same moment after a broker's restart: up to half as long again.
      const Duration wait = pause + pause * static_cast<std::int64_t>(random_() % 512) / 1024;
      pause = std::min(pause * 2, options_.retry_max);
      const auto until = std::chrono::steady_clock::now() + wait;
      while (!is_stopping_ && !is_finishing_ &&
             changed_.wait_until(mu_, until) == std::cv_status::no_timeout) {
      }
    } else if (delivered) {
      pause = options_.retry_min;
    } else {
      if (is_finishing_ && !is_lingering_) break;
      while (!has_news_ && !is_stopping_ && !is_finishing_) {
        if (!is_lingering_) {
          changed_.wait(mu_);
        } else if (changed_.wait_until(mu_, linger_until_) == std::cv_status::timeout) {
          break;
        }
      }
    }
  }
  outlet_->close();
  const MutexLock lock(mu_);
  is_done_ = true;
  changed_.notify_all();
}

void SpooledSink::finish() {
  {
    const MutexLock lock(mu_);
    is_finishing_ = true;
    changed_.notify_all();
    const auto until = std::chrono::steady_clock::now() + options_.finish_patience;
    while (!is_done_ && changed_.wait_until(mu_, until) == std::cv_status::no_timeout) {
    }
  }
  stop();
  const SpoolCounts counts = spool();
  if (counts.waiting > 0)
    spdlog::warn("{}: {} messages wait on disk for the next run", options_.name, counts.waiting);
}

void SpooledSink::stop() {
  {
    const MutexLock lock(mu_);
    is_stopping_ = true;
    changed_.notify_all();
  }
  outlet_->interrupt();
  if (thread_.joinable()) thread_.join();
}

}  // namespace framemill
