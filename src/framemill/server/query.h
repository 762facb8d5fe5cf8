#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/server/http_message.h"

namespace framemill {

/// Reads the parameters of a request and remembers the first thing that is wrong with them.
/// Each parameter at most once. Not thread-safe.
class Query {
 public:
  explicit Query(const HttpRequest& request) : request_(request) {}

  [[nodiscard]] std::optional<std::string> text(std::string_view name, std::size_t bytes_max);
  /// A whole number from `min` to `max`; `otherwise` where it is not given.
  [[nodiscard]] std::int64_t number(std::string_view name, std::int64_t min, std::int64_t max,
                                    std::int64_t otherwise);
  [[nodiscard]] bool flag(std::string_view name);
  /// One of "a|b|c".
  [[nodiscard]] std::optional<std::string> choice(std::string_view name, std::string_view choices);
  [[nodiscard]] std::optional<std::string> id(std::string_view name);
  [[nodiscard]] std::optional<WallTime> time(std::string_view name);
  /// `cursor` as a number; empty: not given.
  [[nodiscard]] std::optional<std::int64_t> cursor();
  [[nodiscard]] std::size_t limit() {
    return static_cast<std::size_t>(number("limit", 1, 1000, 100));
  }

  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  void refuse(std::string_view name, std::string_view why);

  const HttpRequest& request_;
  std::optional<Error> error_;
};

/// A cursor that is a number. Empty where it is none.
[[nodiscard]] std::optional<std::int64_t> parse_cursor(std::string_view text);

/// "2026-01-01T08:00:04.004Z" or with an offset, "+01:00", in place of the Z. Empty where it is
/// none.
[[nodiscard]] std::optional<WallTime> parse_wall_time(std::string_view text);

}  // namespace framemill
