// TensorBoard event files: TFRecord frames around hand-encoded `Event` messages. Every writer
// starts a new file in its folder; TensorBoard joins the files of a folder into one run, in the
// order of their names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace sgmae {

class EventWriter {
 public:
  // Creates `folder` where it is missing; the new file's name sorts after those there. Throws
  // Error(usage) when it cannot be written.
  explicit EventWriter(const std::filesystem::path& folder);
  ~EventWriter() { flush(); }
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  void scalar(const std::string& tag, double value, std::int64_t step);
  // A picture, `png` the file's bytes. Written at once.
  void image(const std::string& tag, std::span<const std::uint8_t> png, int width, int height,
             int channels, std::int64_t step);
  // Events of `step` and later, in earlier files too, are void: the run goes on from an earlier
  // place. A SessionLog START, which TensorBoard's readers understand so.
  void begin_again(std::int64_t step);
  // Events that cannot be written later on (full disk) are left out, and the first time warned of:
  // training goes on without them.
  void flush();

 private:
  // `value`: the field of Summary.Value that holds it.
  void add_summary(const std::string& tag, const std::string& value, std::int64_t step);
  void add_event(const std::string& content, std::int64_t step);

  std::filesystem::path path_;
  std::string pending_;  // whole frames
  bool warned_ = false;
};

}  // namespace sgmae
