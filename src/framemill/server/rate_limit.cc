#include "framemill/server/rate_limit.h"

#include <algorithm>

#include "framemill/base/check.h"

namespace framemill {

RateLimit::RateLimit(double per_second, double burst, std::size_t clients_max)
    : per_second_(per_second), burst_(burst), clients_max_(clients_max) {
  CHECK(per_second > 0 && burst >= 1 && clients_max >= 1);
}

bool RateLimit::take(const std::string& client, TimePoint now) {
  auto found = clients_.find(client);
  if (found == clients_.end()) {
    if (clients_.size() >= clients_max_) {
      clients_.erase(std::ranges::min_element(
          clients_, {}, [](const auto& entry) { return entry.second.seen_at; }));
    }
    found = clients_.emplace(client, Client{burst_, now}).first;
  }
  Client& state = found->second;
  state.left = std::min(burst_, state.left + per_second_ * to_seconds(now - state.seen_at));
  state.seen_at = now;
  if (state.left < 1) return false;
  state.left -= 1;
  return true;
}

}  // namespace framemill
