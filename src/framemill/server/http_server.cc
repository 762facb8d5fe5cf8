// The only file that sees Boost: Beast's templates are slow to compile, and their types stay here.
//
// A connection reads one request, hands it to a worker, writes the answer, and reads the next; so
// at most one request of a connection is under way, and what a client can make the server hold is
// bounded by the number of connections times the limits of one. Deadlines are set for the whole of
// a head, of a body and of an answer, not for each of its pieces: a client that sends a byte a
// second gains nothing. All members of connections are used on the network's thread only.

#include "framemill/server/http_server.h"

#include <array>
#include <atomic>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "framemill/base/thread_name.h"
#include "framemill/server/rate_limit.h"

namespace framemill {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace net = boost::asio;
namespace websocket = beast::websocket;
using tcp = net::ip::tcp;
using BeastError = beast::error_code;

constexpr std::size_t kWorkers = 2;
constexpr std::size_t kPeersMax = 4096;
constexpr int kSendBufferBytes = 256 * 1024;
/// A client above its rate waits so long for its refusal: one that asks in a loop slows down.
constexpr Duration kRateDelay = std::chrono::milliseconds(250);
/// What a refused client may still send, and how long, before the connection is cut: else it would
/// see a broken connection in place of the reason.
constexpr std::size_t kLingerBytes = 1024 * 1024;
constexpr Duration kLingerTime = std::chrono::seconds(1);

/// The engine goes first: what is asked here can wait.
void lower_thread_priority() {
  constexpr int kNice = 5;
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
}

std::string lower_type(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return type;
}

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

}  // namespace

struct HttpServer::State {
  class Ticket;
  class Connection;
  class Socket;

  State(Options server_options, const Clock& server_clock)
      : options(std::move(server_options)),
        clock(server_clock),
        rate(options.limits.requests_per_s, options.limits.requests_burst, kPeersMax) {}

  const Options options;
  const Clock& clock;

  std::atomic<std::int64_t> requests{0};
  std::atomic<std::int64_t> refused{0};
  std::atomic<std::int64_t> connections{0};
  std::atomic<std::int64_t> sockets{0};
  std::atomic<std::size_t> requests_waiting{0};

  // Used by the network's thread only; here, so that they outlive the connections.
  RateLimit rate;
  std::map<std::string, std::size_t> connections_of_peer;

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

/// Counts a connection while it lives.
class HttpServer::State::Ticket {
 public:
  Ticket(State& state, std::string peer) : state_(state), peer_(std::move(peer)) {
    ++state_.connections;
    ++state_.connections_of_peer[peer_];
  }
  Ticket(const Ticket&) = delete;
  ~Ticket() {
    --state_.connections;
    const auto found = state_.connections_of_peer.find(peer_);
    if (--found->second == 0) state_.connections_of_peer.erase(found);
  }
  [[nodiscard]] const std::string& peer() const { return peer_; }

 private:
  State& state_;
  const std::string peer_;
};

/// A WebSocket: what the channel has goes out, one message at a time.
class HttpServer::State::Socket : public std::enable_shared_from_this<Socket> {
 public:
  Socket(State& state, beast::tcp_stream&& stream, std::shared_ptr<Ticket> ticket,
         UpgradeAnswer&& answer)
      : state_(state),
        ticket_(std::move(ticket)),
        channel_(std::move(answer.channel)),
        protocol_(std::move(answer.protocol)),
        socket_(std::move(stream)) {
    ++state_.sockets;
  }
  Socket(const Socket&) = delete;
  ~Socket() {
    channel_->on_closed();
    --state_.sockets;
  }

  void run(const http::request<http::string_body>& request) {
    beast::get_lowest_layer(socket_).expires_never();
    websocket::stream_base::timeout timeouts{};
    timeouts.handshake_timeout = state_.options.limits.receive_time;
    timeouts.idle_timeout = state_.options.limits.socket_idle_time;
    timeouts.keep_alive_pings = true;
    socket_.set_option(timeouts);
    socket_.set_option(
        websocket::stream_base::decorator([protocol = protocol_](websocket::response_type& answer) {
          if (!protocol.empty()) answer.set(http::field::sec_websocket_protocol, protocol);
        }));
    socket_.read_message_max(state_.options.limits.message_bytes_max);
    socket_.text(true);
    socket_.async_accept(request, [self = shared_from_this()](BeastError error) {
      if (error) return;
      self->listen_to_channel();
      self->read();
      self->pump();
    });
  }

 private:
  void listen_to_channel() {
    const std::weak_ptr<Socket> weak = weak_from_this();
    channel_->set_wake([weak] {
      const std::shared_ptr<Socket> self = weak.lock();
      if (!self || self->is_wake_pending_.exchange(true)) return;
      net::post(self->socket_.get_executor(), [weak] {
        const std::shared_ptr<Socket> woken = weak.lock();
        if (!woken) return;
        woken->is_wake_pending_ = false;
        woken->pump();
      });
    });
  }

