#include "framemill/server/http_connection.h"

namespace framemill {

void serve_plain(HttpServerState& state, tcp::socket&& socket, std::shared_ptr<HttpTicket> ticket,
                 std::optional<HttpResponse> refused) {
  const auto connection = std::make_shared<HttpConnection<beast::tcp_stream>>(
      state, beast::tcp_stream(std::move(socket)), std::move(ticket));
  if (refused) {
    connection->refuse(*std::move(refused));
  } else {
    connection->read();
  }
}

}  // namespace framemill
