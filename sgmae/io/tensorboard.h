// TensorBoard event files: TFRecord frames around hand-encoded `Event` messages. Every writer
// starts a new file in its folder; TensorBoard joins the files of a folder into one run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace sgmae {

class EventWriter {
 public:
  // Creates `folder` where it is missing. Throws Error(usage) when it cannot be written.
  explicit EventWriter(const std::filesystem::path& folder);
  ~EventWriter() { flush(); }
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  void scalar(const std::string& tag, double value, std::int64_t step);
  // Events that cannot be written later on (full disk) are left out, and the first time warned of:
  // training goes on without them.
  void flush();

 private:
  void add_event(const std::string& content, std::int64_t step);

  std::filesystem::path path_;
  std::string pending_;  // whole frames
  bool warned_ = false;
};

// CRC-32C (Castagnoli) of `bytes`.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes);

}  // namespace sgmae
