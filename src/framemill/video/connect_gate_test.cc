#include "framemill/video/connect_gate.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include "framemill/video/source.h"

namespace framemill {
namespace {

/// What a socket of this machine is bound to.
sockaddr_in address_of(const char* host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, host, &address.sin_addr);
  return address;
}

/// Says the same to whoever connects, once the first request has come, and counts them. Linux takes
/// all of 127.0.0.0/8 for this machine's, so that there are hosts to tell apart.
class CannedServer {
 public:
  explicit CannedServer(const char* host, std::string answer = {}) : answer_(std::move(answer)) {
    const sockaddr_in wanted = address_of(host, 0);
    sockaddr_in bound{};
    socklen_t size = sizeof bound;
    EXPECT_EQ(bind(socket_, reinterpret_cast<const sockaddr*>(&wanted), sizeof wanted), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&bound), &size), 0);
    EXPECT_EQ(listen(socket_, 8), 0);
    host_ = fmt::format("{}:{}", host, ntohs(bound.sin_port));
    thread_ = std::thread([this] { run(); });
  }
  CannedServer(const CannedServer&) = delete;
  ~CannedServer() {
    is_over_ = true;
    thread_.join();
    close(socket_);
  }
  [[nodiscard]] const std::string& host() const { return host_; }
  [[nodiscard]] std::string port() const { return host_.substr(host_.find(':') + 1); }
  [[nodiscard]] int visitors() const { return visitors_; }

 private:
  static bool is_readable(int socket) {
    pollfd wait{.fd = socket, .events = POLLIN, .revents = 0};
    return poll(&wait, 1, 20) == 1;
  }
  void run() {
    while (!is_over_) {
      if (!is_readable(socket_)) continue;
      const int visitor = accept(socket_, nullptr, nullptr);
      ++visitors_;
      std::array<char, 4096> request{};
      while (!is_over_ && !is_readable(visitor)) {
      }
      if (read(visitor, request.data(), request.size()) > 0)
        send(visitor, answer_.data(), answer_.size(), MSG_NOSIGNAL);
      close(visitor);
    }
  }

  const std::string answer_;
  const int socket_ = socket(AF_INET, SOCK_STREAM, 0);
  std::string host_;
  std::atomic<bool> is_over_{false};
  std::atomic<int> visitors_{0};
  std::thread thread_;
};

/// 127.0.0.1 is the plant, and all else what no camera may be at.
Result<void> check_plant(std::string_view address) {
  if (address == "127.0.0.1") return {};
  return fail(ErrorCode::kInvalidArgument, fmt::format("{}, another network", address));
}

Result<void> open(const std::string& url, AddressFilter may_connect_to) {
  static const SystemClock kClock;
  SourceOptions options;
  options.url = url;
  options.may_connect_to = std::move(may_connect_to);
  options.open_timeout = std::chrono::seconds(5);
  Result<std::unique_ptr<Source>> source = create_source(options, kClock);
  EXPECT_TRUE(source);
  return (*source)->open();
}

void expect_refused(const Result<void>& opened, const char* address) {
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kFailedPrecondition) << opened.error().message();
  EXPECT_THAT(
      opened.error().message(),
      testing::AllOf(testing::EndsWith(fmt::format(": leads to {}, another network", address)),
                     testing::Not(testing::HasSubstr("secret"))));
}

TEST(ConnectGate, RefusesWhereASourceConnects) {
  CannedServer camera("127.0.0.2");
  for (const char* scheme : {"http", "rtsp"}) {
    const std::string url = fmt::format("{}://viewer:secret@{}/1", scheme, camera.host());
    expect_refused(open(url, check_plant), "127.0.0.2");
    EXPECT_EQ(camera.visitors(), 0) << scheme;
  }
}

// The name service's answers are checked when the connection is made, whatever it said before.
TEST(ConnectGate, RefusesWhatANameStandsForNow) {
  CannedServer camera("127.0.0.1");
  const auto refuse = [](std::string_view address) -> Result<void> {
    return fail(ErrorCode::kInvalidArgument, std::string(address));
  };
  for (const char* scheme : {"http", "rtsp"}) {
    const Result<void> opened =
        open(fmt::format("{}://localhost:{}/1", scheme, camera.port()), refuse);
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().message(), testing::HasSubstr("leads to "));
    EXPECT_EQ(camera.visitors(), 0) << scheme;
  }
}

