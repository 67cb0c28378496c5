// Oracle: a decoder of the frames written out here. PyPI tensorboard 2.21 reads the files too
// (tests/golden/tensorboard_read.py).
#include "sgmae/io/tensorboard.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>

#include "sgmae/base/file.h"
#include "sgmae/io/checksum.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

TEST(EventWriter, FramesHoldTheEventsAndTheirChecksums) {
  const TemporaryFolder temporary;
  const fs::path& folder = temporary.root();
  {
    EventWriter writer(folder);
    writer.scalar("train_loss", 0.5, 1000);
    writer.begin_again(300);
    const std::vector<std::uint8_t> png{'P', 'N', 'G'};
    writer.image("masks", png, 640, 5, 3, 2);
  }
  ASSERT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
  const auto bytes = read_file(fs::directory_iterator(folder)->path());
  const auto masked = [](std::span<const std::uint8_t> data) {
    const std::uint32_t crc = crc32c(data);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
  };
  std::vector<std::string> events;
  for (std::size_t at = 0; at < bytes.size();) {
    std::uint64_t length;
    std::uint32_t crc;
    std::memcpy(&length, &bytes[at], 8);
    std::memcpy(&crc, &bytes[at + 8], 4);
    EXPECT_EQ(crc, masked({&bytes[at], 8}));
    std::memcpy(&crc, &bytes[at + 12 + length], 4);
    EXPECT_EQ(crc, masked({&bytes[at + 12], length}));
    events.emplace_back(bytes.begin() + at + 12, bytes.begin() + at + 12 + length);
    at += 16 + length;
  }
  ASSERT_EQ(events.size(), 4u);
  EXPECT_NE(events[0].find("brain.Event:2"), std::string::npos);
  // Event.step (field 2) = 1000, then summary.value {tag, simple_value 0.5f}.
  const std::string expected("\x10\xe8\x07\x2a\x13\x0a\x11\x0a\x0atrain_loss\x15\x00\x00\x00\x3f",
                             24);
  EXPECT_EQ(events[1].substr(9), expected);
  // Event.step = 300, then session_log (field 7) {status (field 1) START = 1}.
  EXPECT_EQ(events[2].substr(9), std::string("\x10\xac\x02\x3a\x02\x08\x01", 7));
  // Event.step = 2, then summary.value {tag, image (field 4) {height (1), width (2), colorspace
  // (3), encoded_image_string (4)}}.
  EXPECT_EQ(events[3].substr(9),
            std::string("\x10\x02\x2a\x17\x0a\x15\x0a\x05masks\x22\x0c\x08\x05\x10\x80\x05\x18\x03"
                        "\x22\x03PNG",
                        27));
}

TEST(EventWriter, AnotherWriterStartsAnotherFile) {
  const TemporaryFolder temporary;
  const fs::path& folder = temporary.root();
  EventWriter first(folder), second(folder);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 2);
}

// Readers take the files of a folder in the order of their names; clocks of machines differ, and
// process numbers are no order.
TEST(EventWriter, ALaterWritersFileSortsLast) {
  const TemporaryFolder temporary;
  const fs::path& folder = temporary.root();
  write_file(folder / "events.out.tfevents.3999999999.elsewhere.9.0", "");
  write_file(folder / "events.out.tfevents.99999999999999.nonsense", "");
  write_file(folder / "events.out.tfevents.text", "");
  for (int i = 0; i < 3; ++i) EventWriter writer(folder);
  for (const char* number : {"4000000000", "4000000001", "4000000002"}) {
    int files = 0;
    for (const auto& entry : fs::directory_iterator(folder))
      files += entry.path().filename().string().starts_with(std::string("events.out.tfevents.") +
                                                            number + ".sgmae.");
    EXPECT_EQ(files, 1) << number;
  }
}

// The writer's next frames do not fit, and later there is room again.
TEST(EventWriter, AFullDiskIsSaidOnceAndLeavesWholeFrames) {
  const TemporaryFolder temporary;
  const fs::path& folder = temporary.root();
  std::signal(SIGXFSZ, SIG_IGN);
  testing::internal::CaptureStderr();
  {
    EventWriter writer(folder);
    const fs::path path = fs::directory_iterator(folder)->path();
    // The limit is one on the captured stderr too, which must have room for the warning.
    for (int i = 0; i < 30; ++i) writer.scalar("loss", 0, 0);
    writer.flush();
    const std::uintmax_t full = fs::file_size(path);
    writer.scalar("loss", 0, 0);
    writer.flush();
    const std::uintmax_t frame = fs::file_size(path) - full;
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit tight{full + frame + frame / 2, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tight);
    for (int i = 0; i < 2; ++i) {
      writer.scalar("loss", 1, 0);
      writer.flush();
      EXPECT_EQ(fs::file_size(path), full + frame);
    }
    setrlimit(RLIMIT_FSIZE, &before);
    writer.scalar("loss", 2, 0);
    writer.flush();
    EXPECT_EQ(fs::file_size(path), full + 2 * frame);
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("File too large"), std::string::npos) << said;
  EXPECT_EQ(said.find("TensorBoard"), said.rfind("TensorBoard")) << said;
}

TEST(EventWriter, UnwritableFolderIsAUserError) {
  EXPECT_THROW(EventWriter("/proc/nowhere"), Error);
}

}  // namespace
}  // namespace sgmae
