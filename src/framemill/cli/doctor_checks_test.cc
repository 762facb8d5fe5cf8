#include "framemill/cli/doctor_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr Size kInput{640, 384};

DeviceProfile make_profile() {
  DeviceProfile profile{.device = "CPU", .model_sha256 = "abc", .input = kInput};
  profile.environment = {{"cpu", "Fast 9000"},    {"cores", "16"},        {"runtime", "OpenVINO 1"},
                         {"backend", "openvino"}, {"arithmetic", "auto"}, {"kernel", "Linux 5"}};
  return profile;
}

TEST(FitProfile, IsOfTheVeryModelAndMachine) {
  const DeviceProfile profile = make_profile();
  const ModelFacts facts{.hash = "abc", .device = "CPU"};
  const ProfileFit same = fit_profile(profile, facts, kInput, profile.environment);
  EXPECT_TRUE(same.is_used);
  EXPECT_EQ(same.note, "");
  for (const ModelFacts& other : {ModelFacts{.hash = "other", .device = "CPU"},
                                  ModelFacts{.hash = "abc", .device = "cuda:0"}}) {
    EXPECT_FALSE(fit_profile(profile, other, kInput, profile.environment).is_used);
    EXPECT_EQ(fit_profile(profile, other, kInput, profile.environment).note, "");
  }
  EXPECT_FALSE(fit_profile(profile, facts, {320, 192}, profile.environment).is_used);
}

TEST(FitProfile, SaysWhereItsMachineIsAnother) {
  const DeviceProfile profile = make_profile();
  const ModelFacts facts{.hash = "abc", .device = "CPU"};
  Fingerprint here = profile.environment;
  here["cores"] = "2";
  here["runtime"] = "OpenVINO 2";
  here["kernel"] = "Linux 6";
  const ProfileFit fit = fit_profile(profile, facts, kInput, here);
  EXPECT_TRUE(fit.is_used);
  EXPECT_THAT(fit.note, AllOf(HasSubstr("cores: 16 there, 2 here"),
                              HasSubstr("runtime: OpenVINO 1 there, OpenVINO 2 here"),
                              Not(HasSubstr("Linux"))));
}

TEST(FitProfile, OfAnotherArithmeticIsNoneOfThisModel) {
  DeviceProfile profile = make_profile();
  const ModelFacts facts{.hash = "abc", .device = "CPU"};
  Fingerprint here = profile.environment;
  here["arithmetic"] = "bf16";
  const ProfileFit fit = fit_profile(profile, facts, kInput, here);
  EXPECT_FALSE(fit.is_used);
  EXPECT_THAT(fit.note,
              AllOf(HasSubstr("tried instead"), HasSubstr("arithmetic: auto there, bf16 here")));
  profile.environment.erase("arithmetic");  // an older framemill's
  EXPECT_TRUE(fit_profile(profile, facts, kInput, here).is_used);
}

TEST(FindDecoder, IsTriedOnlyWhereSomebodyAsksForIt) {
  RunSettings settings;
  settings.cameras.resize(2);
  settings.cameras[0].id = "gate";
  settings.cameras[1].id = "yard";
  EXPECT_TRUE(find_decoder(settings).check.cameras.empty());
  settings.cameras[1].decode = "auto";
  const FoundDecoder found = find_decoder(settings);
  EXPECT_EQ(found.check.cameras, std::vector<std::string>{"yard"});
  EXPECT_EQ(found.decoder == nullptr, !found.check.error.empty());
}

}  // namespace
}  // namespace framemill
