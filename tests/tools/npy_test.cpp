#include "io/npy.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <sstream>

#include "bnrun/error.h"
#include "io/bytes.h"
#include "io/idx.h"
#include "io/zip.h"
#include "support/expect_error.h"

namespace bnrun::io {
namespace {

using namespace std::string_literals;

/// A .npy file put together by hand, after numpy/lib/format.py's description of the format.
std::string npy(const std::string& header, const std::string& data, char version = 1) {
  const std::string text = header + "\n";
  return "\x93NUMPY"s + version + '\0' +
         (version == 1 ? little<std::uint16_t>(text.size()) : little<std::uint32_t>(text.size())) + text +
         data;
}

std::string header(const std::string& descr, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }";
}

template <class T>
std::vector<T> elements(const Tensor& tensor) {
  const auto span = tensor.span<T>();
  return {span.begin(), span.end()};
}

TEST(Npy, ReadsEveryVersion) {
  for (const char version : {'\1', '\2', '\3'}) {
    const Tensor tensor = parse_npy(npy(header("<f4", "(2,)"), "\0\0\x80\x3f\0\0\0\xc0"s, version), "x.npy");
    EXPECT_EQ(tensor.shape(), Shape({2}));
    EXPECT_EQ(elements<float>(tensor), (std::vector<float>{1, -2}));
  }
}

TEST(Npy, ReadsBigEndian) {
  EXPECT_EQ(elements<std::int32_t>(parse_npy(npy(header(">i4", "(1, 2)"), "\0\0\1\2\xff\xff\xff\xfe"s), "x")),
            (std::vector<std::int32_t>{258, -2}));
  const Tensor complex = parse_npy(npy(header(">c8", "(1,)"), "\x3f\x80\0\0\x40\0\0\0"s), "x");
  EXPECT_EQ(elements<std::complex<float>>(complex)[0], std::complex<float>(1, 2));
}

TEST(Npy, ReadsColumnMajor) {
  const Tensor matrix = parse_npy(npy(header("|u1", "(2, 3)", true), "\1\4\2\5\3\6"s), "x");
  EXPECT_EQ(matrix.shape(), Shape({2, 3}));
  EXPECT_EQ(elements<std::uint8_t>(matrix), (std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6}));
  // Element [i,j,k] = 4i + 2j + k lies at i + 2j + 4k.
  const Tensor cube = parse_npy(npy(header("|u1", "(2, 2, 2)", true), "\0\4\2\6\1\5\3\7"s), "x");
  EXPECT_EQ(elements<std::uint8_t>(cube), (std::vector<std::uint8_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(Npy, ReadsText) {
  const Tensor ucs4 = parse_npy(npy(header("<U2", "(2,)"), "a\0\0\0\xe9\0\0\0b\0\0\0\0\0\0\0"s), "x");
  EXPECT_EQ(elements<std::string>(ucs4), (std::vector<std::string>{"a\xc3\xa9", "b"}));
  const Tensor bytes = parse_npy(npy(header("|S3", "(2,)"), "abcd\0\0"s), "x");
  EXPECT_EQ(elements<std::string>(bytes), (std::vector<std::string>{"abc", "d"}));
}

TEST(Npy, ReadsScalarsAndEmptyArrays) {
  EXPECT_EQ(parse_npy(npy(header("|b1", "()"), "\2"s), "x").data<bool>()[0], true);
  EXPECT_EQ(parse_npy(npy(header("<f8", "(0, 3)"), ""), "x").shape(), Shape({0, 3}));
}

TEST(Npy, WhatIsWrittenIsAlignedAndReadsBack) {
  const std::vector<Tensor> tensors = {
      Tensor({2, 2}, std::vector<float>{1, 2.5F, -3, 1e-30F}),
      Tensor({3}, std::vector<std::int64_t>{1, -2, std::int64_t{1} << 60}),
      Tensor(Shape{}, std::vector<double>{0.1}),
      Tensor({2}, std::vector<Half>{Half(1.5F), Half(-2)}),
      Tensor({2}, std::vector<std::string>{"a\xc3\xa9\xf0\x9f\x98\x80", ""}),
  };
  for (const auto& tensor : tensors) {
    std::ostringstream out;
    write_npy(out, tensor);
    const std::string bytes = out.str();
    EXPECT_EQ((10 + read_little<std::uint16_t>(bytes, 8)) % 64, 0);
    EXPECT_TRUE(identical(parse_npy(bytes, "x"), tensor)) << name_of(tensor.dtype());
  }
}

TEST(Npy, BFloat16IsWrittenAsFloat32) {
  std::ostringstream out;
  write_npy(out, Tensor({1}, std::vector<BFloat16>{BFloat16(1.5F)}));
  EXPECT_EQ(elements<float>(parse_npy(out.str(), "x")), std::vector<float>{1.5F});
}

struct BadFile {
  const char* name;
  std::string bytes;
  ErrorCode code = ErrorCode::invalid_input;
};

class BadNpy : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadNpy, IsRefused) {
  try {
    parse_npy(GetParam().bytes, "x.npy");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), GetParam().code) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadNpy,
    ::testing::Values(BadFile{"magic", "hello, world"}, BadFile{"cut", "\x93NUMPY\1\0"s},
                      BadFile{"version", npy(header("<f4", "(0,)"), "", 9)},
                      BadFile{"header_cut", "\x93NUMPY\1\0\xff\xff{'de"s},
                      BadFile{"data_cut", npy(header("<f4", "(2,)"), "\0\0\0\0\0\0\0"s)},
                      BadFile{"data_long", npy(header("<f4", "(1,)"), "\0\0\0\0\0"s)},
                      BadFile{"objects", npy(header("|O", "(1,)"), "\0\0\0\0\0\0\0\0"s)},
                      BadFile{"records",
                              npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "")},
                      BadFile{"negative", npy(header("<f4", "(-1,)"), "")},
                      BadFile{"no_shape", npy("{'descr': '<f4', 'fortran_order': False}", "")},
                      BadFile{"open_text", npy("{'descr': '<f4", "")},
                      BadFile{"claims_much", npy(header("<f4", "(1099511627776,)"), "")},
                      BadFile{"overflow", npy(header("<f4", "(1099511627776, 1099511627776)"), ""),
                              ErrorCode::resource_limit}),
    [](const auto& test) { return std::string(test.param.name); });

