#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framemill/base/file_identity.h"

namespace framemill {

/// Finds what a command would write although it reads it, and what it would write for two things.
/// It is told of the inputs first, by the names that the user knows them by ("models.objects.path",
/// "--clip"), then of the outputs. Files are told apart by device and number where they exist, so
/// links and ways round are seen through. Looks at files, opens none.
class FileClashes {
 public:
  /// What may be written to twice although it is no file: nothing else uses these at the same time.
  enum class Twice { kRefused, kTaken };

  void add_input(std::string name, const std::string& path);
  /// An input with the files that belong to it.
  void add_model(const std::string& name, const std::string& path);
  /// The configuration's own file; empty: none.
  void add_config(const std::string& path);

  /// The output `name` goes to `path`; "-" is standard output. What is wrong with that, as it
  /// stands behind the name: `"x" is read as --clip, ...; <remedy>`. Empty: nothing is.
  [[nodiscard]] std::string add_output(const std::string& name, const std::string& path,
                                       Twice twice = Twice::kTaken,
                                       std::string_view remedy = kOtherFile);
  /// The same for a file that is written beside an output, and by nothing else.
  [[nodiscard]] std::string check_path(const std::string& path,
                                       std::string_view remedy = kOtherFile) const;
  /// The same for a folder whose files, and those of the folders in it, are all written.
  [[nodiscard]] std::string check_folder(const std::string& folder, std::string_view remedy) const;

  static constexpr std::string_view kOtherFile = "name another file";
  static constexpr std::string_view kOtherFolder = "name another folder";

 private:
  std::optional<FileIdentity> config_;
  std::map<FileIdentity, std::string> inputs_, outputs_;     ///< with what they are
  std::vector<std::pair<std::string, std::string>> places_;  ///< of inputs: path and name
  std::set<std::string> names_;  ///< of what is written to and is no file
};

}  // namespace framemill
