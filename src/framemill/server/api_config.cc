// The configuration: read again while the run goes on, and changed by what was changed here.

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/server/api.h"
#include "framemill/server/api_body.h"
#include "framemill/server/api_error.h"
#include "framemill/server/api_json.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

Json changes_json(const CameraChanges& changes) {
  return {{"added", changes.added}, {"changed", changes.changed}, {"removed", changes.removed}};
}

std::string describe(const CameraChanges& changes) {
  return fmt::format("{} cameras added, {} changed, {} removed", changes.added.size(),
                     changes.changed.size(), changes.removed.size());
}

HttpResponse no_config() {
  return error_response(409, "conflict",
                        {"the run has no configuration file", "the run",
                         "start it with one: framemill run CONFIG.yaml"});
}

}  // namespace

HttpResponse Api::get_config(const Call& /*call*/) {
  const bool has_file = static_cast<bool>(config_.unsaved);
  const CameraChanges unsaved = has_file ? config_.unsaved() : CameraChanges{};
  return json_response(dump({{"config_path", has_file ? Json(parts_.config_name) : Json(nullptr)},
                             {"is_watched", parts_.is_config_watched},
                             {"save_changes", has_file ? Json(parts_.save_changes) : Json("never")},
                             {"unsaved", changes_json(unsaved)}}));
}

HttpResponse Api::reload_config(const Call& call) {
  if (const Result<void> empty = check_no_body(call.request); !empty)
    return error_response(empty.error(), "body");
  if (!config_.reload) return no_config();
  const Result<CameraChanges> changes = config_.reload();
  if (!changes) {
    add_event("config_refused", "", changes.error().message(), call.who.name);
    return error_response(changes.error(), parts_.config_name);
  }
  add_event("config_reloaded", "", describe(*changes), call.who.name);
  parts_.meter.look();
  Json json = changes_json(*changes);
  json["unchanged"] = changes->unchanged;
  return json_response(dump(json));
}

HttpResponse Api::save_config(const Call& call) {
  if (const Result<void> empty = check_no_body(call.request); !empty)
    return error_response(empty.error(), "body");
  if (!config_.save) return no_config();
  if (parts_.save_changes == "never") {
    return error_response(409, "conflict",
                          {"the configuration is not to be written", "server.save_changes",
                           "write `save_changes: ask` in `server:` and restart"});
  }
  const Result<CameraChanges> saved = save_changes(call.who.name);
  if (!saved) return error_response(saved.error(), parts_.config_name);
  return json_response(dump(changes_json(*saved)));
}

Result<CameraChanges> Api::save_changes(std::string_view by) {
  Result<CameraChanges> saved = config_.save();
  if (!saved) {
    add_event("config_save_refused", "", saved.error().message(), by);
  } else if (!saved->added.empty() || !saved->changed.empty() || !saved->removed.empty()) {
    add_event("config_saved", "", describe(*saved), by);
  }
  return saved;
}

void Api::after_change(const Call& call) {
  parts_.meter.look();
  // The change itself is done; that it could not be saved is an event, and stays to be seen.
  if (config_.save && parts_.save_changes == "always") (void)save_changes(call.who.name);
}

}  // namespace framemill