// ---------------------------------------------------------------- archives

std::string zip_of(std::span<const ZipEntry> entries) {
  std::ostringstream out;
  write_zip(out, entries);
  return out.str();
}

TEST(Npz, ReadsBackWhatIsWritten) {
  const std::vector<NamedTensor> tensors = {{"a/b", Tensor({2}, std::vector<float>{1, 2})},
                                            {"c", Tensor({1, 1}, std::vector<std::int32_t>{7})}};
  std::ostringstream out;
  write_npz(out, tensors);
  const auto read = parse_npz(out.str(), "x.npz");
  ASSERT_EQ(read.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(read[i].name, tensors[i].name);
    EXPECT_TRUE(identical(read[i].tensor, tensors[i].tensor));
  }
}

TEST(Zip, ReadsDeflatedEntries) {
  const std::string text(1000, 'x');
  std::string packed(100, '\0');
  z_stream stream{};
  ASSERT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = 1000;
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = 100;
  ASSERT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);

  // A stored archive of the packed bytes, its records then changed to method 8 with size and checksum of the
  // text.
  const ZipEntry entry{"e", packed};
  std::string archive = zip_of({&entry, 1});
  const std::size_t directory = archive.find("PK\1\2");
  const std::string crc = little<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(text.data()), 1000));
  archive.replace(directory + 10, 2, "\x08\0"s);
  archive.replace(directory + 16, 4, crc);
  archive.replace(directory + 24, 4, little<std::uint32_t>(1000));
  const auto entries = read_zip(archive, "x.npz");
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].bytes, text);
}

TEST(Zip, DamageIsFound) {
  const ZipEntry entry{"e", "some bytes"};
  const std::string good = zip_of({&entry, 1});
  for (std::size_t i = 0; i < good.size(); ++i) {
    SCOPED_TRACE(i);
    testing::expect_error(ErrorCode::invalid_input, [&] { read_zip(good.substr(0, i), "x"); });
  }
  std::string flipped = good;
  flipped[good.find("bytes")] ^= 1;
  testing::expect_error(ErrorCode::invalid_input, [&] { read_zip(flipped, "x"); });
  std::string zip64 = good;
  zip64.replace(good.find("PK\1\2") + 24, 4, "\xff\xff\xff\xff");
  try {
    read_zip(zip64, "x");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::resource_limit);
  }
}

// ---------------------------------------------------------------- IDX

TEST(Idx, ReadsBigEndianElements) {
  const Tensor images = parse_idx("\0\0\x08\2\0\0\0\1\0\0\0\3\1\2\xff"s, "images");
  EXPECT_EQ(images.shape(), Shape({1, 3}));
  EXPECT_EQ(elements<std::uint8_t>(images), (std::vector<std::uint8_t>{1, 2, 255}));
  EXPECT_EQ(elements<std::int16_t>(parse_idx("\0\0\x0b\1\0\0\0\1\1\2"s, "x")),
            std::vector<std::int16_t>{258});
}

TEST(Idx, SizeMustBeExact) {
  testing::expect_error(ErrorCode::invalid_input, [&] { parse_idx("\0\0\x08\1\0\0\0\2\1"s, "x"); });
  testing::expect_error(ErrorCode::invalid_input, [&] { parse_idx("\0\0\x08\1\0\0\0\2\1\2\3"s, "x"); });
  testing::expect_error(ErrorCode::invalid_input, [&] { parse_idx("\0\0\x08\2\0\0\0\2"s, "x"); });
}

}  // namespace
}  // namespace bnrun::io
