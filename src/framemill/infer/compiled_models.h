#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

namespace framemill {

/// What runtimes keep on disk of compiled models, in the folders of framemill's cache folder that
/// hold nothing else: `openvino`, `tensorrt` and `rtx`. An entry is a file there, or a folder with
/// all that a runtime put into it. It was last used at the newest modification time in it: file
/// systems keep access times late or never, so whoever uses an entry says so with note_use().
/// Any thread, any number of processes: what another one removes first is gone, and an entry that
/// goes while it is read is compiled again. Nothing here fails: a cache is for speed.

struct CompiledModelsLimit {
  std::uintmax_t bytes_max = std::uintmax_t{2} << 30;
  /// What was used so lately stays, however much it is: another process may be reading it, or be
  /// about to write more. So does what was used since this process first used any.
  std::chrono::minutes spared{10};
};

/// Sets when the entry was last used, to now.
void note_use(const std::filesystem::path& entry);

/// When the entry was last used or written; the oldest time there is where it cannot be read.
[[nodiscard]] std::filesystem::file_time_type last_use(const std::filesystem::path& entry);

/// Removes entries until the others are within the limit, those first that were not used for the
/// longest time. To be called after something was written. O(files kept).
void prune_compiled_models(const std::filesystem::path& cache_folder,
                           const CompiledModelsLimit& limit = {});

/// An entry that a runtime reads and fills by itself.
class CompiledFolder {
 public:
  /// Makes the folder where it can, and notes its use; `path` lies in one of the cache's folders.
  CompiledFolder(std::filesystem::path cache_folder, std::filesystem::path path);
  /// The folder is there and may be written into. A runtime that is handed another one may refuse
  /// the model for it.
  [[nodiscard]] bool is_usable() const;
  /// The runtime has worked with it: prunes the cache where something was written.
  void look_again();

 private:
  std::filesystem::path cache_folder_, path_;
  bool is_new_ = false;
  std::filesystem::file_time_type looked_at_;
};

}  // namespace framemill
