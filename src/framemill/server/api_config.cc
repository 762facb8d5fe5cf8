// The configuration, read again while the run goes on.

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/server/api.h"
#include "framemill/server/api_body.h"
#include "framemill/server/api_error.h"
#include "framemill/server/api_json.h"

namespace framemill {
HttpResponse Api::reload_config(const Call& call) {
  if (const Result<void> empty = check_no_body(call.request); !empty)
    return error_response(empty.error(), "body");
  if (!parts_.reload) {
    return error_response(409, "conflict",
                          {"the run has no configuration file", "the run",
                           "start it with one: framemill run CONFIG.yaml"});
  }
  const Result<CameraChanges> changes = parts_.reload();
  if (!changes) {
    add_event("config_refused", "", changes.error().message(), call.who.name);
    return error_response(changes.error(), parts_.config_name);
  }
  add_event("config_reloaded", "",
            fmt::format("{} cameras added, {} changed, {} removed", changes->added.size(),
                        changes->changed.size(), changes->removed.size()),
            call.who.name);
  parts_.meter.look();
  return json_response(dump({{"added", changes->added},
                             {"changed", changes->changed},
                             {"removed", changes->removed},
                             {"unchanged", changes->unchanged}}));
}

}  // namespace framemill
