#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"

namespace framemill {

/// One setting of one entry: {"cameras", 2, "slo"}. `key` empty: the entry or section itself.
struct SettingPlace {
  static constexpr std::size_t kNoIndex = static_cast<std::size_t>(-1);
  std::string section;
  std::size_t index = kNoIndex;
  std::string key;
  friend auto operator<=>(const SettingPlace&, const SettingPlace&) = default;
};

/// "cameras[gate-1].slo", "models.objects.path", "sinks[0].type", "engine.budget".
[[nodiscard]] std::string describe_place(const SettingPlace& place, const RunSettings& settings);

/// What messages call a place.
using PlaceNames = std::function<std::string(const SettingPlace&)>;

/// What is wrong with settings as a whole, each with what to do about it.
struct SettingProblem {
  SettingPlace place;
  std::string message;
  std::size_t other_index = SettingPlace::kNoIndex;  ///< the other entry that it clashes with
};

/// Everything that can be said without opening a file or a camera: ranges, required settings, names
/// used twice, references to models, settings that exclude each other, in the order of the
/// settings; then find_output_clashes(). `config_path`: the file behind them; empty: none. `names`:
/// for places that a message is about besides its own; empty: describe_place().
[[nodiscard]] std::vector<SettingProblem> find_problems(const RunSettings& settings,
                                                        const std::string& config_path = {},
                                                        const PlaceNames& names = {});

/// Most problems that one message lists.
inline constexpr std::size_t kProblemsShownMax = 20;

/// One message of `lines`, at most kProblemsShownMax of them and how many more there are.
[[nodiscard]] Error list_problems(const std::vector<std::string>& lines, ErrorCode code);

/// find_problems() as one result, for settings which no file is behind.
/// Errors: kInvalidArgument, one line a problem.
[[nodiscard]] Result<void> validate(const RunSettings& settings);

/// The keys that a sink of `type` reads beside type, name and send ("path|keep|..."); empty for an
/// unknown type.
[[nodiscard]] std::string_view sink_keys(std::string_view type);

/// Whether framemill reads such a source. Errors: kInvalidArgument; credentials are not shown.
[[nodiscard]] Result<void> check_source_url(std::string_view url);

/// Whether `path` looks like a model. Errors: kInvalidArgument.
[[nodiscard]] Result<void> check_model_path(std::string_view path);

}  // namespace framemill
