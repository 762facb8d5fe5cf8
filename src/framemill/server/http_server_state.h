#pragma once

// Inside of the HTTP server, for http_*.cc alone: the only files that see Boost.

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/error.hpp>

#include "framemill/server/http_server.h"
#include "framemill/server/rate_limit.h"
#include "framemill/server/tls_identity.h"

namespace framemill {

namespace beast = boost::beast;
namespace net = boost::asio;
using tcp = net::ip::tcp;
using BeastError = beast::error_code;

/// What connections share. Counters: any thread; the rest as each group says.
struct HttpServerState {
  HttpServerState(HttpServer::Options server_options, const Clock& server_clock);

  const HttpServer::Options options;
  const Clock& clock;

  std::atomic<std::int64_t> requests{0};
  std::atomic<std::int64_t> refused{0};
  std::atomic<std::int64_t> connections{0};
  std::atomic<std::int64_t> sockets{0};
  std::atomic<std::size_t> requests_waiting{0};

  // Used by the network's thread only; here, so that they outlive the connections.
  RateLimit rate;
  std::map<std::string, std::size_t> connections_of_peer;
  std::shared_ptr<const TlsIdentity> identity;  ///< null: plain HTTP

  // What still waits in them when they end are connections, which use the network.
  net::io_context network{1};
  net::io_context work;
  net::executor_work_guard<net::io_context::executor_type> work_guard{work.get_executor()};
  tcp::acceptor acceptor{network};
  net::steady_timer accept_pause{network};
  tcp::endpoint endpoint;

  std::vector<std::thread> threads;

  void accept();
  void admit(tcp::socket&& socket);
};

/// Counts a connection while it lives. Network's thread.
class HttpTicket {
 public:
  HttpTicket(HttpServerState& state, std::string peer) : state_(state), peer_(std::move(peer)) {
    ++state_.connections;
    ++state_.connections_of_peer[peer_];
  }
  HttpTicket(const HttpTicket&) = delete;
  ~HttpTicket() {
    --state_.connections;
    const auto found = state_.connections_of_peer.find(peer_);
    if (--found->second == 0) state_.connections_of_peer.erase(found);
  }
  [[nodiscard]] const std::string& peer() const { return peer_; }

 private:
  HttpServerState& state_;
  const std::string peer_;
};

/// An answer of the server itself, to what no handler sees.
[[nodiscard]] HttpResponse refusal(int status, std::string_view code, std::string_view error,
                                   std::string_view remedy);

/// Serves one client until it goes; `refused`: tells it that and ends. Each in a file of its own,
/// since they take half a minute to compile.
void serve_plain(HttpServerState& state, tcp::socket&& socket, std::shared_ptr<HttpTicket> ticket,
                 std::optional<HttpResponse> refused);
/// Likewise over TLS, by state.identity. Who speaks plain HTTP there is told to use https.
void serve_tls(HttpServerState& state, tcp::socket&& socket, std::shared_ptr<HttpTicket> ticket,
               std::optional<HttpResponse> refused);

}  // namespace framemill
