#pragma once

#include <cstdint>

#include <nlohmann/json_fwd.hpp>

#include "framemill/config/settings_tables.h"

namespace framemill {

enum class Secrets : std::uint8_t {
  kHidden,  ///< passwords are left out, URLs lose credentials and what looks like a key
  kShown,   ///< for the configuration itself, never for people
};

/// The value of one setting, as the configuration would have it; null: not set, or not to be shown.
/// By the table, so that no key is forgotten. Instantiated for cameras and rules. Pure; any thread.
template <typename Settings>
[[nodiscard]] nlohmann::ordered_json setting_json(const Setting<Settings>& row,
                                                  const Settings& settings, Secrets secrets);

}  // namespace framemill
