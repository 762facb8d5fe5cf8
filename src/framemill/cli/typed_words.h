#pragma once

// Words as a person types them at a shell.

#include <string>
#include <string_view>
#include <vector>

namespace framemill {

/// The parts of a list that is separated by commas, without the blanks around them; empty ones are
/// left out. Any thread.
[[nodiscard]] std::vector<std::string> split_words(std::string_view list);

/// `framemill VERB ARGS...` as it would be typed again: what a shell would take apart or expand
/// stands in quotes. Any thread.
[[nodiscard]] std::string typed_command(std::string_view verb,
                                        const std::vector<std::string>& args);

}  // namespace framemill
