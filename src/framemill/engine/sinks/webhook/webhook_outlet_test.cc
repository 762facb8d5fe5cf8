#include "framemill/engine/sinks/webhook/webhook_outlet.h"

#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(HmacSha256, IsThatOfRfc4231) {
  EXPECT_EQ(hmac_sha256_hex(std::string(20, '\x0b'), "Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hmac_sha256_hex("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(IdempotencyKey, NamesTheVeryMessages) {
  const auto keys = [](std::initializer_list<const char*> list) {
    std::vector<Message> messages;
    for (const char* const key : list) messages.emplace_back().key = key;
    return idempotency_key(messages);
  };
  EXPECT_EQ(keys({"RUN/gate/7"}), "RUN/gate/7");
  EXPECT_EQ(keys({"RUN/gate/7", "RUN/gate/8"}), "RUN/gate/7..RUN/gate/8/2");
  EXPECT_NE(keys({"RUN/gate/7", "RUN/gate/9"}), keys({"RUN/gate/7", "RUN/gate/8", "RUN/gate/9"}))
      << "between the same two one may have been dropped";
}

}  // namespace
}  // namespace framemill
