#include "framemill/base/content_hash.h"

#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

std::string hash_of(const std::string& text, std::size_t piece) {
  Sha256 hash;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    const std::string part = text.substr(at, piece);
    hash.add({reinterpret_cast<const std::uint8_t*>(part.data()), part.size()});
  }
  return hash.finish();
}

TEST(Sha256, GivesThePublishedDigests) {  // FIPS 180-4 examples
  EXPECT_EQ(hash_of("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash_of("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 64),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash_of(std::string(1'000'000, 'a'), 4096),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnThePieces) {
  for (std::size_t size : {55U, 56U, 63U, 64U, 65U, 119U, 120U, 200U}) {
    const std::string text(size, 'x');
    for (std::size_t piece : {1U, 7U, 63U, 64U, 65U})
      EXPECT_EQ(hash_of(text, piece), hash_of(text, 1000)) << size << " in pieces of " << piece;
  }
}

TEST(HashFiles, IsThatOfTheFilesInARow) {
  const TempFolder folder;
  const std::vector<std::string> paths{folder.write("1", "a"), folder.write("2", "bc")};
  EXPECT_EQ(*hash_files(paths), hash_of("abc", 3));
  std::filesystem::remove(paths[1]);
  const Result<std::string> gone = hash_files(paths);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace framemill
