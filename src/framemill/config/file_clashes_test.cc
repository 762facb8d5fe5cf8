#include "framemill/config/file_clashes.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// What a run reads and writes is tried in output_clashes_test.cc.

TEST(FileClashes, SaysWhatWouldBeOverwrittenAndWhatToDo) {
  const TempFolder folder;
  FileClashes files;
  files.add_model("MODEL", folder.write("m.onnx", "m"));
  files.add_input("--clip", folder / "not-yet.mp4");
  files.add_config(folder.write("site.yaml", "s"));
  std::filesystem::create_hard_link(folder / "m.onnx", folder / "same");
  EXPECT_THAT(files.add_output("--out", folder / "same"),
              AllOf(HasSubstr("same\" is read as MODEL, and would be overwritten"),
                    HasSubstr("; name another file")));
  EXPECT_THAT(files.add_output("--out", folder / "m.onnx.data"), HasSubstr("is read as MODEL"));
  EXPECT_THAT(files.add_output("--out", folder / "not-yet.mp4"), HasSubstr("is read as --clip"));
  EXPECT_THAT(files.check_path(folder / "site.yaml", FileClashes::kOtherFolder),
              AllOf(HasSubstr("is the configuration itself"), HasSubstr("; name another folder")));
  EXPECT_EQ(files.add_output("--out", folder / "p.json"), "");
  EXPECT_THAT(files.add_output("--page", folder / "." / "p.json"),
              HasSubstr("is written to by something else too (--out); name another file"));
  EXPECT_EQ(files.add_output("--page", ""), "");
}

TEST(FileClashes, AnInputMayLieBesideAFolderThatIsWrittenButNotInIt) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "set" / "models");
  std::filesystem::create_symlink(folder / "set", folder / "link");
  for (const auto& [path, is_refused] : {std::pair("set/models/m.onnx", true),
                                         {"link/models/m.onnx", true},
                                         {"set/models", true},
                                         {"set/m.onnx", false},
                                         {"set", false},
                                         {"set/models-of-old/m.onnx", false}}) {
    FileClashes files;
    files.add_input("MODEL", folder / path);
    const std::string problem = files.check_folder(folder / "set" / "models/", "name another one");
    EXPECT_EQ(!problem.empty(), is_refused) << path << ": " << problem;
    if (!is_refused) continue;
    EXPECT_THAT(problem, AllOf(HasSubstr("models/\" is written to, and "),
                               HasSubstr("is read as MODEL; name another one")));
  }
}

}  // namespace
}  // namespace framemill
