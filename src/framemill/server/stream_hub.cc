#include "framemill/server/stream_hub.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/base/thread_name.h"
#include "framemill/config/setting_value.h"

namespace framemill {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kAnswersMax = 4096;
constexpr std::size_t kMessagesMax = 1024;
constexpr std::size_t kBytesMax = 4 * 1024 * 1024;
constexpr std::size_t kCamerasMax = 10'000;
constexpr double kAnswersPerSecondMax = 60;

Failure wrong(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

std::shared_ptr<const std::string> error_text(const Error& error) {
  return std::make_shared<const std::string>(
      Json{{"type", "error"}, {"error", error.message()}}.dump(-1, ' ', false,
                                                               Json::error_handler_t::replace));
}

}  // namespace

Result<StreamSubscription> parse_subscription(std::string_view text) {
  const Json message = Json::parse(text, nullptr, false);
  if (message.is_discarded()) return wrong("the message is no JSON");
  if (!message.is_object())
    return wrong("the message is no object; write {\"type\":\"subscribe\"}");
  StreamSubscription subscription;
  bool has_type = false;
  for (const auto& [key, value] : message.items()) {
    const auto flag = [&, &name = key, &setting = value](bool& field) -> Result<void> {
      if (!setting.is_boolean()) return wrong(name + ": is no boolean; write true or false");
      field = setting.get<bool>();
      return {};
    };
    Result<void> read;
    if (key == "type") {
      has_type = value.is_string() && value.get_ref<const std::string&>() == "subscribe";
      if (!has_type) read = wrong("type: is unknown; clients send \"subscribe\"");
    } else if (key == "cameras") {
      if (!value.is_array() || value.size() > kCamerasMax) {
        read = wrong("cameras: is no list of ids; write [\"*\"] for all");
      } else {
        for (const Json& camera : value) {
          if (!camera.is_string()) {
            read = wrong("cameras: holds something that is no id");
            break;
          }
          const auto& id = camera.get_ref<const std::string&>();
          if (id == "*") {
            subscription.has_all_cameras = true;
          } else if (is_valid_name(id)) {
            subscription.cameras.insert(id);
          } else {
            read = wrong("cameras: " + quote(id) + " is no id");
          }
        }
      }
    } else if (key == "answers_per_s") {
      const bool is_number = value.is_number();
      const double rate = is_number ? value.get<double>() : 0;
      if (!is_number || !(rate >= 0.1 && rate <= kAnswersPerSecondMax)) {
        read = wrong("answers_per_s: is no number from 0.1 to 60");
      } else if (rate < kAnswersPerSecondMax) {
        subscription.answer_period = from_seconds(1 / rate);
      }
    } else if (key == "stats") {
      read = flag(subscription.has_stats);
    } else if (key == "alarms") {
      read = flag(subscription.has_alarms);
    } else if (key == "events") {
      read = flag(subscription.has_events);
    } else {
      read = wrong(quote(key) + ": unknown key");
    }
    if (!read) return fail(read.error());
  }
  if (!has_type) return wrong("type: is missing; write \"subscribe\"");
  return subscription;
}

StreamClient::StreamClient(std::string hello, const Clock& clock) : clock_(clock) {
  queue_.push_back({Kind::kError, std::make_shared<const std::string>(std::move(hello))});
  queued_bytes_ = queue_.front().text->size();
}

void StreamClient::offer(Kind kind, std::shared_ptr<const std::string> text) {
  {
    const MutexLock lock(mu_);
    if (kind == Kind::kStats && !subscription_.has_stats) return;
    if (kind == Kind::kAlarm && !subscription_.has_alarms) return;
    if (kind == Kind::kEvent && !subscription_.has_events) return;
    const auto drop = [&](std::deque<Message>::iterator message) {
      queued_bytes_ -= message->text->size();
      queue_.erase(message);
      ++dropped_;
    };
    if (kind == Kind::kStats) {  // older figures say nothing beside newer ones
      const auto old = std::ranges::find(queue_, Kind::kStats, &Message::kind);
      if (old != queue_.end()) drop(old);
    }
    queued_bytes_ += text->size();
    queue_.push_back({kind, std::move(text)});
    while (queue_.size() > kMessagesMax || (queued_bytes_ > kBytesMax && queue_.size() > 1)) {
      const auto answer = std::ranges::find(queue_, Kind::kAnswer, &Message::kind);
      drop(answer != queue_.end() ? answer : queue_.begin());
    }
  }
  wake();
}

bool StreamClient::wants_answer(std::string_view camera) {
  const MutexLock lock(mu_);
  if (!subscription_.wants(camera)) return false;
  if (subscription_.answer_period == Duration::zero()) return true;
  const TimePoint now = clock_.now();
  const auto due = next_answer_at_.find(camera);
  if (due == next_answer_at_.end()) {
    next_answer_at_.emplace(camera, now + subscription_.answer_period);
    return true;
  }
  if (now < due->second) return false;
  // On a grid, so that the rate is kept and not undercut; after a pause it starts anew.
  due->second = std::max(due->second + subscription_.answer_period, now);
  return true;
}

std::shared_ptr<const std::string> StreamClient::next() {
  const MutexLock lock(mu_);
  if (queue_.empty()) return nullptr;
  std::shared_ptr<const std::string> text = std::move(queue_.front().text);
  queue_.pop_front();
  queued_bytes_ -= text->size();
  return text;
}

void StreamClient::on_message(std::string_view text) {
  Result<StreamSubscription> subscription = parse_subscription(text);
  if (!subscription) {
    offer(Kind::kError, error_text(subscription.error()));
    return;
  }
  const MutexLock lock(mu_);
  subscription_ = *std::move(subscription);
  next_answer_at_.clear();
}

void StreamClient::set_wake(std::function<void()> wake) {
  const MutexLock lock(mu_);
  wake_ = std::make_shared<const std::function<void()>>(std::move(wake));
}

void StreamClient::wake() {
  std::shared_ptr<const std::function<void()>> wake;
  {
    const MutexLock lock(mu_);
    wake = wake_;
  }
  if (wake && !is_closed_) (*wake)();
}

StreamHub::StreamHub(const Clock& clock)
    : clock_(clock), answers_(kAnswersMax), thread_([this] { run(); }) {}

StreamHub::~StreamHub() { stop(); }

void StreamHub::stop() {
  answers_.close();
  if (thread_.joinable()) thread_.join();
  const MutexLock lock(mu_);
  clients_.clear();
  client_count_ = 0;
}

void StreamHub::attach(std::string run_id, const CameraDirectory& cameras) {
  const MutexLock lock(mu_);
  run_id_ = std::move(run_id);
  cameras_ = &cameras;
}

void StreamHub::offer_answer(const BoardEntry& entry) {
  if (client_count_ == 0) return;
  if (!answers_.try_push(BoardEntry(entry))) ++lost_;
}

std::vector<std::shared_ptr<StreamClient>> StreamHub::open_clients() {
  const MutexLock lock(mu_);
  std::erase_if(clients_, [this](const std::shared_ptr<StreamClient>& client) {
    if (!client->is_closed()) return false;
    dropped_by_gone_ += client->dropped();
    return true;
  });
  client_count_ = clients_.size();
  return clients_;
}

void StreamHub::offer(StreamClient::Kind kind, const std::string& text) {
  const auto shared = std::make_shared<const std::string>(text);
  for (const std::shared_ptr<StreamClient>& client : open_clients()) {
    if (kind == StreamClient::Kind::kStats) {
      client->offer(kind,
                    std::make_shared<const std::string>(fmt::format(
                        "{},\"dropped\":{}}}", std::string_view(text).substr(0, text.rfind('}')),
                        client->dropped())));
    } else {
      client->offer(kind, shared);
    }
  }
}

std::shared_ptr<StreamClient> StreamHub::add_client(std::string hello) {
  auto client = std::make_shared<StreamClient>(std::move(hello), clock_);
  const MutexLock lock(mu_);
  clients_.push_back(client);
  client_count_ = clients_.size();
  return client;
}

std::int64_t StreamHub::dropped() const {
  const MutexLock lock(mu_);
  std::int64_t sum = lost_ + dropped_by_gone_;
  for (const auto& client : clients_) sum += client->dropped();
  return sum;
}

void StreamHub::run() {
  name_this_thread("stream");
  while (const std::optional<BoardEntry> entry = answers_.pop()) {
    const CameraDirectory* cameras = nullptr;
    std::string run_id;
    {
      const MutexLock lock(mu_);
      cameras = cameras_;
      run_id = run_id_;
    }
    if (cameras == nullptr) continue;
    const CameraNames& names = (*cameras)[entry->answer->camera];
    std::shared_ptr<const std::string> text;
    for (const std::shared_ptr<StreamClient>& client : open_clients()) {
      if (!client->wants_answer(names.id)) continue;
      if (!text) {
        std::string line = R"({"type":"answer","result":)";
        append_answer_json(line, *entry->answer, run_id, names);
        line.back() = '}';  // in place of the newline
        text = std::make_shared<const std::string>(std::move(line));
      }
      client->offer(StreamClient::Kind::kAnswer, text);
    }
  }
}

}  // namespace framemill
