#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framemill/base/clock.h"

namespace framemill {

/// One request, read whole and within the limits of HttpServer. Texts are as the client sent them,
/// but `path` and `query` have their %XX decoded.
struct HttpRequest {
  std::string method;                                      ///< "GET", "POST", ...
  std::string path;                                        ///< begins with '/'
  std::vector<std::pair<std::string, std::string>> query;  ///< in their order
  std::string body;
  std::string content_type;   ///< without parameters, lower case; empty: none
  std::string authorization;  ///< never logged
  std::string host;
  std::string origin;
  std::string fetch_site;     ///< Sec-Fetch-Site; empty: not sent
  std::string if_none_match;  ///< of a cache
  std::string protocols;      ///< Sec-WebSocket-Protocol; may hold a token, so never logged
  std::string peer;           ///< address of the client, without port
  bool is_upgrade = false;    ///< asks for a WebSocket
  Duration waited{0};         ///< since it was handled first, see HttpResponse::again_in
};

/// What is answered. `body` may be shared between many answers.
struct HttpResponse {
  int status = 200;
  std::string content_type;  ///< empty: no body
  std::shared_ptr<const std::string> body;
  std::vector<std::pair<std::string, std::string>> headers;
  /// Not answered yet: the request is to be handled once more so much later. Nobody waits meanwhile
  /// but the client.
  std::optional<Duration> again_in;
};

/// One end of a WebSocket, as those see it who say something there.
/// Thread-safety: next() and on_message() from one thread at a time, of the server.
class SocketChannel {
 public:
  virtual ~SocketChannel() = default;
  /// The next text to send; null: none now. After close() of the channel's owner: is_closed().
  [[nodiscard]] virtual std::shared_ptr<const std::string> next() = 0;
  /// The client said something; at most HttpLimits::message_bytes_max.
  virtual void on_message(std::string_view text) = 0;
  /// Called once before anything else: `wake` may be called from any thread, also after the
  /// connection has gone, whenever next() may have something.
  virtual void set_wake(std::function<void()> wake) = 0;
  /// The connection has gone.
  virtual void on_closed() = 0;
};

/// What is done with a request for a WebSocket: a channel, or an answer that refuses it.
struct UpgradeAnswer {
  std::shared_ptr<SocketChannel> channel;  ///< null: refused
  std::string protocol;                    ///< subprotocol chosen; empty: none
  HttpResponse refusal;
};

/// Splits "/a/b?x=1&y=2" into path and query and decodes them. Empty where it is malformed: no '/'
/// in front, a broken %XX, a control character, or invalid UTF-8.
struct HttpTarget {
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;
};
[[nodiscard]] std::optional<HttpTarget> parse_target(std::string_view target);

/// The reason phrase of a status, for people.
[[nodiscard]] std::string_view status_text(int status);

}  // namespace framemill