  void read() {
    socket_.async_read(buffer_, [self = shared_from_this()](BeastError error, std::size_t) {
      if (error) return self->close();
      const auto bytes = self->buffer_.data();
      self->channel_->on_message({static_cast<const char*>(bytes.data()), bytes.size()});
      self->buffer_.consume(bytes.size());
      self->pump();
      self->read();
    });
  }

  void pump() {
    if (is_writing_ || is_closed_) return;
    sending_ = channel_->next();
    if (!sending_) return;
    is_writing_ = true;
    socket_.async_write(net::buffer(*sending_),
                        [self = shared_from_this()](BeastError error, std::size_t) {
                          self->is_writing_ = false;
                          self->sending_.reset();
                          if (error) return self->close();
                          self->pump();
                        });
  }

  /// What is under way ends with an error and lets go of this.
  void close() {
    is_closed_ = true;
    beast::get_lowest_layer(socket_).close();
  }

  State& state_;
  const std::shared_ptr<Ticket> ticket_;
  const std::shared_ptr<SocketChannel> channel_;
  const std::string protocol_;
  websocket::stream<beast::tcp_stream> socket_;
  beast::flat_buffer buffer_;
  std::shared_ptr<const std::string> sending_;
  bool is_writing_ = false;
  bool is_closed_ = false;
  std::atomic<bool> is_wake_pending_{false};
};

class HttpServer::State::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(State& state, tcp::socket&& socket, std::shared_ptr<Ticket> ticket)
      : state_(state),
        ticket_(std::move(ticket)),
        stream_(std::move(socket)),
        pause_(state.network) {}

