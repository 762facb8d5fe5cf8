#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace framemill {

/// The parts of a list that is separated by commas, without the blanks around them; empty ones are
/// left out. Any thread.
[[nodiscard]] std::vector<std::string> split_words(std::string_view list);

}  // namespace framemill
