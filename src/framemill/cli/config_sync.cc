#include "framemill/cli/config_sync.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "framemill/base/replace_file.h"
#include "framemill/base/thread_name.h"
#include "framemill/config/edit_cameras.h"
#include "framemill/config/load_settings.h"

namespace framemill {
namespace {

const CameraSettings* find_camera(const std::vector<CameraSettings>& cameras, const CameraId& id) {
  const auto found = std::ranges::find(cameras, id, &CameraSettings::id);
  return found == cameras.end() ? nullptr : &*found;
}

/// What has to happen to `before` to become `after`, whatever their order.
CameraChanges changes_between(const std::vector<CameraSettings>& before,
                              const std::vector<CameraSettings>& after) {
  CameraChanges changes;
  for (const CameraSettings& camera : before)
    if (find_camera(after, camera.id) == nullptr) changes.removed.push_back(camera.id);
  for (const CameraSettings& camera : after) {
    const CameraSettings* const old = find_camera(before, camera.id);
    if (old == nullptr) {
      changes.added.push_back(camera.id);
    } else if (*old == camera) {
      ++changes.unchanged;
    } else {
      changes.changed.push_back(camera.id);
    }
  }
  return changes;
}

bool is_empty(const CameraChanges& changes) {
  return changes.added.empty() && changes.changed.empty() && changes.removed.empty();
}

bool is_readable_by_all(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0;
}

/// Whether `written` says what it should: `wanted`, and all else as in `before`.
bool says(const RunSettings& written, const std::vector<CameraSettings>& wanted,
          const RunSettings& before) {
  return is_empty(changes_between(written.cameras, wanted)) &&
         written.defaults == before.defaults && written.models == before.models &&
         written.engine == before.engine && written.alarms == before.alarms &&
         written.sinks == before.sinks && written.output == before.output &&
         written.server == before.server;
}

}  // namespace

ConfigSync::ConfigSync(std::vector<std::string> args, RunOptions options, Engine& engine,
                       RunServer* server)
    : args_(std::move(args)),
      path_(options.config_path),
      engine_(engine),
      server_(server),
      text_read_(options.config_text),
      now_(std::make_shared<const RunOptions>(std::move(options))),
      thread_([this] { run(); }) {}

ConfigSync::~ConfigSync() {
  watches_.clear();
  {
    const std::lock_guard lock(mu_);
    is_over_ = true;
  }
  asked_.notify_all();
  thread_.join();
}

void ConfigSync::watch() {
  watches_.push_back(std::make_unique<FileWatch>(std::vector<std::string>{path_}, [this] {
    if (is_changed()) ask("the file's change");
  }));
  if (is_changed()) ask("the file's change");  // since it was read
  std::vector<std::string> certificate;
  const ServerSettings& server = now_->settings.server;
  for (const std::string* path : {&server.cert_file, &server.key_file, &server.client_ca_file})
    if (!path->empty()) certificate.push_back(*path);
  if (certificate.empty()) return;
  watches_.push_back(std::make_unique<FileWatch>(std::move(certificate),
                                                 [this] { ask("the certificate's change"); }));
}

bool ConfigSync::is_changed() {
  const std::lock_guard lock(reload_mu_);  // before it is read: save() may just be writing it
  const Result<std::string> text = read_configuration(path_);
  return !text || *text != text_read_;
}

void ConfigSync::ask(std::string by) {
  {
    const std::lock_guard lock(mu_);
    asked_by_ = std::move(by);
  }
  asked_.notify_all();
}

Result<CameraChanges> ConfigSync::reload() {
  const std::lock_guard lock(reload_mu_);
  Result<std::string> text = read_configuration(path_);
  if (!text) return fail(text.error());
  text_read_ = *text;
  Result<RunOptions> fresh = parse_run_options(args_, *std::move(text));
  if (!fresh) return fail(fresh.error());
  std::function<void()> use_identity = [] {};
  if (server_ != nullptr) {
    Result<std::function<void()>> prepared = server_->prepare_identity();
    if (!prepared) return fail(prepared.error());
    use_identity = *std::move(prepared);
  }
  Result<CameraChanges> changes = engine_.reconfigure(now_->settings, fresh->settings);
  if (!changes) return changes;
  use_identity();
  if (server_ != nullptr) server_->set_defaults(fresh->settings.defaults);
  const std::lock_guard state(state_mu_);
  now_ = std::make_shared<const RunOptions>(*std::move(fresh));
  return changes;
}

CameraChanges ConfigSync::unsaved() const {
  std::shared_ptr<const RunOptions> now;
  {
    const std::lock_guard state(state_mu_);
    now = now_;
  }
  return changes_between(now->settings.cameras, engine_.camera_settings());
}

Result<CameraChanges> ConfigSync::save() {
  const std::lock_guard lock(reload_mu_);
  const RunSettings& before = now_->settings;
  const std::vector<CameraSettings> wanted = engine_.camera_settings();
  CameraChanges changes = changes_between(before.cameras, wanted);
  if (is_empty(changes)) return changes;
  const Result<std::string> text = read_configuration(path_);
  if (!text) return fail(text.error());
  if (*text != now_->config_text) {
    return fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: holds something else than is in force; reload it first, so that "
                            "nobody's changes are lost",
                            path_));
  }
  if (writes_secret(before.cameras, wanted, before.defaults) && is_readable_by_all(path_)) {
    return fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: a password would be written into a file that everybody may read; "
                            "take that right away (chmod o-r), or write the camera by hand with "
                            "${{NAME}} for the password",
                            path_));
  }
  const auto refuse = [this](const std::string& why) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: the changes cannot be written into it: {}; edit it by hand", path_, why));
  };
  Result<std::string> edited = edit_cameras(*text, before.cameras, wanted, before.defaults);
  if (!edited) return refuse(edited.error().message());
  // YAML has many ways to say a thing: what was written counts, not what was meant.
  Result<RunOptions> fresh = parse_run_options(args_, *edited);
  if (!fresh) return refuse(fresh.error().message());
  if (!says(fresh->settings, wanted, before)) return refuse("it would say something else then");
  if (Result<void> written = rewrite_file(path_, *edited); !written) return fail(written.error());
  text_read_ = *std::move(edited);
  spdlog::info("configuration saved: {} cameras added, {} changed, {} removed",
               changes.added.size(), changes.changed.size(), changes.removed.size());
  const std::lock_guard state(state_mu_);
  now_ = std::make_shared<const RunOptions>(*std::move(fresh));
  return changes;
}

void ConfigSync::run() {
  name_this_thread("reloader");
  std::unique_lock lock(mu_);
  while (true) {
    asked_.wait(lock, [this] { return !asked_by_.empty() || is_over_; });
    if (is_over_) return;
    const std::string by = std::exchange(asked_by_, {});
    lock.unlock();
    report(reload(), by);
    lock.lock();
  }
}

void ConfigSync::report(const Result<CameraChanges>& changes, const std::string& by) {
  if (changes) {
    spdlog::info("configuration read again: {} cameras added, {} changed, {} removed",
                 changes->added.size(), changes->changed.size(), changes->removed.size());
  } else {
    spdlog::error("the configuration is refused, the old one stays:\n{}",
                  changes.error().message());
  }
  if (server_ != nullptr) server_->note_reload(changes, by);
}

}  // namespace framemill
