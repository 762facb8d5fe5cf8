#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "framemill/base/check.h"

namespace framemill {

/// What a caller can do about an error decides its code.
enum class ErrorCode {
  kInvalidArgument,     ///< the input is wrong: tell whoever wrote it
  kNotFound,            ///< the thing named does not exist
  kUnsupported,         ///< understood, but this build or device cannot do it
  kFailedPrecondition,  ///< something else has to be fixed first (credentials, rights)
  kUnavailable,         ///< try again later, with back-off
  kResourceExhausted,   ///< shed load or free something (memory, disk)
  kCancelled,           ///< the caller asked for it
  kInternal,            ///< our bug
};

/// The name of a code as logs and JSON show it, such as "invalid_argument".
[[nodiscard]] std::string_view to_string(ErrorCode code);

/// Why something failed: a code for the program and a message for a person, which says what,
/// where and how to fix it. Never holds a secret.
class Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}
  [[nodiscard]] ErrorCode code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  /// The same error with its place in front: "site.yaml:14: cameras[gate-1].slo: <message>".
  [[nodiscard]] Error at(std::string_view place) const {
    return {code_, std::string(place) + ": " + message_};
  }

 private:
  ErrorCode code_;
  std::string message_;
};

/// Marks an error on its way into any Result.
struct Failure {
  Error error;
};

[[nodiscard]] inline Failure fail(ErrorCode code, std::string message) {
  return Failure{Error(code, std::move(message))};
}
[[nodiscard]] inline Failure fail(Error error) { return Failure{std::move(error)}; }

/// A value, or why there is none; used like std::expected, which GCC 12 lacks.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit
  Result(Failure failure)                                                // NOLINT: implicit
      : state_(std::in_place_index<1>, std::move(failure.error)) {}

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  /// Requires has_value().
  [[nodiscard]] T& value() & {
    CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] const T& value() const& {
    CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] T&& value() && {
    CHECK(has_value());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  /// Requires !has_value().
  [[nodiscard]] const Error& error() const {
    CHECK(!has_value());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value, or why not. `return {};` is success.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Failure failure) : error_(std::move(failure.error)) {}  // NOLINT: implicit

  [[nodiscard]] bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  /// Requires !has_value().
  [[nodiscard]] const Error& error() const {
    CHECK(error_.has_value());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace framemill
