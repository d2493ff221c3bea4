#include "common/sha256.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace bnrun::cli {
namespace {

/// The digests of FIPS 180-4's examples, and of a million letters.
TEST(Sha256, IsThatOfTheStandard) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1000000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
  for (const auto& [bytes, digest] : cases) {
    for (const std::size_t part : {1U, 55U, 64U, 1000001U}) {
      Sha256 sum;
      for (std::size_t at = 0; at < bytes.size(); at += part)
        sum.add(std::string_view(bytes).substr(at, part));
      EXPECT_EQ(sum.hex(), digest);
    }
  }
}

TEST(Sha256, OfWhatIsNoFileIsUnknown) {
  EXPECT_EQ(sha256_of_file("/dev/null"), std::nullopt);
  EXPECT_EQ(sha256_of_file("no such file"), std::nullopt);
}

}  // namespace
}  // namespace bnrun::cli
