#include "sgmae/checkpoint/model_json.h"

#include <algorithm>
#include <iterator>

#include "sgmae/base/error.h"
#include "sgmae/base/json.h"

namespace sgmae {
namespace {

using nlohmann::json;

// Sizes are multiplied later on.
std::optional<std::int64_t> side(const json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  const std::int64_t pixels =
      value.is_number_unsigned() && value.get<std::uint64_t>() > largest_side
          ? largest_side + 1
          : value.get<std::int64_t>();
  check(pixels >= 1 && pixels <= largest_side, ExitCode::checkpoint,
        "says its images have a side of ", value.dump(),
        " pixels; the file is damaged, use another");
  return pixels;
}

std::vector<float> floats(const json& value) {
  std::vector<float> numbers;
  if (value.is_array())
    for (const json& number : value)
      if (number.is_number()) numbers.push_back(number.get<float>());
  return numbers;
}

}  // namespace

void describe_from_folder(const json& config, const json& preprocessor, DescribedModel& described) {
  if (!config.is_object()) return;
  // One side, or [height, width].
  const json& size = json_member(config, "image_size");
  const bool pair = size.is_array() && size.size() == 2;
  const auto height = side(pair ? size[0] : size), width = side(pair ? size[1] : size);
  if (height && width) {
    described.height = height;
    described.width = width;
  }
  described.heads = json_value<std::int64_t>(config, "num_attention_heads");
  described.decoder_heads = json_value<std::int64_t>(config, "decoder_num_attention_heads");
  described.layer_norm_eps = json_value<double>(config, "layer_norm_eps");
  described.norm_pix_loss = json_value<bool>(config, "norm_pix_loss");
  const json& timm = json_member(config, "pretrained_cfg");
  described.mean = timm.is_object() ? floats(json_member(timm, "mean"))
                                    : floats(json_member(preprocessor, "image_mean"));
  described.std = timm.is_object() ? floats(json_member(timm, "std"))
                                   : floats(json_member(preprocessor, "image_std"));
}

void describe_from_training(const json& content, DescribedModel& described) {
  if (const auto epoch = json_value<std::int64_t>(content, "epoch")) {
    check(*epoch >= -1 && *epoch < INT64_MAX, ExitCode::checkpoint, "says it is of epoch ", *epoch,
          "; the file is damaged, use another");
    described.epoch = *epoch + 1;
  }
  const json& args = json_member(content, "args");
  described.norm_pix_loss = json_value<bool>(args, "norm_pix_loss");
  if (const auto name = json_value<std::string>(args, "model")) {
    try {
      const MaeConfig config = named_config(name->substr(0, name->find("_dec")));
      described.heads = config.encoder.heads;
      described.decoder_heads = config.decoder.heads;
    } catch (const Error&) {  // a name of their own says nothing
    }
  }
}

std::vector<BlockAttention> attention_from_json(const json& config) {
  std::vector<BlockAttention> attention;
  const json& entries = json_member(config, "attention");
  if (!entries.is_array()) {
    check(entries.is_null(), ExitCode::checkpoint,
          "the configuration in the file has an unfit 'attention'");
    return attention;
  }
  const auto names = std::begin(relative_position_names), end = std::end(relative_position_names);
  for (const json& entry : entries) {
    const auto relative = json_value<std::string>(entry, "relative_position");
    const auto window = json_value<std::int64_t>(entry, "window");
    const auto name = relative ? std::find(names, end, *relative) : end;
    check(name != end && window && *window >= 0 && *window <= largest_side, ExitCode::checkpoint,
          "the configuration in the file has an unfit attention ", entry.dump());
    attention.push_back({*window, static_cast<RelativePosition>(std::distance(names, name))});
  }
  return attention;
}

void describe_from_header(const json& config, DescribedModel& described) {
  described.height = side(json_member(config, "height"));
  described.width = side(json_member(config, "width"));
  described.heads = json_value<std::int64_t>(config, "heads");
  described.decoder_heads = json_value<std::int64_t>(config, "decoder_heads");
  described.layer_norm_eps = json_value<double>(config, "layer_norm_eps");
  described.norm_pix_loss = json_value<bool>(config, "norm_pix_loss");
  described.class_token = json_value<bool>(config, "class_token").value_or(true);
  described.position_embedding = json_value<bool>(config, "position_embedding").value_or(true);
  described.final_norm = json_value<bool>(config, "final_norm").value_or(true);
  described.attention = attention_from_json(config);
}

}  // namespace sgmae
