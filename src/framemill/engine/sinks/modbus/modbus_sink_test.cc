#include "framemill/engine/sinks/modbus/modbus_sink.h"

#include <array>
#include <cerrno>
#include <span>
#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

/// A client that says what it likes.
class RawClient {
 public:
  explicit RawClient(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  RawClient(const RawClient&) = delete;
  ~RawClient() { ::close(fd_); }

  static std::array<std::uint8_t, 12> request(int function, int address, int count) {
    const auto byte = [](int value) { return static_cast<std::uint8_t>(value); };
    return {0,
            1,
            0,
            0,
            0,
            6,
            1,
            byte(function),
            byte(address >> 8),
            byte(address),
            byte(count >> 8),
            byte(count)};
  }
  /// What went, at once; -1: nothing can go.
  ssize_t send(std::span<const std::uint8_t> bytes) {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  /// The data of the next reply; empty: no reply.
  std::vector<std::uint8_t> receive() {
    std::array<std::uint8_t, 260> head{};
    if (::recv(fd_, head.data(), 9, MSG_WAITALL) != 9) return {};
    if ((head[7] & 0x80U) != 0) return {head[8]};  // what was wrong
    std::vector<std::uint8_t> data(head[8]);
    const ssize_t length = ::recv(fd_, data.data(), data.size(), MSG_WAITALL);
    return length == static_cast<ssize_t>(data.size()) ? data : std::vector<std::uint8_t>();
  }
  std::vector<int> registers(int address, int count) {
    send(request(4, address, count));
    const std::vector<std::uint8_t> data = receive();
    std::vector<int> values;
    for (std::size_t i = 0; i + 1 < data.size(); i += 2)
      values.push_back(data[i] * 256 + data[i + 1]);
    return values;
  }
  /// From address 0: heartbeat, some open, some unseen.
  bool bit(int address) {
    send(request(1, address, 1));
    const std::vector<std::uint8_t> data = receive();
    return !data.empty() && (data[0] & 1U) != 0;
  }

 private:
  const int fd_;
};

std::unique_ptr<ModbusSink> open_sink() {
  ModbusSinkOptions options{.listen = "127.0.0.1:0",
                            .map = RegisterMap({"gate-1", "gate-2"}, {{"gate-1", "dock", "presence",
                                                                       AlarmSeverity::kWarning}}),
                            .map_path = {}};
  Result<std::unique_ptr<ModbusSink>> sink = ModbusSink::create(std::move(options));
  EXPECT_TRUE(sink);
  return std::move(*sink);
}

AlarmEvent event_of(const CameraId& camera, AlarmState state, AlarmSeverity severity) {
  AlarmEvent event;
  event.camera_id = camera;
  event.rule = "dock";
  event.state = state;
  event.severity = severity;
  return event;
}

TEST(ModbusSink, AnAlarmOfARuleThatCameLaterCountsInTheSums) {
  const std::unique_ptr<ModbusSink> sink = open_sink();
  RawClient client(sink->port());
  const auto sums = [&] { return client.registers(RegisterMap::kOpen, 3); };
  ASSERT_TRUE(sink->write_alarm(event_of("new", AlarmState::kRaised, AlarmSeverity::kCritical)));
  EXPECT_THAT(sums(), ElementsAre(1, 1, 3));
  EXPECT_TRUE(client.bit(RegisterMap::kAnyOpenBit));
  EXPECT_TRUE(client.bit(RegisterMap::kAnyUnseenBit));
  EXPECT_FALSE(client.bit(RegisterMap::kFirstOpenBit));
  ASSERT_TRUE(sink->write_alarm(event_of("gate-1", AlarmState::kRaised, AlarmSeverity::kWarning)));
  EXPECT_THAT(sums(), ElementsAre(2, 2, 3));
  EXPECT_TRUE(client.bit(RegisterMap::kFirstOpenBit));
  ASSERT_TRUE(
      sink->write_alarm(event_of("new", AlarmState::kAcknowledged, AlarmSeverity::kCritical)));
  EXPECT_THAT(sums(), ElementsAre(2, 1, 3));
  ASSERT_TRUE(sink->write_alarm(event_of("new", AlarmState::kCleared, AlarmSeverity::kCritical)));
  EXPECT_THAT(sums(), ElementsAre(1, 1, 2));

  // One that is open since a run before is told by the status.
  RunStatus status;
  status.cameras = {{.index = 0, .id = "gate-1", .state = "up", .fidelity = {}}};
  status.rules = {{.camera_id = "gate-1", .id = "dock", .kind = "presence"},
                  {.camera_id = "new",
                   .id = "dock",
                   .kind = "presence",
                   .severity = AlarmSeverity::kCritical,
                   .is_open = true}};
  ASSERT_TRUE(sink->write_status(status));
  EXPECT_THAT(sums(), ElementsAre(1, 1, 3));
  EXPECT_FALSE(client.bit(RegisterMap::kFirstOpenBit));
}

TEST(ModbusSink, SaysThatACameraIsPausedOrGone) {
  const std::unique_ptr<ModbusSink> sink = open_sink();
  RawClient client(sink->port());
  RunStatus status;
  status.cameras = {
      {.index = 0, .id = "gate-1", .state = "paused", .fidelity = {}},
      {.index = 1, .id = "gate-2", .state = "up", .answered = 70'000, .fidelity = .5}};
  ASSERT_TRUE(sink->write_status(status));
  EXPECT_THAT(client.registers(RegisterMap::kFirstCamera, 1), ElementsAre(6));
  const int second = RegisterMap::kFirstCamera + RegisterMap::kCameraRegisters;
  EXPECT_THAT(client.registers(second, 10), ElementsAre(1, 1, 4464, 0, 0, 0, 0, 0, 500, 0));
  status.cameras.pop_back();
  ASSERT_TRUE(sink->write_status(status));
  EXPECT_THAT(client.registers(second, 10),
              ElementsAre(7, 1, 4464, 0, 0, 0, 0, 0, RegisterMap::kUnknown, 0));
}

TEST(ModbusSink, AClientThatDoesNotReadHoldsNobodyUp) {
  const std::unique_ptr<ModbusSink> sink = open_sink();
  RawClient other(sink->port());
  EXPECT_FALSE(other.registers(0, 1).empty());
  RawClient mute(sink->port());  // gone before the sink: a server that waits for it goes on then
  std::vector<std::uint8_t> requests;
  for (int i = 0; i < 100; ++i) {
    const auto one = RawClient::request(4, RegisterMap::kFirstCamera, 20);
    requests.insert(requests.end(), one.begin(), one.end());
  }
  // Until the server does not take any more, or has let go of it.
  const auto until = std::chrono::steady_clock::now() + 5s;
  for (int stuck = 0; stuck < 100 && std::chrono::steady_clock::now() < until;) {
    if (mute.send(requests) >= 0) {
      stuck = 0;
      continue;
    }
    if (errno != EAGAIN) break;
    ++stuck;
    std::this_thread::sleep_for(1ms);
  }
  ASSERT_FALSE(other.registers(0, 1).empty());
  ASSERT_TRUE(sink->write_alarm(event_of("gate-1", AlarmState::kRaised, AlarmSeverity::kInfo)));
  EXPECT_TRUE(other.bit(RegisterMap::kFirstOpenBit));
}

TEST(ModbusSink, TakesRequestsAsTheyCome) {
  const std::unique_ptr<ModbusSink> sink = open_sink();
  RawClient client(sink->port());
  const auto one = RawClient::request(4, RegisterMap::kCameras, 1);
  std::vector<std::uint8_t> two(one.begin(), one.end());
  two.insert(two.end(), one.begin(), one.begin() + 3);
  client.send(two);
  EXPECT_THAT(client.receive(), ElementsAre(0, 2));
  std::this_thread::sleep_for(300ms);
  client.send(std::span(one).subspan(3));
  EXPECT_THAT(client.receive(), ElementsAre(0, 2)) << "the second came in two pieces";

  client.send(RawClient::request(6, 0, 1));
  EXPECT_THAT(client.receive(), ElementsAre(1)) << "no writing";
  client.send(RawClient::request(4, 0, 126));
  EXPECT_THAT(client.receive(), ElementsAre(3)) << "too many";
  client.send(RawClient::request(1, 0, 0));
  EXPECT_THAT(client.receive(), ElementsAre(3)) << "none";
  client.send(RawClient::request(3, 65'000, 1));
  EXPECT_THAT(client.receive(), ElementsAre(2)) << "nothing is there";
  client.send(std::vector<std::uint8_t>(8, 0xFF));
  EXPECT_TRUE(client.receive().empty()) << "not Modbus: let go";
}

}  // namespace
}  // namespace framemill
