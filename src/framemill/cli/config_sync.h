#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/cli/file_watch.h"
#include "framemill/cli/run_options.h"
#include "framemill/engine/engine.h"
#include "framemill/server/run_server.h"

namespace framemill {

/// Keeps a run and its configuration file together: reads the file again when asked to, or when it
/// has changed, and writes into it what was changed over the API. On a thread of its own, since a
/// change may wait for cameras, and signals may not; what is asked for while one reload goes on is
/// one more reload. Thread-safety: all members, any thread.
class ConfigSync {
 public:
  /// `args`: of the command, which override the file as they did at the start, when it gave
  /// `options`. `server`: null for none; both outlive this.
  ConfigSync(std::vector<std::string> args, RunOptions options, Engine& engine, RunServer* server);
  ConfigSync(const ConfigSync&) = delete;
  ~ConfigSync();

  /// From now on changes of the file, and of the certificate's, are noticed.
  void watch();
  /// Asks for a reload; `by`: who does, for people.
  void ask(std::string by);
  /// Reads and applies. Errors: those of the file and of Engine::reconfigure(); nothing was
  /// changed then.
  Result<CameraChanges> reload();
  /// Writes into the file what was changed over the API; returns what that was. Errors: see
  /// ConfigActions::save.
  Result<CameraChanges> save();
  /// What save() would write.
  [[nodiscard]] CameraChanges unsaved() const;

 private:
  void run();
  void report(const Result<CameraChanges>& changes, const std::string& by);
  /// Whether the file holds anything else than when it was read, or written, last.
  [[nodiscard]] bool is_changed();

  const std::vector<std::string> args_;
  const std::string path_;
  Engine& engine_;
  RunServer* const server_;

  std::mutex reload_mu_;
  std::string text_read_;  // that was tried last, perhaps in vain; guarded by reload_mu_

  mutable std::mutex state_mu_;
  std::shared_ptr<const RunOptions> now_;  // in force; guarded by state_mu_

  std::mutex mu_;
  std::condition_variable asked_;
  std::string asked_by_;  // empty: nobody; guarded by mu_
  bool is_over_ = false;  // likewise
  std::thread thread_;
  std::vector<std::unique_ptr<FileWatch>> watches_;  // last: they ask the others
};

}  // namespace framemill
