#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "framemill/base/result.h"

namespace framemill {

/// The value of an environment variable, or nothing where it is not set.
using EnvironmentLookup = std::function<std::optional<std::string>(const std::string& name)>;

/// The process's own environment.
[[nodiscard]] std::optional<std::string> process_environment(const std::string& name);

/// `text` with ${NAME} replaced by the variable's value, and $$ by one $; any other $ stays. Inside
/// the user name and password of a URL the value is percent-encoded, so that it cannot end them.
/// Values are not expanded again. Errors: kInvalidArgument for a variable that is not set or a ${
/// without a name; names it, never shows a value.
[[nodiscard]] Result<std::string> expand_variables(std::string_view text,
                                                   const EnvironmentLookup& environment);

}  // namespace framemill
