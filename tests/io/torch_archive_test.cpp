// Oracle: the layout that torch.save documents. Golden files of tests/golden/torch_files.py are cut
// off here, and hostile ones made byte by byte; that whole ones are read right, torch_file_test.cpp
// shows.
#include "sgmae/io/torch_archive.h"

#include <gtest/gtest.h>

#include "sgmae/base/file.h"
#include "sgmae/io/zip.h"

namespace sgmae {
namespace {

using namespace std::string_literals;

std::string golden(const std::string& name) {
  return read_text(SGMAE_TEST_DATA "/io/" + name);
}

std::span<const std::uint8_t> span(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

void expect_refused(const std::string& bytes, const std::string& reason) {
  try {
    read_torch_archive(span(bytes), "test.pth");
    ADD_FAILURE() << "accepted: " << reason;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::checkpoint);
    EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
  }
}

// An archive of this pickle and one storage "0" of so many zero bytes.
std::string archive(const std::string& pickle, std::size_t storage_bytes) {
  std::string out;
  ZipWriter zip([&](std::string_view bytes) { out += bytes; });
  zip.add("a/data.pkl", span(pickle));
  zip.add("a/data/0", span(std::string(storage_bytes, '\0')));
  zip.finish();
  return out;
}

// A tensor in storage "0", its offset, size and stride as pickle instructions.
std::string archive_of_tensor(const std::string& size, const std::string& stride,
                              const std::string& offset, std::size_t storage_bytes) {
  return archive(
      "\x80\2ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
      "0X\3\0\0\0cpuK\6tQ"s +
          offset + size + stride + "\x89}tR.",
      storage_bytes);
}

TEST(TorchArchiveTest, EveryTruncationIsRefused) {
  for (const char* name : {"checkpoint.pth", "checkpoint_legacy.pth", "arrays4.pkl"}) {
    const std::string whole = golden(name);
    for (std::size_t bytes = 0; bytes < whole.size(); ++bytes)
      expect_refused(whole.substr(0, bytes), "");
  }
}

TEST(TorchArchiveTest, ProgramsAreRefused) {
  expect_refused(golden("module.pth"), "holds Python objects (torch.nn.modules.linear.Linear)");
  expect_refused(golden("scripted.pt"), "TorchScript");
  expect_refused(golden("python.zip"), "no data.pkl");
  expect_refused(archive("\x80\2cos\nsystem\nX\2\0\0\0ls\x85R."s, 0), "asks to run os.system");
}

TEST(TorchArchiveTest, TensorsOutsideTheirStorageAreRefused) {
  const std::string zero("K\0", 2);
  const std::string huge("\x8a\x08\0\0\0\0\0\0\0\x40", 10);  // 2^62
  const std::string good = archive_of_tensor("K\2K\3\x86", "K\3K\1\x86", zero, 24);
  const TorchArchive read = read_torch_archive(span(good), "test.pth");
  ASSERT_EQ(read.tensors.size(), 1u);
  EXPECT_EQ(read.tensors[0].name, "tensor");
  EXPECT_EQ(read.tensors[0].bytes.size(), 24u);
  const auto refused = [&](const std::string& size, const std::string& stride,
                           const std::string& offset, const std::string& reason) {
    expect_refused(archive_of_tensor(size, stride, offset, 24), reason);
  };
  refused("K\2K\3\x86", "K\3K\1\x86", "K\1", "beyond its storage");
  refused("K\2K\3\x86", "K\4K\1\x86", zero, "beyond its storage");
  refused("K\2K\3\x86", "K\3K\1\x86", huge, "beyond its storage");
  refused("K\2\x85", huge + "\x85", zero, "beyond its storage");
  refused("K\7\x85", "K\1\x85", zero, "beyond its storage");
  refused(")", ")", "K\6", "beyond its storage");
  refused(huge + "\x85", zero + "\x85", zero, "impossibly large");
  refused(zero + huge + huge + "\x87", "K\1K\1K\1\x87", zero, "impossibly large");
  // Within 2^40 elements, but far more than the file: 4 GB.
  refused("J" + std::string("\0\0\0\x40", 4) + "\x85", zero + "\x85", zero, "unpacks");
  expect_refused(archive("\x80\2ctorch._utils\n_rebuild_tensor_v2\n(K\1K\1)K\1tR.", 0), "unusual");
}

TEST(TorchArchiveTest, NestingAndSharingAreBounded) {
  expect_refused(archive(std::string(1000, ']') + std::string(999, 'a') + ".", 0), "too deeply");
  expect_refused(archive("]q\1h\1a.", 0), "too deeply");  // a list that holds itself
  // Twelve levels of ten references each to the level below: 10^12 values, in 500 bytes.
  std::string laughs = "]q";
  laughs += '\0';
  for (char level = 1; level <= 12; ++level) {
    laughs += "](";
    for (int i = 0; i < 10; ++i) laughs += {'h', static_cast<char>(level - 1)};
    laughs += {'e', 'q', level};
  }
  expect_refused(archive(laughs + ".", 0), "unpacks");
}

TEST(TorchArchiveTest, MissingStoragesAreRefused) {
  std::string bytes = archive_of_tensor(")", ")", "K\0"s, 4);
  for (std::size_t at = 0; (at = bytes.find("a/data/0", at)) != std::string::npos; ++at)
    bytes[at + 7] = '7';
  expect_refused(bytes, "content of a tensor is missing");
}

TEST(TorchArchiveTest, NamesThatTwoTensorsShareAreRefused) {
  const std::string tensor =
      "ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
      "0X\3\0\0\0cpuK\6tQK\0))\x89}tR"s;
  expect_refused(archive("}(U\1a" + tensor + "U\1a" + tensor + "u.", 4), "two tensors");
}

}  // namespace
}  // namespace sgmae
