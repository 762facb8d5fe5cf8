#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace framemill {

/// What a spool keeps for a peer: a JSON text and what it is about.
struct Message {
  enum class Kind : std::uint8_t { kAnswer = 'r', kAlarm = 'a' };
  Kind kind = Kind::kAnswer;
  std::string key;     ///< "RUN/gate-1/40" or "ALARM/raised": unique for ever
  std::string camera;  ///< empty: of the whole run
  std::string rule;    ///< alarms only
  std::string body;    ///< one JSON object without a line break
};

/// Exact inverse of each other. parse_message() gives nothing where the text is none.
[[nodiscard]] std::string format_message(const Message& message);
[[nodiscard]] std::optional<Message> parse_message(std::string_view text);

}  // namespace framemill
