#pragma once

// Inside of the HTTP server, as http_server_state.h.

#include <boost/asio/ssl/context.hpp>

#include "framemill/server/tls_identity.h"

namespace framemill {

struct TlsIdentity::Context {
  boost::asio::ssl::context tls{boost::asio::ssl::context::tls_server};
};

}  // namespace framemill
