// What decodes where a workload is played is what decodes where it is predicted.

#include "framemill/cli/verify_decoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SettleDecoding : public ::testing::Test {
 protected:
  SettleDecoding() {
    workload_.cameras = {{.name = "gates", .decode = "auto", .model = "m.onnx"},
                         {.name = "yard", .decode = "cpu", .model = "m.onnx"},
                         {.name = "dock", .decode = "auto", .model = "m.onnx"}};
  }

  std::vector<std::string> settle(const char* device, const std::string& why_none) {
    const std::vector<DeviceProfile> profiles{{.device = device, .model = "m.onnx"}};
    settle_decoding(
        workload_, profiles,
        [&] {
          ++asked_;
          return why_none;
        },
        notes_);
    std::vector<std::string> decoders;
    for (const CameraGroup& group : workload_.cameras) decoders.push_back(group.decode);
    return decoders;
  }

  Workload workload_;
  std::vector<std::string> notes_;
  int asked_ = 0;
};

TEST_F(SettleDecoding, BesideACardAsTheGroupsAsk) {
  EXPECT_THAT(settle("cuda:0", ""), ElementsAre("auto", "cpu", "auto"));
  EXPECT_THAT(notes_, IsEmpty());
  EXPECT_EQ(asked_, 1);
}

TEST_F(SettleDecoding, WhereThereIsNoDecoderTheProcessorDecodesAndItIsSaid) {
  EXPECT_THAT(settle("cuda:0", "no driver"), ElementsAre("cpu", "cpu", "cpu"));
  EXPECT_THAT(notes_, ElementsAre(AllOf(HasSubstr("cameras[gates].decode"), HasSubstr("no driver")),
                                  HasSubstr("cameras[dock].decode")));
}

// As plan counts it: such a machine is one of processors.
TEST_F(SettleDecoding, BesideAModelOnTheProcessorTheProcessorDecodes) {
  EXPECT_THAT(settle("CPU", ""), ElementsAre("cpu", "cpu", "cpu"));
  EXPECT_THAT(notes_, IsEmpty());
  EXPECT_EQ(asked_, 0);
}

}  // namespace
}  // namespace framemill
