#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/config/validate.h"

namespace framemill {

/// What `framemill run` was asked for.
struct RunOptions {
  RunSettings settings;
  std::string config_path;         ///< empty: none, all stood on the command line
  std::string config_text;         ///< of that file, as it was read
  std::string log_level = "info";  ///< trace|debug|info|warning|error|off
  bool is_help_wanted = false;     ///< print run_help(); nothing else was looked at
};

/// An option that only one command has. Exactly one of `value` and `flag` is not null.
struct OwnOption {
  std::string name;  ///< "--budgets"
  std::string type;  ///< for people: "LIST"
  std::string help;
  std::optional<std::string>* value = nullptr;  ///< empty: not given
  bool* flag = nullptr;
};

/// A command that takes cameras and models as `run` does. The views stay valid while it is used.
struct RunLikeCommand {
  std::string_view name;         ///< "compare"
  std::string_view description;  ///< of --help, with examples
  std::string_view footer;
  std::string_view own_group;              ///< heading of `own` in --help
  std::vector<OwnOption> own;              ///< declared before those of `run`
  std::vector<std::string_view> left_out;  ///< options of `run` that it does not have
};

/// As parse_run_options(), for `command`; also sets what its own options point to.
[[nodiscard]] Result<RunOptions> parse_run_like_options(
    const std::vector<std::string>& arguments, const RunLikeCommand& command,
    const std::optional<std::string>& config_text = std::nullopt);

/// The text of its --help.
[[nodiscard]] std::string run_like_help(const RunLikeCommand& command);

/// Reads the arguments after `framemill run`: a configuration, which the options override, or
/// --source and --model. Everything is checked; up to 20 problems come together, one a line.
/// Errors: those of load_settings(); kInvalidArgument for wrong usage; kUnsupported for what is
/// reserved. No secret gets into a message.
/// `config_text`: stands for what the configuration's file holds.
[[nodiscard]] Result<RunOptions> parse_run_options(
    const std::vector<std::string>& arguments,
    const std::optional<std::string>& config_text = std::nullopt);

/// The text of `framemill run --help`.
[[nodiscard]] std::string run_help();

/// The option behind a setting, for messages about settings that came from the command line.
[[nodiscard]] std::string option_of(const SettingPlace& place, const RunSettings& settings);

/// --source: a clip or URL, and what stood behind it as ",key=value". Only known keys at the very
/// end are split off, because URLs may hold commas themselves. `common`: what holds for all
/// sources. Errors: kInvalidArgument.
[[nodiscard]] Result<CameraSettings> parse_source_option(const std::string& text,
                                                         const CameraSettings& common = {});

}  // namespace framemill
