#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/server/http_message.h"
#include "framemill/server/tls_identity.h"

namespace framemill {

/// What one server takes at most. Above it clients are refused, never the engine slowed.
struct HttpLimits {
  std::size_t connections_max = 512;
  std::size_t connections_per_peer_max = 256;
  std::size_t sockets_max = 64;  ///< WebSockets
  std::uint32_t header_bytes_max = 16 * 1024;
  std::size_t body_bytes_max = 256 * 1024;
  std::size_t message_bytes_max = 1024 * 1024;       ///< from a WebSocket's client
  std::size_t requests_waiting_max = 64;             ///< for a worker
  Duration receive_time = std::chrono::seconds(10);  ///< for a request's head, again for its body
  Duration idle_time = std::chrono::seconds(30);     ///< until the next request of a connection
  Duration send_time = std::chrono::seconds(20);
  double requests_per_s = 200;  ///< of one address, on average
  double requests_burst = 400;
  Duration socket_idle_time = std::chrono::seconds(40);  ///< pinged after half of it
};

/// What was done so far.
struct HttpCounts {
  std::int64_t requests = 0;
  std::int64_t refused = 0;      ///< by a limit: connections, rate, waiting
  std::int64_t connections = 0;  ///< open now
  std::int64_t sockets = 0;      ///< WebSockets open now
};

struct HttpServerState;

/// An HTTP/1.1 server, plain or over TLS: one thread for the network, two for what the requests ask
/// for, all of lower priority than the engine's. Knows nothing of framemill; what requests mean is
/// `handle`. A client that sends or reads slowly holds its own connection for a bounded time, and
/// nothing else. Thread-safety: counts() from any thread, the others from one.
class HttpServer {
 public:
  struct Options {
    std::string listen;  ///< HOST:PORT; port 0: any that is free
    TlsFiles tls;        ///< without cert_file: plain HTTP
    HttpLimits limits;
    /// Called from a worker, for several requests at once. Must not throw.
    std::function<HttpResponse(const HttpRequest&)> handle;
    /// Called from the network's thread: has to be quick.
    std::function<UpgradeAnswer(const HttpRequest&)> upgrade;
  };

  /// Takes the address; answers from start() on. Errors: kInvalidArgument where there is no such
  /// address or no right to it, kUnavailable where another process has it; those of
  /// TlsIdentity::load().
  static Result<std::unique_ptr<HttpServer>> create(Options options, const Clock& clock);
  ~HttpServer();

  void start();
  /// Ends all connections. Channels are not called any more; none may be woken after this.
  void stop();
  /// As it is reached: "127.0.0.1:8460".
  [[nodiscard]] std::string address() const;
  [[nodiscard]] bool is_tls() const;
  /// Reads the files of TLS again, which may have been renewed. What is returned lets new
  /// connections use them; nothing has changed before that is called, or where there is an error
  /// (those of TlsIdentity::load()). Any thread; called while the server is there.
  [[nodiscard]] Result<std::function<void()>> prepare_identity();
  [[nodiscard]] HttpCounts counts() const;

 private:
  explicit HttpServer(std::unique_ptr<HttpServerState> state);
  std::unique_ptr<HttpServerState> state_;
};

}  // namespace framemill
