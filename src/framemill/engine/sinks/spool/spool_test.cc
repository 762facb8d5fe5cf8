#include "framemill/engine/sinks/spool/spool.h"

#include <csignal>
#include <filesystem>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/engine/sinks/spool/message.h"
#include "framemill/engine/sinks/spool/spooled_sink.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class SpoolTest : public testing::Test {
 protected:
  std::unique_ptr<Spool> open(std::int64_t bytes_max = 1'000'000) {
    Result<std::unique_ptr<Spool>> spool = Spool::open(folder_.path(), bytes_max);
    EXPECT_TRUE(spool) << (spool ? "" : spool.error().message());
    return std::move(*spool);
  }
  const TempFolder folder_;
};

TEST_F(SpoolTest, ItsFolderBelongsToOneRunAndIsRefusedWhereNobodyCanTell) {
  {
    const auto spool = open();
    const auto second = Spool::open(folder_.path(), 1'000'000);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), ErrorCode::kFailedPrecondition);
    EXPECT_THAT(second.error().message(), testing::HasSubstr("another run of framemill uses it"));
  }
  EXPECT_NE(open(), nullptr) << "it was let go of";
  // Stands for a file system without locks.
  std::filesystem::remove(folder_ / "lock");
  std::filesystem::create_symlink("/dev/null", folder_ / "lock");
  const auto unknown = Spool::open(folder_.path(), 1'000'000);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_THAT(unknown.error().message(), testing::HasSubstr("knows no locks"));
}

TEST_F(SpoolTest, FirstInFirstOut) {
  const auto spool = open();
  for (const std::string record : {"a", "", "c\nd"}) ASSERT_TRUE(spool->append(record));
  EXPECT_THAT(spool->peek(10, 1000), IsEmpty()) << "not flushed yet";
  EXPECT_EQ(spool->waiting(), 3);
  ASSERT_TRUE(spool->flush());
  EXPECT_THAT(spool->peek(2, 1000), ElementsAre("a", ""));
  EXPECT_THAT(spool->peek(2, 1000), ElementsAre("a", "")) << "until they are committed";
  spool->commit();
  EXPECT_THAT(spool->peek(2, 1000), ElementsAre("c\nd"));
  spool->commit();
  EXPECT_EQ(spool->waiting(), 0);
  EXPECT_EQ(spool->waiting_bytes(), 0);
}

TEST_F(SpoolTest, SurvivesARestart) {
  {
    const auto spool = open();
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(spool->append(std::to_string(i)));
    ASSERT_TRUE(spool->flush());
    EXPECT_EQ(spool->peek(3, 1000).size(), 3U);
    spool->commit();
    EXPECT_EQ(spool->peek(2, 1000).size(), 2U);  // read, but not committed
  }
  const auto spool = open();
  EXPECT_EQ(spool->waiting(), 7);
  EXPECT_THAT(spool->peek(2, 1000), ElementsAre("3", "4"));
}

