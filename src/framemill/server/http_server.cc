// Accepts clients, and the threads that serve them; what is done for each is in http_connection.h,
// over TLS in http_tls.cc. Beast's templates are slow to compile, and their types stay in http_*.

#include "framemill/server/http_server.h"

#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "framemill/base/thread_name.h"
#include "framemill/server/http_server_state.h"

namespace framemill {
namespace {

constexpr std::size_t kWorkers = 2;
constexpr std::size_t kPeersMax = 4096;
constexpr int kSendBufferBytes = 256 * 1024;
/// So long before its end a certificate is warned of.
constexpr auto kExpiresSoon = std::chrono::hours(14 * 24);

/// The engine goes first: what is asked here can wait.
void lower_thread_priority() {
  constexpr int kNice = 5;
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
}

struct Address {
  std::string host;
  std::string port;
};

/// "127.0.0.1:8460", "[::1]:8460".
Address split_listen(const std::string& listen) {
  const std::size_t colon = listen.rfind(':');
  Address address{listen.substr(0, colon),
                  colon == std::string::npos ? "" : listen.substr(colon + 1)};
  if (address.host.starts_with('[') && address.host.ends_with(']')) {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  return address;
}

std::string show(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", host, endpoint.port())
                                    : fmt::format("{}:{}", host, endpoint.port());
}

/// Says how long it lasts where that is not long.
Result<std::shared_ptr<const TlsIdentity>> load_identity(const TlsFiles& files,
                                                         const Clock& clock) {
  Result<std::shared_ptr<const TlsIdentity>> loaded = TlsIdentity::load(files);
  if (!loaded) return loaded;
  const auto left = (*loaded)->expires_at() - clock.wall_now();
  if (left < Duration::zero()) {
    spdlog::warn("server.cert_file: {}: the certificate has expired; renew it", files.cert_file);
  } else if (left < kExpiresSoon) {
    spdlog::warn("server.cert_file: {}: the certificate ends in {} days; renew it", files.cert_file,
                 std::chrono::duration_cast<std::chrono::hours>(left).count() / 24);
  }
  return loaded;
}

}  // namespace

HttpResponse refusal(int status, std::string_view code, std::string_view error,
                     std::string_view remedy) {
  HttpResponse response{.status = status, .content_type = "application/json"};
  response.body = std::make_shared<const std::string>(
      fmt::format(R"({{"code":"{}","error":"{}","where":"the request","remedy":"{}"}})"
                  "\n",
                  code, error, remedy));
  if (status == 503 || status == 429) response.headers.emplace_back("Retry-After", "1");
  return response;
}

HttpServerState::HttpServerState(HttpServer::Options server_options, const Clock& server_clock)
    : options(std::move(server_options)),
      clock(server_clock),
      rate(options.limits.requests_per_s, options.limits.requests_burst, kPeersMax) {}

void HttpServerState::accept() {
  acceptor.async_accept(network, [this](BeastError error, tcp::socket socket) {
    if (error == net::error::operation_aborted) return;
    if (error) {  // such as no free descriptor: not at once again
      accept_pause.expires_after(std::chrono::milliseconds(100));
      accept_pause.async_wait([this](BeastError stopped) {
        if (!stopped) accept();
      });
      return;
    }
    admit(std::move(socket));
    accept();
  });
}

void HttpServerState::admit(tcp::socket&& socket) {
  BeastError error;
  const tcp::endpoint remote = socket.remote_endpoint(error);
  if (error) return;
  socket.set_option(tcp::no_delay(true), error);
  // Else the kernel holds megabytes for a client that does not read.
  socket.set_option(net::socket_base::send_buffer_size(kSendBufferBytes), error);
  const std::string peer = remote.address().to_string();
  const auto open = static_cast<std::size_t>(connections);
  // A few more than the limit are told why; those beyond are only cut.
  constexpr std::size_t kTold = 16;
  if (open >= options.limits.connections_max + kTold) {
    ++refused;
    return;
  }
  const auto of_peer = connections_of_peer.find(peer);
  const bool is_too_many = open >= options.limits.connections_max ||
                           (of_peer != connections_of_peer.end() &&
                            of_peer->second >= options.limits.connections_per_peer_max);
  std::optional<HttpResponse> refused_with;
  if (is_too_many) {
    refused_with = refusal(503, "unavailable", "too many connections are open",
                           "close some, or try again later");
  }
  (identity ? serve_tls : serve_plain)(
      *this, std::move(socket), std::make_shared<HttpTicket>(*this, peer), std::move(refused_with));
}

HttpServer::HttpServer(std::unique_ptr<HttpServerState> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() { stop(); }

Result<std::unique_ptr<HttpServer>> HttpServer::create(Options options, const Clock& clock) {
  const std::string listen = options.listen;
  std::shared_ptr<const TlsIdentity> identity;
  if (!options.tls.cert_file.empty()) {
    Result<std::shared_ptr<const TlsIdentity>> loaded = load_identity(options.tls, clock);
    if (!loaded) return fail(loaded.error());
    identity = std::move(*loaded);
  }
  auto state = std::make_unique<HttpServerState>(std::move(options), clock);
  state->identity = std::move(identity);
  const Address address = split_listen(listen);
  BeastError error;
  tcp::resolver resolver(state->network);
  const auto found = resolver.resolve(
      address.host, address.port, tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error || found.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("server.listen: {}: there is no such address: {}; write one of this "
                            "machine, such as 127.0.0.1:8460",
                            listen, error.message()));
  }
  state->endpoint = found.begin()->endpoint();
  tcp::acceptor& acceptor = state->acceptor;
  acceptor.open(state->endpoint.protocol(), error);
  if (!error) acceptor.set_option(net::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(state->endpoint, error);
  if (!error) acceptor.listen(net::socket_base::max_listen_connections, error);
  if (error == net::error::address_in_use) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("server.listen: {}: another process listens there; end it, choose "
                            "another port, or write `--listen off`",
                            listen));
  }
  if (error) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("server.listen: {}: cannot listen there: {}; choose an address of this "
                            "machine and a port from 1024 on",
                            listen, error.message()));
  }
  state->endpoint = acceptor.local_endpoint(error);
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

void HttpServer::start() {
  state_->accept();
  state_->threads.emplace_back([this] {
    name_this_thread("network");
    lower_thread_priority();
    state_->network.run();
  });
  for (std::size_t i = 0; i < kWorkers; ++i) {
    state_->threads.emplace_back([this] {
      name_this_thread("worker");
      lower_thread_priority();
      state_->work.run();
    });
  }
}

void HttpServer::stop() {
  state_->network.stop();
  state_->work.stop();
  for (std::thread& thread : state_->threads) thread.join();
  state_->threads.clear();
  BeastError ignored;
  state_->acceptor.close(ignored);
}

bool HttpServer::is_tls() const { return !state_->options.tls.cert_file.empty(); }

Result<std::function<void()>> HttpServer::prepare_identity() {
  if (!is_tls()) return std::function<void()>([] {});
  Result<std::shared_ptr<const TlsIdentity>> loaded =
      load_identity(state_->options.tls, state_->clock);
  if (!loaded) return fail(loaded.error());
  return std::function<void()>([this, identity = std::move(*loaded)] {
    net::post(state_->network, [this, identity] { state_->identity = identity; });
  });
}

std::string HttpServer::address() const { return show(state_->endpoint); }

HttpCounts HttpServer::counts() const {
  return {.requests = state_->requests,
          .refused = state_->refused,
          .connections = state_->connections,
          .sockets = state_->sockets};
}

}  // namespace framemill
