#include "framemill/server/tls_identity.h"

#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using testing::HasSubstr;

class TlsIdentityTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("openssl version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no openssl";
    make("a", "ec -pkeyopt ec_paramgen_curve:prime256v1");
    make("b", "ec -pkeyopt ec_paramgen_curve:prime256v1");
    make("rsa", "rsa:2048");
  }

  void make(const std::string& name, const std::string& key) const {
    const std::string command = "cd " + folder_.path().string() + " && openssl req -x509 -newkey " +
                                key + " -nodes -keyout " + name + ".key -out " + name +
                                ".pem -days 10 -subj /CN=localhost >/dev/null 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0);
  }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ / name; }
  [[nodiscard]] std::string problem(const std::string& cert, const std::string& key,
                                    const std::string& ca = {}) const {
    const auto loaded = TlsIdentity::load({path(cert), path(key), ca.empty() ? ca : path(ca)});
    return loaded ? std::string() : loaded.error().message();
  }
  const TempFolder folder_;
};

TEST_F(TlsIdentityTest, SaysHowLongItLasts) {
  const auto loaded = TlsIdentity::load({path("a.pem"), path("a.key"), path("b.pem")});
  ASSERT_TRUE(loaded) << loaded.error().message();
  const auto left = (*loaded)->expires_at() - SystemClock().wall_now();
  EXPECT_GT(left, std::chrono::hours(24 * 9));
  EXPECT_LT(left, std::chrono::hours(24 * 11));
}

TEST_F(TlsIdentityTest, EachMistakeIsNamed) {
  std::ofstream(path("nonsense.pem")) << "nonsense";
  EXPECT_EQ(problem("rsa.pem", "rsa.key"), "");
  EXPECT_THAT(problem("a.pem", "b.key"), HasSubstr("is the key of another certificate"));
  EXPECT_THAT(problem("a.pem", "rsa.key"), HasSubstr("is the key of another certificate"));
  EXPECT_THAT(problem("a.key", "a.key"), HasSubstr("server.cert_file"));
  EXPECT_THAT(problem("a.pem", "a.pem"), HasSubstr("holds no key"));
  EXPECT_THAT(problem("none.pem", "a.key"), HasSubstr("there is no such file"));
  EXPECT_THAT(problem("a.pem", "a.key", "nonsense.pem"), HasSubstr("server.client_ca_file"));
}

}  // namespace
}  // namespace framemill
