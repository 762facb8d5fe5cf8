#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "framemill/base/result.h"
#include "framemill/config/expand_variables.h"
#include "framemill/config/run_settings.h"

namespace framemill {

/// Changes settings after they were read and before they are checked as a whole: what the command
/// line overrides. May add to models and cameras, but keeps the order of what is there.
using SettingsOverride = std::function<Result<void>(RunSettings&)>;

/// Reads a configuration (docs/reference/settings.md). Strict: unknown keys, keys that stand twice,
/// wrong types, values out of range and references to nothing are errors; up to 20 are reported
/// together, each as "<name>:<line>: <place>: <what>; <remedy>". `name` is the file's path as the
/// user wrote it; relative paths in the text count from its folder. Opens nothing. Errors:
/// kInvalidArgument; kUnsupported where the only problems are things reserved for later versions.
[[nodiscard]] Result<RunSettings> parse_settings(std::string_view text, const std::string& name,
                                                 const EnvironmentLookup& environment,
                                                 const SettingsOverride& override_settings = {});

/// One camera alone, as YAML or JSON: the keys of `cameras:`, on top of `base`. Variables are not
/// expanded: the text may come from outside. Checks each setting, not the whole. Messages begin
/// with the key. Errors: those of parse_settings().
[[nodiscard]] Result<CameraSettings> parse_camera(std::string_view text,
                                                  const CameraSettings& base);

/// The text of a configuration file, of at most one byte more than kConfigurationBytesMax.
/// Errors: kNotFound (no such file, or not readable), kInvalidArgument (a folder).
[[nodiscard]] Result<std::string> read_configuration(const std::string& path);

/// parse_settings() of a file, with the process's environment.
/// Further errors: kNotFound (no such file, or not readable).
[[nodiscard]] Result<RunSettings> load_settings(const std::string& path,
                                                const SettingsOverride& override_settings = {});

}  // namespace framemill
