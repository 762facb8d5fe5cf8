#include "framemill/infer/openvino/openvino_error.h"

#include <algorithm>
#include <exception>
#include <new>
#include <string>

#include <fmt/format.h>

#include "framemill/infer/memory_error.h"

namespace framemill {
namespace {

/// OpenVINO's messages are stacks of "Exception from file:line:" with the reason below them.
std::string last_lines(std::string_view message) {
  constexpr std::size_t kMost = 300;
  std::string text;
  for (std::size_t begin = 0; begin < message.size();) {
    const std::size_t end = std::min(message.find('\n', begin), message.size());
    const std::string_view line = message.substr(begin, end - begin);
    begin = end + 1;
    const bool is_place = line.starts_with("Exception from") || line.starts_with("Check '");
    const bool is_blank = line.find_first_not_of(" \t\r") == std::string_view::npos;
    if (is_place || is_blank) continue;
    if (!text.empty()) text += "; ";
    text += line.substr(line.find_first_not_of(" \t"));
  }
  if (text.empty()) text = message;
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  return text;
}

}  // namespace

Failure fail_from_openvino_exception(ErrorCode otherwise, std::string_view what) {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kResourceExhausted, fmt::format("{}: out of memory", what));
  } catch (const std::exception& e) {
    const ErrorCode code = is_out_of_memory(e.what()) ? ErrorCode::kResourceExhausted : otherwise;
    return fail(code, fmt::format("{}: {}", what, last_lines(e.what())));
  } catch (...) {
    return fail(otherwise, fmt::format("{}: unknown exception", what));
  }
}

}  // namespace framemill
