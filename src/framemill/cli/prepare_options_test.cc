#include "framemill/cli/prepare_options.h"

#include <filesystem>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// A folder with a model, a clip and a folder of pictures, none of them real: options are not
/// expected to look inside.
class PrepareOptionsTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* const file : {"m.onnx", "clip.mp4", "m.xml", "a_file"})
      folder_.write(file, "x");
    fs::create_directory(folder_ / "pictures");
  }

  /// `@` in a word stands for the folder.
  Result<PrepareRequest> parse(const std::string& line) const {
    std::istringstream stream(line);
    std::vector<std::string> arguments;
    for (std::string word; stream >> word;) {
      const std::size_t at = word.find('@');
      if (at == 0) word = (folder_ / word.substr(1)).string();
      arguments.push_back(word);
    }
    return parse_prepare_options(arguments);
  }
  std::string problem_of(const std::string& line) const {
    const Result<PrepareRequest> request = parse(line);
    return request ? "none" : request.error().message();
  }

  const TempFolder folder_;
  const std::string good_ = "@m.onnx --calibrate @clip.mp4 --out @out ";
};

TEST_F(PrepareOptionsTest, DefaultsMakeEverythingForWidePictures) {
  const Result<PrepareRequest> request = parse(good_);
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_FALSE(request->sizes);
  EXPECT_THAT(request->precisions, ElementsAre("fp16", "int8"));
  EXPECT_THAT(request->forms, ElementsAre("openvino", "onnx"));
  EXPECT_THAT(request->conditions,
              ElementsAre("clean", "low_light", "motion_blur", "noise", "jpeg", "defocus"));
  EXPECT_THAT(request->limits, ElementsAre());
  EXPECT_EQ(request->degraded_agreement, .85);
  EXPECT_EQ(request->pictures, 64U);
  EXPECT_EQ(request->bench, "quick");
  EXPECT_TRUE(fs::is_directory(folder_ / "out"));
}

TEST_F(PrepareOptionsTest, ListsAreReadAndLimitsHandedOn) {
  const Result<PrepareRequest> request =
      parse(good_ +
            "--calibrate @pictures --sizes 640x384,512x288 --precisions int8 --forms onnx "
            "--conditions noise --ap-loss 0.02 --agreement 0.9 --attention float --bench off "
            "--degraded-agreement 0.5 --sure-least 5");
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_THAT(*request->sizes, ElementsAre(Size{640, 384}, Size{512, 288}));
  EXPECT_EQ(request->calibrate.size(), 2U);
  EXPECT_THAT(request->conditions, ElementsAre("clean", "noise"));
  EXPECT_THAT(request->limits,
              ElementsAre("--ap-loss", "0.02", "--agreement", "0.9", "--sure-least", "5"));
  EXPECT_EQ(request->degraded_agreement, .5);
  EXPECT_TRUE(request->is_attention_float);
  EXPECT_EQ(request->bench, "off");
  EXPECT_TRUE(parse(good_ + "--sizes none")->sizes->empty());
}

TEST_F(PrepareOptionsTest, WrongValuesAreNamedWithWhatIsPossible) {
  EXPECT_THAT(problem_of(good_ + "--sizes 640"),
              AllOf(HasSubstr("\"640\" is not a size like 640x384"), HasSubstr("64 to 4096")));
  EXPECT_THAT(problem_of(good_ + "--sizes 640x0384x"), HasSubstr("is not a size"));
  EXPECT_THAT(problem_of(good_ + "--sizes 8x8"), HasSubstr("is not a size"));
  EXPECT_THAT(problem_of(good_ + "--precisions int4"), HasSubstr("is none of fp16, int8, fp32"));
  EXPECT_THAT(problem_of(good_ + "--forms tflite"), HasSubstr("is none of openvino, onnx"));
  EXPECT_THAT(problem_of(good_ + "--conditions rain"), HasSubstr("is none of clean, low_light"));
  EXPECT_THAT(problem_of(good_ + "--format xml"), HasSubstr("is none of auto, yolo, coco"));
  EXPECT_THAT(problem_of(good_ + "--attention fp8"), HasSubstr("is none of int8, float"));
  EXPECT_THAT(problem_of(good_ + "--bench long"), HasSubstr("is none of quick, standard, off"));
  EXPECT_THAT(problem_of(good_ + "--pictures 0"), HasSubstr("--help"));
  EXPECT_THAT(problem_of(good_ + "--colour red"), HasSubstr("--help"));
}

TEST_F(PrepareOptionsTest, WrongFilesAreNamedBeforeAnythingIsMade) {
  EXPECT_THAT(problem_of("@m.xml --calibrate @clip.mp4 --out @out"),
              AllOf(HasSubstr("prepare starts from ONNX"), HasSubstr("docs/prepare.md")));
  EXPECT_THAT(problem_of("@gone.onnx --calibrate @clip.mp4 --out @out"),
              HasSubstr("gone.onnx: there is no such file"));
  EXPECT_THAT(problem_of("@m.onnx --calibrate @gone --out @out"),
              HasSubstr("gone: there is no such file or folder"));
  EXPECT_THAT(problem_of("@m.onnx --data @gone --out @out"), HasSubstr("--data"));
  EXPECT_THAT(problem_of("@m.onnx --out @out"), HasSubstr("name what to calibrate with"));
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  EXPECT_THAT(problem_of("@m.onnx --calibrate @clip.mp4 --out @a_file/out"),
              AllOf(HasSubstr("the folder cannot be made"), HasSubstr("name another one")));
}

TEST_F(PrepareOptionsTest, NothingThatIsReadLiesWhereTheSetIsWritten) {
  const auto refused = [&](const std::string& name, const std::string& line,
                           const std::string& says) {
    folder_.write(name, "x");
    const std::string problem = problem_of(line);
    EXPECT_THAT(problem,
                AllOf(HasSubstr("--out: \""), HasSubstr(says), HasSubstr("name another folder")))
        << line;
  };
  const std::string rest = " --calibrate @clip.mp4 --out @set";
  refused("set/models/m_640x640_fp32.onnx", "@set/models/m_640x640_fp32.onnx" + rest,
          "models/m_640x640_fp32.onnx\" is read as MODEL");
  refused("set/models/names", "@m.onnx --labels @set/models/names" + rest, "is read as --labels");
  refused("set/footage/1.png", "@m.onnx --calibrate @set/footage --out @set",
          "is read as --calibrate");
  refused("set/prepare.json", "@m.onnx --data @set/prepare.json" + rest, "is read as --data");
  fs::remove(folder_ / "set/prepare.json");
  fs::create_symlink(folder_ / "m.onnx", folder_ / "set/MODEL_CARD.md");
  EXPECT_THAT(problem_of("@m.onnx" + rest), HasSubstr("is read as MODEL"));
  fs::remove(folder_ / "set/MODEL_CARD.md");
  folder_.write("set/m.onnx", "x");
  EXPECT_EQ(problem_of("@set/m.onnx" + rest), "none") << "beside the set's own files";
}

TEST_F(PrepareOptionsTest, CamerasNeedNoFileAndTheirPasswordIsNotKept) {
  const Result<PrepareRequest> request =
      parse("@m.onnx --calibrate rtsp://me:secret@10.0.0.7/1 --out @out");
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_THAT(request->calibrate, ElementsAre("rtsp://me:secret@10.0.0.7/1"));
  EXPECT_THAT(request->command, Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace framemill
