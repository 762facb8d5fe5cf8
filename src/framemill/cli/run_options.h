#pragma once

#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"

namespace framemill {

/// What `framemill run` was asked for.
struct RunOptions {
  RunSettings settings;
  std::string log_level = "info";  ///< trace|debug|info|warning|error|off
  bool is_help_wanted = false;     ///< print run_help(); nothing else was looked at
};

/// Reads the arguments after `framemill run`: a configuration, which the options override, or
/// --source and --model. Everything is checked; up to 20 problems come together, one a line.
/// Errors: those of load_settings(); kInvalidArgument for wrong usage; kUnsupported for what is
/// reserved. No secret gets into a message.
[[nodiscard]] Result<RunOptions> parse_run_options(const std::vector<std::string>& arguments);

/// The text of `framemill run --help`.
[[nodiscard]] std::string run_help();

/// --source: a clip or URL, and what stood behind it as ",key=value". Only known keys at the very
/// end are split off, because URLs may hold commas themselves. `common`: what holds for all
/// sources. Errors: kInvalidArgument.
[[nodiscard]] Result<CameraSettings> parse_source_option(const std::string& text,
                                                         const CameraSettings& common = {});

}  // namespace framemill
