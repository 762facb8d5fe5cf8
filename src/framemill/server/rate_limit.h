#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "framemill/base/clock.h"

namespace framemill {

/// How many requests each client may send: so many a second on average, `burst` at once. Remembers
/// a bounded number of clients; where there are more, the one that has been silent for longest is
/// forgotten, and starts with a full burst again. Not thread-safe; O(log n) a request, O(n) where
/// it has to forget one.
class RateLimit {
 public:
  RateLimit(double per_second, double burst, std::size_t clients_max);
  /// Whether `client` may send one more now.
  [[nodiscard]] bool take(const std::string& client, TimePoint now);
  [[nodiscard]] std::size_t clients() const { return clients_.size(); }

 private:
  struct Client {
    double left = 0;
    TimePoint seen_at;
  };
  const double per_second_;
  const double burst_;
  const std::size_t clients_max_;
  std::map<std::string, Client> clients_;
};

}  // namespace framemill
