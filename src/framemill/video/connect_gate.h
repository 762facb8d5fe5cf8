#pragma once

#include <optional>

#include <sys/socket.h>

#include "framemill/base/result.h"
#include "framemill/video/source.h"

namespace framemill {

/// As long as it lives, sockets of the calling thread get to no internet address that `filter`
/// refuses: connect() and sendto() fail there with EACCES before anything is sent. So it holds for
/// whatever a library makes of a URL: the addresses that the name service says now, redirects, and
/// the segments of a playlist. Other threads, and other kinds of sockets, are not affected.
///
/// Not thread-safe: made, asked and destroyed by one thread. Gates do not nest.
class ConnectGate {
 public:
  /// `filter` outlives the gate; where it is empty there is no gate.
  explicit ConnectGate(const AddressFilter& filter);
  ConnectGate(const ConnectGate&) = delete;  // the thread points to it
  ~ConnectGate();

  [[nodiscard]] bool is_active() const { return filter_ != nullptr; }
  /// Whether any connection asked. A library that connects and has not asked goes around the gate.
  [[nodiscard]] bool was_asked() const { return was_asked_; }
  /// What the filter said of the address that it refused last; empty: it refused none.
  [[nodiscard]] const std::optional<Error>& refusal() const { return refusal_; }

  /// Of the functions that stand in for the C library's.
  [[nodiscard]] bool admits(const sockaddr* address, socklen_t size);
  /// The calling thread's; null: none.
  [[nodiscard]] static ConnectGate* current();

 private:
  const AddressFilter* const filter_;
  bool was_asked_ = false;
  std::optional<Error> refusal_;
};

}  // namespace framemill
