#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "framemill/base/clock.h"

namespace framemill {

/// Something that happened in a run, for people.
struct RunEvent {
  std::int64_t id = 0;  ///< grows by one
  WallTime at;
  std::string kind;    ///< "camera_added", "camera_down", "config_reloaded", ...
  std::string camera;  ///< empty: of the whole run
  std::string text;
  std::string by;  ///< who asked for it; empty: nobody
};

/// Which events are asked for; newest first.
struct RunEventQuery {
  std::string_view kind, camera;         ///< empty: all
  std::optional<WallTime> since, until;  ///< from, and before
  std::optional<std::int64_t> before;    ///< only ids below
  std::size_t limit = 100;
};

}  // namespace framemill
