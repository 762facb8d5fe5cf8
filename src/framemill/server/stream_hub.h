#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "framemill/base/bounded_queue.h"
#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/base/result.h"
#include "framemill/engine/answer_json.h"
#include "framemill/server/answer_board.h"
#include "framemill/server/http_message.h"

namespace framemill {

/// What one client of the stream wants; the message `subscribe`.
struct StreamSubscription {
  bool has_all_cameras = false;
  std::set<std::string, std::less<>> cameras;
  Duration answer_period{0};  ///< between two answers of a camera, at least
  bool has_stats = true;
  bool has_alarms = true;
  bool has_events = true;

  [[nodiscard]] bool wants(std::string_view camera) const {
    return has_all_cameras || cameras.contains(camera);
  }
};

/// From the text of a client. Errors: kInvalidArgument, says what and where.
[[nodiscard]] Result<StreamSubscription> parse_subscription(std::string_view text);

/// One client of the stream: a bounded queue of texts. Where it is full the oldest answer goes
/// first, since a newer one says more, then the oldest of all; figures replace each other.
/// Thread-safety: all members, any thread.
class StreamClient final : public SocketChannel {
 public:
  /// `hello` is sent first.
  StreamClient(std::string hello, const Clock& clock);

  enum class Kind : std::uint8_t { kAnswer, kStats, kAlarm, kEvent, kError };
  /// Queues a text that was subscribed to.
  void offer(Kind kind, std::shared_ptr<const std::string> text) EXCLUDES(mu_);
  /// Whether an answer of `camera` should be offered now; counts as offered then.
  [[nodiscard]] bool wants_answer(std::string_view camera) EXCLUDES(mu_);
  [[nodiscard]] bool is_closed() const { return is_closed_; }
  [[nodiscard]] std::int64_t dropped() const { return dropped_; }

  [[nodiscard]] std::shared_ptr<const std::string> next() override EXCLUDES(mu_);
  void on_message(std::string_view text) override EXCLUDES(mu_);
  void set_wake(std::function<void()> wake) override EXCLUDES(mu_);
  void on_closed() override { is_closed_ = true; }

 private:
  struct Message {
    Kind kind;
    std::shared_ptr<const std::string> text;
  };
  void wake() EXCLUDES(mu_);

  const Clock& clock_;
  std::atomic<bool> is_closed_{false};
  std::atomic<std::int64_t> dropped_{0};
  mutable Mutex mu_;
  std::shared_ptr<const std::function<void()>> wake_ GUARDED_BY(mu_);
  StreamSubscription subscription_ GUARDED_BY(mu_);
  std::map<std::string, TimePoint, std::less<>> next_answer_at_ GUARDED_BY(mu_);
  std::deque<Message> queue_ GUARDED_BY(mu_);
  std::size_t queued_bytes_ GUARDED_BY(mu_) = 0;
};

/// Hands answers, figures and events to the clients of the stream. Renders each once, on a thread
/// of its own, and answers only while somebody wants them: the engine's part is one push into a
/// bounded queue. Thread-safety: all members, any thread.
class StreamHub {
 public:
  explicit StreamHub(const Clock& clock);
  StreamHub(const StreamHub&) = delete;
  ~StreamHub();

  /// Answers are rendered from here on; `cameras` outlive stop().
  void attach(std::string run_id, const CameraDirectory& cameras) EXCLUDES(mu_);

  void offer_answer(const BoardEntry& entry);
  /// `text`: a whole message. Figures get the client's own count of dropped messages before their
  /// last brace.
  void offer(StreamClient::Kind kind, const std::string& text) EXCLUDES(mu_);

  [[nodiscard]] std::shared_ptr<StreamClient> add_client(std::string hello) EXCLUDES(mu_);
  [[nodiscard]] std::size_t clients() const { return client_count_; }
  /// Messages that clients were too slow for, or that found the queue full.
  [[nodiscard]] std::int64_t dropped() const EXCLUDES(mu_);
  void stop();

 private:
  void run();
  [[nodiscard]] std::vector<std::shared_ptr<StreamClient>> open_clients() EXCLUDES(mu_);

  const Clock& clock_;
  std::atomic<std::size_t> client_count_{0};
  std::atomic<std::int64_t> lost_{0};
  BoundedQueue<BoardEntry> answers_;  // synchronizes itself
  mutable Mutex mu_;
  std::vector<std::shared_ptr<StreamClient>> clients_ GUARDED_BY(mu_);
  std::int64_t dropped_by_gone_ GUARDED_BY(mu_) = 0;
  std::string run_id_ GUARDED_BY(mu_);
  const CameraDirectory* cameras_ GUARDED_BY(mu_) = nullptr;
  std::thread thread_;  // last member
};

}  // namespace framemill
