#include "framemill/engine/sinks/spool/message.h"

#include <fmt/format.h>

namespace framemill {

// One line with the kind and the names, which hold neither tabs nor line breaks, then the body.

std::string format_message(const Message& message) {
  return fmt::format("{}\t{}\t{}\t{}\n{}", static_cast<char>(message.kind), message.key,
                     message.camera, message.rule, message.body);
}

std::optional<Message> parse_message(std::string_view text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view head = text.substr(0, end);
  const auto next = [&]() -> std::string {
    const std::string_view part = head.substr(0, head.find('\t'));
    head.remove_prefix(part.size() + (part.size() < head.size() ? 1 : 0));
    return std::string(part);
  };
  Message message;
  const std::string kind = next();
  if (kind != "r" && kind != "a") return std::nullopt;
  message.kind = static_cast<Message::Kind>(kind.front());
  message.key = next();
  message.camera = next();
  message.rule = next();
  message.body = text.substr(end + 1);
  return message;
}

}  // namespace framemill