TEST_F(SpoolTest, ATornRecordIsCutOff) {
  {
    const auto spool = open();
    ASSERT_TRUE(spool->append("whole"));
    ASSERT_TRUE(spool->append("torn in the middle"));
    ASSERT_TRUE(spool->flush());
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    if (entry.path().extension() == ".log")
      std::filesystem::resize_file(entry.path(), entry.file_size() - 5);
  const auto spool = open();
  ASSERT_TRUE(spool->append("next"));
  ASSERT_TRUE(spool->flush());
  EXPECT_THAT(spool->peek(10, 1000), ElementsAre("whole", "next"));
}

TEST_F(SpoolTest, TheOldestGoWhereTheLimitIsReached) {
  const auto spool = open(64 * 1024);
  const std::string filler(990, 'x');
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(spool->append(std::to_string(10'000 + i) + filler));
    ASSERT_TRUE(spool->flush());
    EXPECT_LE(spool->waiting_bytes(), 64 * 1024 + 1100);
  }
  EXPECT_EQ(spool->dropped() + spool->waiting(), 1000) << "nothing is lost in silence";
  EXPECT_GT(spool->waiting(), 50);
  int next = static_cast<int>(spool->dropped());
  while (true) {
    const std::vector<std::string> records = spool->peek(7, 1'000'000);
    if (records.empty()) break;
    for (const std::string& record : records)
      EXPECT_EQ(std::stoi(record.substr(0, 5)), 10'000 + next++);
    spool->commit();
  }
  EXPECT_EQ(next, 1000);
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    bytes += entry.file_size();
  EXPECT_LT(bytes, 10'000U) << "what is done takes no room";
}

TEST_F(SpoolTest, OneProcessAtATime) {
  const auto spool = open();
  const Result<std::unique_ptr<Spool>> second = Spool::open(folder_.path(), 1'000'000);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kFailedPrecondition);
}

TEST_F(SpoolTest, KilledAtAnyMomentNothingFlushedIsLost) {
  std::mt19937 rng(5);
  std::int64_t next_read = 0, next_written = 0;
  for (int round = 0; round < 15; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      Result<std::unique_ptr<Spool>> spool = Spool::open(folder_.path(), 10'000'000);
      if (!spool) ::_exit(1);
      for (std::int64_t i = next_written;; ++i) {
        if (!(*spool)->append(std::to_string(i)) || !(*spool)->flush()) ::_exit(1);
        if (::write(ends[1], &i, sizeof i) != sizeof i) ::_exit(1);
      }
    }
    ::close(ends[1]);
    std::int64_t said = -1, last = -1;
    for (std::size_t left = 1 + rng() % 200; left > 0; --left)
      ASSERT_EQ(::read(ends[0], &said, sizeof said), static_cast<ssize_t>(sizeof said));
    ::kill(child, SIGKILL);
    while (::read(ends[0], &last, sizeof last) == sizeof last) said = last;
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    const auto spool = open(10'000'000);
    const std::size_t some = rng() % 100;
    for (const std::string& record : spool->peek(some, 1'000'000))
      EXPECT_EQ(record, std::to_string(next_read++)) << "round " << round;
    spool->commit();
    next_written = next_read + spool->waiting();
    EXPECT_GE(next_written, said + 1) << "what was flushed is there";
    EXPECT_LE(next_written, said + 2);
  }
}

TEST(Message, RoundTrip) {
  const Message message{Message::Kind::kAlarm, "A/raised", "gate-1", "intruder", R"({"a":"\n"})"};
  const std::optional<Message> parsed = parse_message(format_message(message));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->kind, Message::Kind::kAlarm);
  EXPECT_EQ(parsed->key, message.key);
  EXPECT_EQ(parsed->camera, message.camera);
  EXPECT_EQ(parsed->rule, message.rule);
  EXPECT_EQ(parsed->body, message.body);
  EXPECT_FALSE(parse_message("nothing"));
  EXPECT_FALSE(parse_message(""));
}

/// A peer that records what it takes and fails on demand; outlives the outlet.
struct Peer {
  Mutex mu;
  CondVar changed;
  std::vector<std::string> keys GUARDED_BY(mu);
  bool is_down GUARDED_BY(mu) = false;
  bool wants_status = false;  ///< set before the sink is opened
  std::string refused GUARDED_BY(mu);
  bool takes_answers GUARDED_BY(mu) = true;
  Duration linger{0};  ///< set before the sink is opened

  void wait_for(std::size_t count) {
    const MutexLock lock(mu);
    while (keys.size() < count) changed.wait(mu);
  }
  void set_down(bool down) {
    const MutexLock lock(mu);
    is_down = down;
  }
};
class FakeOutlet final : public Outlet {
 public:
  explicit FakeOutlet(Peer& peer) : peer_(peer) {}
  Result<void> deliver(std::span<const Message> messages) override {
    const MutexLock lock(peer_.mu);
    if (peer_.is_down) return fail(ErrorCode::kUnavailable, "down");
    if (!peer_.takes_answers && messages.front().kind == Message::Kind::kAnswer)
      return fail(ErrorCode::kUnavailable, "no rights");
    for (const Message& message : messages)
      if (message.key == peer_.refused) return fail(ErrorCode::kInvalidArgument, "never");
    for (const Message& message : messages) peer_.keys.push_back(message.key);
    peer_.changed.notify_all();
    return {};
  }
  Result<void> show(const RunStatus&) override {
    const MutexLock lock(peer_.mu);
    if (peer_.is_down) return fail(ErrorCode::kUnavailable, "down");
    return {};
  }
  [[nodiscard]] bool wants_status() const override { return peer_.wants_status; }
  void interrupt() override {}
  [[nodiscard]] std::size_t batch_max() const override { return 10; }
  [[nodiscard]] Duration linger() const override { return peer_.linger; }

 private:
  Peer& peer_;
};

class SpooledSinkTest : public SpoolTest {
 protected:
  void SetUp() override { cameras_.append({"gate-1", std::vector<std::string>()}); }
  std::unique_ptr<SpooledSink> open_sink(const std::string& run) {
    Result<std::unique_ptr<SpooledSink>> sink =
        SpooledSink::create({.name = "peer",
                             .folder = folder_.path(),
                             .run_id = run,
                             .retry_min = 1ms,
                             .retry_max = 2ms,
                             .finish_patience = 30s},
                            std::make_unique<FakeOutlet>(peer_), cameras_);
    EXPECT_TRUE(sink);
    return std::move(*sink);
  }
  static Answer answer(std::int64_t seq) {
    Answer answer;
    answer.stamp.seq = seq;
    return answer;
  }
  CameraDirectory cameras_;
  Peer peer_;
};

TEST_F(SpooledSinkTest, NothingIsLostOverARestartWithThePeerDown) {
  peer_.set_down(true);
  {
    const auto sink = open_sink("ONE");
    for (int i = 0; i < 25; ++i) ASSERT_TRUE(sink->write(answer(i)));
    AlarmEvent event;
    event.alarm_id = "A";
    ASSERT_TRUE(sink->write_alarm(event));
    ASSERT_TRUE(sink->flush());
    sink->finish();
    EXPECT_EQ(sink->spool().waiting, 26);
    EXPECT_EQ(sink->spool().delivered, 0);
  }
  peer_.set_down(false);
  const auto sink = open_sink("TWO");
  ASSERT_TRUE(sink->write(answer(0)));
  ASSERT_TRUE(sink->flush());
  peer_.wait_for(27);
  sink->finish();
  const MutexLock lock(peer_.mu);
  EXPECT_EQ(peer_.keys.front(), "A/raised") << "alarms go first";
  EXPECT_EQ(peer_.keys[1], "ONE/gate-1/0");
  EXPECT_EQ(peer_.keys[25], "ONE/gate-1/24");
  EXPECT_EQ(peer_.keys.back(), "TWO/gate-1/0");
}

TEST_F(SpooledSinkTest, ThePeerComesBack) {
  const auto sink = open_sink("RUN");
  for (int i = 0; i < 100; ++i) {
    peer_.set_down(i % 20 >= 10);
    ASSERT_TRUE(sink->write(answer(i)));
    ASSERT_TRUE(sink->flush());
  }
  peer_.set_down(false);
  peer_.wait_for(100);
  sink->finish();
  const MutexLock lock(peer_.mu);
  std::vector<std::string> want;
  for (int i = 0; i < 100; ++i) want.push_back("RUN/gate-1/" + std::to_string(i));
  EXPECT_EQ(peer_.keys, want) << "in order, each once: the peer takes a batch whole or not at all";
}

TEST_F(SpooledSinkTest, APeerThatIsBackIsNoTroubleThoughNothingWaits) {
  peer_.wants_status = true;
  peer_.set_down(true);
  const auto sink = open_sink("RUN");
  ASSERT_TRUE(sink->write_status({}));
  while (sink->spool().last_error.empty()) std::this_thread::yield();
  EXPECT_EQ(sink->spool().last_error, "down");
  peer_.set_down(false);
  while (!sink->spool().last_error.empty()) {  // hangs where it is not taken back
    ASSERT_TRUE(sink->write_status({}));
    std::this_thread::sleep_for(1ms);
  }
  sink->finish();
}

TEST_F(SpooledSinkTest, AnswersWaitForCompanyAndAlarmsDoNot) {
  peer_.linger = 1h;
  const auto sink = open_sink("RUN");
  const auto write = [&](int seq) {
    ASSERT_TRUE(sink->write(answer(seq)));
    ASSERT_TRUE(sink->flush());
  };
  write(0);
  peer_.wait_for(1);  // nothing was sent before, so nothing is waited for
  write(1);
  AlarmEvent event;
  event.alarm_id = "A";
  ASSERT_TRUE(sink->write_alarm(event));
  ASSERT_TRUE(sink->flush());
  peer_.wait_for(2);
  {
    const MutexLock lock(peer_.mu);
    EXPECT_THAT(peer_.keys, ElementsAre("RUN/gate-1/0", "A/raised"));
  }
  for (int seq = 2; seq < 11; ++seq) write(seq);  // with 1 a whole batch: it goes
  peer_.wait_for(12);
  write(11);
  sink->finish();  // does not wait for the hour to be over
  const MutexLock lock(peer_.mu);
  EXPECT_EQ(peer_.keys.size(), 13U);
  EXPECT_EQ(peer_.keys.back(), "RUN/gate-1/11");
}

TEST_F(SpooledSinkTest, TroubleWithAnswersIsNotOverBecauseAlarmsAreTaken) {
  {
    const MutexLock lock(peer_.mu);
    peer_.takes_answers = false;
  }
  const auto sink = open_sink("RUN");
  ASSERT_TRUE(sink->write(answer(0)));
  ASSERT_TRUE(sink->flush());
  while (sink->spool().retries == 0) std::this_thread::sleep_for(1ms);
  AlarmEvent event;
  event.alarm_id = "A";
  ASSERT_TRUE(sink->write_alarm(event));
  ASSERT_TRUE(sink->flush());
  peer_.wait_for(1);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(sink->spool().last_error, "no rights");
    std::this_thread::sleep_for(1ms);
  }
  {
    const MutexLock lock(peer_.mu);
    peer_.takes_answers = true;
  }
  peer_.wait_for(2);
  sink->finish();
  EXPECT_EQ(sink->spool().last_error, "");
}

TEST_F(SpooledSinkTest, ARefusedMessageHoldsNothingUp) {
  {
    const MutexLock lock(peer_.mu);
    peer_.refused = "RUN/gate-1/3";
  }
  const auto sink = open_sink("RUN");
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(sink->write(answer(i)));
  ASSERT_TRUE(sink->flush());
  peer_.wait_for(5);
  sink->finish();
  EXPECT_EQ(sink->spool().dropped, 1);
  EXPECT_EQ(sink->spool().delivered, 5);
  EXPECT_EQ(sink->spool().waiting, 0);
}

}  // namespace
}  // namespace framemill
