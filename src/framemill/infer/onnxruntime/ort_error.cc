#include "framemill/infer/onnxruntime/ort_error.h"

#include <algorithm>
#include <charconv>
#include <exception>
#include <new>

#include <fmt/format.h>

#include "framemill/infer/cuda/cuda_driver.h"
#include "framemill/infer/memory_error.h"

namespace framemill {
namespace {

/// One line of at most 300 characters: messages hold paths of source files and stack traces.
std::string shorten(std::string_view message) {
  constexpr std::size_t kMost = 300;
  std::string text(message.substr(0, message.find("\nStacktrace:")));
  std::ranges::replace(text, '\n', ' ');
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text.size() > kMost ? text.substr(0, kMost) + "..." : text;
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// The number in "CUDA failure 700: ..."; 0: there is none.
int cuda_status_of(std::string_view message) {
  constexpr std::string_view kBefore = "CUDA failure ";
  const std::size_t at = message.find(kBefore);
  int status = 0;
  if (at != std::string_view::npos)
    std::from_chars(message.data() + at + kBefore.size(), message.data() + message.size(), status);
  return status;
}

}  // namespace

ErrorCode code_of_ort_error(OrtErrorCode code, std::string_view message, ErrorCode otherwise) {
  if (is_out_of_memory(message)) return ErrorCode::kResourceExhausted;
  if (has(message, "terminate flag")) return ErrorCode::kCancelled;
  // Of a device that fell off the bus, was taken away, or whose context is broken.
  if (is_cuda_device_lost(cuda_status_of(message))) return ErrorCode::kUnavailable;
  switch (code) {
    case ORT_NO_SUCHFILE:
      return ErrorCode::kNotFound;
    case ORT_INVALID_PROTOBUF:
    case ORT_INVALID_GRAPH:
    case ORT_NO_MODEL:
      return ErrorCode::kInvalidArgument;
    case ORT_NOT_IMPLEMENTED:
      return ErrorCode::kUnsupported;
    case ORT_EP_FAIL:
      return ErrorCode::kUnavailable;
    default:
      return otherwise;
  }
}

Failure fail_from_ort_exception(ErrorCode otherwise, std::string_view what) {
  try {
    throw;
  } catch (const Ort::Exception& e) {
    return fail(code_of_ort_error(e.GetOrtErrorCode(), e.what(), otherwise),
                fmt::format("{}: {}", what, shorten(e.what())));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kResourceExhausted, fmt::format("{}: out of memory", what));
  } catch (const std::exception& e) {
    return fail(otherwise, fmt::format("{}: {}", what, shorten(e.what())));
  } catch (...) {
    return fail(otherwise, fmt::format("{}: unknown exception", what));
  }
}

}  // namespace framemill
