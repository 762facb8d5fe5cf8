#pragma once

#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/server/http_message.h"

/// What the handlers of several resources need: bodies read with care, and answers they share.
/// Pure; any thread.

namespace framemill {

[[nodiscard]] HttpResponse not_found(std::string_view where, std::string_view what,
                                     std::string_view remedy);
[[nodiscard]] HttpResponse unknown_camera(const CameraId& id);

/// The `next_cursor` of a page: `last`, or null where there is no more.
[[nodiscard]] nlohmann::ordered_json cursor_json(bool is_more, std::int64_t last);

/// The body as an object of JSON, not too deep. Empty body: an empty object. Errors:
/// kInvalidArgument.
[[nodiscard]] Result<nlohmann::ordered_json> parse_body(const HttpRequest& request);
/// The same for requests that take no settings: kInvalidArgument where there are some.
[[nodiscard]] Result<void> check_no_body(const HttpRequest& request);

/// JSON knows numbers from texts, YAML does not: "slo": 200 is refused, and so is "id": 5.
[[nodiscard]] Result<void> check_types(const nlohmann::ordered_json& camera);

/// The setting `key` becomes what it is in `from`. False where there is no such setting.
[[nodiscard]] bool reset_setting(std::string_view key, CameraSettings& settings,
                                 const CameraSettings& from);

}  // namespace framemill
