#pragma once

// Words as a person types them at a shell.

#include <string>
#include <string_view>
#include <vector>

namespace framemill {

/// `framemill VERB ARGS...` as it would be typed again: what a shell would take apart or expand
/// stands in quotes. Any thread.
[[nodiscard]] std::string typed_command(std::string_view verb,
                                        const std::vector<std::string>& args);

/// The words of a command of which one names a workload or configuration, that word first: an
/// option that takes several files would swallow it, "--profile a.json site.yaml". It is the first
/// that ends in .yaml or .yml and is no option's =value. Any thread.
[[nodiscard]] std::vector<std::string> put_yaml_first(std::vector<std::string> words);

}  // namespace framemill