  void read() {
    parser_.emplace();
    parser_->header_limit(limits().header_bytes_max);
    parser_->body_limit(limits().body_bytes_max);
    // The time between two requests counts as well: until something has come, idle_time holds.
    stream_.expires_after(has_answered_ && buffer_.size() == 0 ? limits().idle_time
                                                               : limits().receive_time);
    http::async_read_header(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](BeastError error, std::size_t) { self->on_head(error); });
  }

  void refuse(HttpResponse&& response) {
    ++state_.refused;
    is_last_ = true;
    write(std::move(response));
  }

 private:
  [[nodiscard]] const HttpLimits& limits() const { return state_.options.limits; }

  /// Answers what cannot be parsed; true where there is nothing to go on with.
  bool has_failed(BeastError error) {
    if (!error) return false;
    if (error == http::error::header_limit) {
      refuse(refusal(431, "too_large", "the request's line and headers are too large",
                     "send less than 16 KiB of them"));
    } else if (error == http::error::body_limit) {
      refuse(refusal(413, "too_large", "the body is too large", "send less than 256 KiB"));
    } else if (error.category() == http::make_error_code(http::error::bad_method).category() &&
               error != http::error::end_of_stream && error != http::error::partial_message) {
      refuse(refusal(400, "invalid_argument", "this is no HTTP/1.1 request",
                     "send one as RFC 9112 has it"));
    }  // else the client has gone, or was too slow
    return true;
  }

  void on_head(BeastError error) {
    if (has_failed(error)) return;
    stream_.expires_after(limits().receive_time);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](BeastError body_error, std::size_t) {
                       if (!self->has_failed(body_error)) self->on_request();
                     });
  }

  void on_request() {
    ++state_.requests;
    message_ = parser_->release();
    is_last_ = !message_.keep_alive();
    is_head_ = message_.method() == http::verb::head;
    stream_.expires_never();
    if (!state_.rate.take(ticket_->peer(), state_.clock.now())) {
      pause_.expires_after(kRateDelay);
      pause_.async_wait([self = shared_from_this()](BeastError error) {
        if (error) return;
        ++self->state_.refused;
        self->write(refusal(429, "too_many_requests", "too many requests from this address",
                            "ask less often, or use the stream"));
      });
      return;
    }
    HttpRequest request;
    const std::optional<HttpTarget> target = parse_target(std::string_view(message_.target()));
    if (!target) {
      write(refusal(400, "invalid_argument", "the address has characters that it must not have",
                    "encode them as %XX of UTF-8"));
      return;
    }
    request.path = target->path;
    request.query = target->query;
    fill(request);
    if (request.is_upgrade) {
      upgrade(request);
      return;
    }
    if (state_.requests_waiting.fetch_add(1) >= limits().requests_waiting_max) {
      --state_.requests_waiting;
      ++state_.refused;
      write(refusal(503, "unavailable", "the server has more to do than it can", "try again"));
      return;
    }
    hand_over(std::move(request));
  }

  /// To a worker; what it answers comes back to the network's thread, and with it the connection.
  void hand_over(HttpRequest&& request) {
    net::post(state_.work, [self = shared_from_this(), asked = std::move(request)]() mutable {
      HttpResponse response = self->state_.options.handle(asked);
      auto& network = self->state_.network;
      net::post(network, [self = std::move(self), asked = std::move(asked),
                          response = std::move(response)]() mutable {
        self->on_handled(std::move(asked), std::move(response));
      });
    });
  }

  void on_handled(HttpRequest&& request, HttpResponse&& response) {
    if (!response.again_in) {
      --state_.requests_waiting;
      write(std::move(response));
      return;
    }
    request.waited += *response.again_in;
    pause_.expires_after(*response.again_in);
    pause_.async_wait(
        [self = shared_from_this(), asked = std::move(request)](BeastError error) mutable {
          if (!error) self->hand_over(std::move(asked));
        });
  }

  void fill(HttpRequest& request) {
    const auto field = [this](http::field name) { return std::string(message_[name]); };
    request.method = is_head_ ? "GET" : std::string(message_.method_string());
    request.content_type = lower_type(field(http::field::content_type));
    request.authorization = field(http::field::authorization);
    request.host = field(http::field::host);
    request.origin = field(http::field::origin);
    request.fetch_site = std::string(message_["Sec-Fetch-Site"]);
    request.if_none_match = field(http::field::if_none_match);
    request.protocols = field(http::field::sec_websocket_protocol);
    request.peer = ticket_->peer();
    request.is_upgrade = websocket::is_upgrade(message_);
    request.body = std::move(message_.body());
  }

  void upgrade(const HttpRequest& request) {
    UpgradeAnswer answer;
    if (state_.sockets >= static_cast<std::int64_t>(limits().sockets_max)) {
      ++state_.refused;
      answer.refusal = refusal(503, "unavailable", "too many streams are open", "close some");
    } else {
      answer = state_.options.upgrade(request);
    }
    if (!answer.channel) {
      write(std::move(answer.refusal));
      return;
    }
    std::make_shared<Socket>(state_, std::move(stream_), ticket_, std::move(answer))->run(message_);
  }

  void write(HttpResponse&& response) {
    body_ = response.body ? std::move(response.body) : std::make_shared<const std::string>();
    answer_ = {};
    answer_.version(11);
    answer_.result(static_cast<unsigned>(response.status));
    answer_.reason(std::string(status_text(response.status)));
    answer_.keep_alive(!is_last_);
    answer_.set("X-Content-Type-Options", "nosniff");
    answer_.set("Referrer-Policy", "no-referrer");
    answer_.set("Cross-Origin-Resource-Policy", "same-origin");
    if (!response.content_type.empty()) {
      answer_.set(http::field::content_type, response.content_type);
    }
    answer_.set(http::field::cache_control, "no-store");
    for (const auto& [name, value] : response.headers) answer_.set(name, value);
    const bool has_body = response.status != 204 && response.status != 304;
    if (has_body) answer_.content_length(body_->size());
    if (has_body && !is_head_) answer_.body() = {body_->data(), body_->size()};
    has_answered_ = true;
    stream_.expires_after(limits().send_time);
    serializer_.emplace(answer_);
    const auto done = [self = shared_from_this()](BeastError error, std::size_t) {
      self->on_written(error);
    };
    if (has_body && !is_head_) {
      http::async_write(stream_, *serializer_, done);
    } else {
      http::async_write_header(stream_, *serializer_, done);
    }
  }

  void on_written(BeastError error) {
    serializer_.reset();
    body_.reset();
    if (error) return;
    if (!is_last_) {
      read();
      return;
    }
    BeastError ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(kLingerTime);
    linger();
  }

  void linger() {
    stream_.async_read_some(net::buffer(scratch_),
                            [self = shared_from_this()](BeastError error, std::size_t bytes) {
                              self->lingered_bytes_ += bytes;
                              if (!error && self->lingered_bytes_ < kLingerBytes) self->linger();
                            });
  }

  State& state_;
  const std::shared_ptr<Ticket> ticket_;
  beast::tcp_stream stream_;
  net::steady_timer pause_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::request<http::string_body> message_;
  http::response<http::span_body<const char>> answer_;
  std::optional<http::response_serializer<http::span_body<const char>>> serializer_;
  std::shared_ptr<const std::string> body_;
  std::array<char, 4096> scratch_{};
  std::size_t lingered_bytes_ = 0;
  bool is_last_ = false;
  bool is_head_ = false;
  bool has_answered_ = false;
};

void HttpServer::State::accept() {
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

void HttpServer::State::admit(tcp::socket&& socket) {
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
  const auto connection =
      std::make_shared<Connection>(*this, std::move(socket), std::make_shared<Ticket>(*this, peer));
  if (is_too_many) {
    connection->refuse(refusal(503, "unavailable", "too many connections are open",
                               "close some, or try again later"));
  } else {
    connection->read();
  }
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() { stop(); }

Result<std::unique_ptr<HttpServer>> HttpServer::create(Options options, const Clock& clock) {
  const std::string listen = options.listen;
  auto state = std::make_unique<State>(std::move(options), clock);
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

std::string HttpServer::address() const { return show(state_->endpoint); }

HttpCounts HttpServer::counts() const {
  return {.requests = state_->requests,
          .refused = state_->refused,
          .connections = state_->connections,
          .sockets = state_->sockets};
}

}  // namespace framemill