TEST(ConnectGate, RefusesWhereACameraRedirectsTo) {
  CannedServer forbidden("127.0.0.2");
  for (const char* code : {"301 Moved", "302 Found", "307 Temporary Redirect"}) {
    const CannedServer http("127.0.0.1",
                            fmt::format("HTTP/1.1 {}\r\nLocation: http://{}/x\r\n"
                                        "Content-Length: 0\r\nConnection: close\r\n\r\n",
                                        code, forbidden.host()));
    expect_refused(open("http://" + http.host() + "/1", check_plant), "127.0.0.2");
    EXPECT_GE(http.visitors(), 1) << "where it may connect to it does";
  }
  const CannedServer rtsp("127.0.0.1", fmt::format("RTSP/1.0 302 Moved\r\nCSeq: 1\r\n"
                                                   "Location: rtsp://{}/x\r\n\r\n",
                                                   forbidden.host()));
  expect_refused(open("rtsp://" + rtsp.host() + "/1", check_plant), "127.0.0.2");
  EXPECT_EQ(rtsp.visitors(), 1);
  EXPECT_EQ(forbidden.visitors(), 0);
}

TEST(ConnectGate, RefusesWhatAPlaylistNames) {
  CannedServer forbidden("127.0.0.2");
  const std::string playlist =
      fmt::format("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://{}/0.ts\n#EXT-X-ENDLIST\n",
                  forbidden.host());
  const CannedServer http(
      "127.0.0.1", fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n"
                               "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
                               playlist.size(), playlist));
  expect_refused(open("http://" + http.host() + "/live.m3u8", check_plant), "127.0.0.2");
  EXPECT_EQ(forbidden.visitors(), 0);
}

// Cameras of the configuration.
TEST(ConnectGate, LetsASourceWithoutFilterGoWhereItIsSent) {
  const CannedServer elsewhere("127.0.0.2");
  const CannedServer http("127.0.0.1", fmt::format("HTTP/1.1 302 Found\r\nLocation: http://{}/x\r\n"
                                                   "Content-Length: 0\r\nConnection: close\r\n\r\n",
                                                   elsewhere.host()));
  EXPECT_FALSE(open("http://" + http.host() + "/1", {})) << "nothing is sent there";
  EXPECT_GE(elsewhere.visitors(), 1);
}

TEST(ConnectGate, HoldsForItsThreadAndItsTimeAlone) {
  const CannedServer server("127.0.0.2");
  const sockaddr_in address = address_of("127.0.0.2", std::stoi(server.port()));
  const auto try_to_connect = [&address] {
    const int made = socket(AF_INET, SOCK_STREAM, 0);
    const int status = connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int error = status == 0 ? 0 : errno;
    close(made);
    return error;
  };
  const auto try_to_send = [&address] {
    const int made = socket(AF_INET, SOCK_DGRAM, 0);
    const ssize_t status =
        sendto(made, "x", 1, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int error = status == 1 ? 0 : errno;
    close(made);
    return error;
  };
  const AddressFilter filter = check_plant;
  {
    ConnectGate gate(filter);
    EXPECT_FALSE(gate.was_asked());
    EXPECT_EQ(try_to_connect(), EACCES);
    ASSERT_TRUE(gate.refusal());
    EXPECT_THAT(gate.refusal()->message(), testing::StartsWith("127.0.0.2"));
    EXPECT_TRUE(gate.was_asked());
    EXPECT_EQ(try_to_send(), EACCES);
    std::thread([&] {
      EXPECT_EQ(try_to_connect(), 0);
      EXPECT_EQ(try_to_send(), 0);
    }).join();
  }
  EXPECT_EQ(try_to_connect(), 0);
  EXPECT_EQ(try_to_send(), 0);
  const AddressFilter none;
  EXPECT_FALSE(ConnectGate(none).is_active());
}

}  // namespace
}  // namespace framemill
