#include "sgmae/train/estimate.h"

#include <algorithm>
#include <initializer_list>
#include <string>

#include "sgmae/base/error.h"
#include "sgmae/nn/attention.h"
#include "sgmae/train/flops.h"
#include "sgmae/train/gradient_exchange.h"
#include "sgmae/train/options.h"

namespace sgmae {
namespace {

constexpr double fp32 = 4;  // bytes

double real(std::int64_t count) {
  return static_cast<double>(count);
}

std::int64_t rounded_up(std::int64_t count, std::int64_t to) {
  return (count + to - 1) / to * to;
}

// ---- Parameters ---------------------------------------------------------------------------------

void add_trained(ParameterCount& count, std::initializer_list<std::int64_t> sizes) {
  for (const std::int64_t size : sizes) {
    count.all += size;
    count.trained += size;
    count.flat += rounded_up(size, 16);
  }
}

void add_blocks(ParameterCount& count, const VitSize& size, std::int64_t hidden) {
  const std::int64_t d = size.dim;
  for (std::int64_t i = 0; i < size.depth; ++i)
    add_trained(count, {d, d, 3 * d * d, 3 * d, d * d, d,           // norm1, qkv, proj
                        d, d, hidden * d, hidden, d * hidden, d});  // norm2, fc1, fc2
}

// ---- Activations --------------------------------------------------------------------------------

// Rows of one process's batch, and the width of what lies in them. Bytes are doubles: they are only
// added up.
struct Rows {
  double seen, all, masked;  // tokens of the encoder, of the decoder, and those that are predicted
  double type;               // bytes of an activation
};

Rows rows_of(const EstimateInput& in) {
  const std::int64_t n = in.model.n_patches();
  return {real(in.batch_size * (1 + in.n_visible)), real(in.batch_size * (1 + n - in.n_thrown)),
          real(in.batch_size * (n - in.n_visible - in.n_thrown)),
          in.precision == Precision::bf16 ? 2.0 : fp32};
}

struct Width {
  double dim, hidden, heads;
};

Width encoder_width(const MaeConfig& c) {
  return {real(c.encoder.dim), real(c.encoder_mlp()), real(c.encoder.heads)};
}
Width decoder_width(const MaeConfig& c) {
  return {real(c.decoder.dim), real(c.decoder_mlp()), real(c.decoder.heads)};
}

// What AttentionTrace and MlpTrace (nn/block.h) hold.
double attention_trace(const Width& w, double rows, double type) {
  const double x = fp32 * w.dim, qkv = 3 * type * w.dim, out = type * w.dim,
               log_sum_exp = fp32 * w.heads;
  return rows * (x + qkv + out + log_sum_exp);
}
double mlp_trace(const Width& w, double rows, double type) {  // its x is the attention's
  const double delta = type * w.dim, h = type * w.hidden;
  return rows * (delta + h);
}
double block_trace(const Width& w, double rows, double type) {
  return attention_trace(w, rows, type) + mlp_trace(w, rows, type);
}

// What mlp_backward and attention_backward make beside the traces: the branch's gradient (of fp32
// the stream's own), then dh, the norm made again and its gradient; the gradients of attention's
// output and of qkv, the norm and its gradient.
double mlp_work(const Width& w, double rows, double type) {
  const double d = type < fp32 ? type * w.dim : 0;
  return rows * (d + type * w.hidden + fp32 * w.dim + 2 * type * w.dim);
}
double attention_work(const Width& w, double rows, double type) {
  const double d = type < fp32 ? type * w.dim : 0;
  return rows * (d + type * w.dim + 3 * type * w.dim + 2 * type * w.dim);
}
double block_work(const Width& w, double rows, double type) {
  return std::max(mlp_work(w, rows, type), attention_work(w, rows, type));
}

struct Traces {
  double encoder = 0;         // blocks, patches, norm and latent
  double decoder_blocks = 0;  // all but the last
  double last_block = 0;      // its MLP for masked rows alone, and they are copied out
  double norm = 0;            // decoder_norm, of masked rows
  double encoder_block = 0, decoder_block = 0;  // one of them, where it is made again

  double sum() const { return encoder + decoder_blocks + last_block + norm; }
};

Traces traces(const EstimateInput& in) {
  const MaeConfig& c = in.model;
  const auto [seen, all, masked, type] = rows_of(in);
  const Width e = encoder_width(c), d = decoder_width(c);
  const double statistics = 2 * fp32;
  // A checkpoint is a block's input, x and delta; the first block has no delta.
  const auto kept = [&](const Width& w, double rows, std::int64_t blocks) {
    if (!in.checkpoint_activations) return real(blocks) * block_trace(w, rows, type);
    return rows * w.dim * (real(blocks) * (fp32 + type) - (blocks > 0 ? type : 0));
  };
  Traces t;
  t.encoder = kept(e, seen, c.encoder.depth) +
              real(in.batch_size * in.n_visible) * real(c.patch_values()) * type +
              seen * (fp32 * e.dim + type * e.dim + statistics);
  t.decoder_blocks = kept(d, all, c.decoder.depth - 1);
  t.last_block = attention_trace(d, all, type) + masked * fp32 * d.dim + mlp_trace(d, masked, type);
  t.norm = masked * (fp32 * d.dim + type * d.dim + statistics);
  if (in.checkpoint_activations) {
    t.encoder_block = block_trace(e, seen, type);
    t.decoder_block = block_trace(d, all, type);
  }
  return t;
}

// Less what lies in the gradients of the encoder's blocks (nn/lent_gradients.h).
Traces less_lent(Traces t, const EstimateInput& in) {
  // None of an earlier batch of the step may be there.
  if (!in.on_cpu || !in.own_products || in.accum_iter > 1) return t;
  const auto [seen, all, masked, type] = rows_of(in);
  const Width d = decoder_width(in.model);
  ParameterCount blocks;
  add_blocks(blocks, in.model.encoder, in.model.encoder_mlp());
  double left = fp32 * real(blocks.flat);
  const auto take = [&](double bytes) {
    if (bytes > left) return 0.0;
    left -= bytes;
    return bytes;
  };
  for (std::int64_t i = in.checkpoint_activations ? in.model.decoder.depth - 1 : 0;
       i < in.model.decoder.depth; ++i) {
    const bool last = i + 1 == in.model.decoder.depth;
    double& kept = last ? t.last_block : t.decoder_blocks;
    kept -= take(all * 3 * d.dim * type);
    kept -= take((last ? masked : all) * d.hidden * type);
  }
  return t;
}

// The most of several moments of a step: when the loss is known, in the backward pass of the last
// decoder block, of the one before, and of the encoder's last.
double step_peak(const EstimateInput& in, const Traces& t) {
  const auto [seen, all, masked, type] = rows_of(in);
  const Width e = encoder_width(in.model), d = decoder_width(in.model);
  const double values = real(in.model.patch_values());
  // pred and its gradient; both also in fp32 where they are not.
  const double loss = masked * values * (type < fp32 ? 2 * (type + fp32) : 2 * fp32);
  // pred, dpred and what the norm reads of it live to the end, what decoder_norm's backward made to
  // that of the decoder.
  const double to_the_end = masked * (2 * type * values + type * d.dim);
  const double held = to_the_end + masked * fp32 * d.dim;
  const double dx = all * fp32 * d.dim;
  const double last = held + std::max(mlp_work(d, masked, type), dx + attention_work(d, all, type));
  const double before_last = held + dx + t.decoder_block + block_work(d, all, type) - t.last_block;
  const double encoder = to_the_end + dx + seen * fp32 * e.dim + seen * type * e.dim +
                         t.encoder_block + block_work(e, seen, type) - t.decoder_blocks -
                         t.last_block;
  return t.sum() + std::max({loss, last, before_last, encoder});
}

// A forward pass over whole images keeps nothing: at its widest, the MLP of one block.
double whole_image_peak(const EstimateInput& in) {
  const double all = real(in.batch_size * (1 + in.model.n_patches())), type = rows_of(in).type;
  const Width e = encoder_width(in.model);
  return all * (2 * fp32 * e.dim + 2 * type * e.hidden + 2 * type * e.dim);
}

// With a masking strategy whose networks learn: after the decoder's backward pass, whose traces are
// gone; or in a step of their own, after the autoencoder's, until which they keep their traces.
double masks_peak(const EstimateInput& in) {
  const double all = real(in.batch_size * (1 + in.model.n_patches())), type = rows_of(in).type;
  const auto blocks = [&](const VitSize& size, const Width& width) {
    return real(size.depth) * block_trace(width, all, type);
  };
  const double traced =
      in.masks.traced.encoder * blocks(in.model.encoder, encoder_width(in.model)) +
      in.masks.traced.decoder * blocks(in.model.decoder, decoder_width(in.model));
  if (!in.masks.whole_steps)
    return traces(in).encoder + traced + all * fp32 * real(in.model.decoder.dim) +
           block_work(decoder_width(in.model), all, type);
  EstimateInput whole = in;
  whole.n_visible = in.model.n_patches(), whole.n_thrown = 0;
  // The gradients are not clear any more when the second step begins.
  return traced +
         std::max(step_peak(in, less_lent(traces(in), in)), step_peak(whole, traces(whole)));
}

// Attention of the decoder, of as many images at once as measure_exploitation() takes.
double probe_peak(const EstimateInput& in) {
  const double n = real(in.model.n_patches() + 1);
  const double image = real(in.model.decoder.depth) * real(in.model.decoder.heads) * n * n * fp32;
  return std::min(std::max(128.0 * (1 << 20), image), 64 * image);
}

// What the weight gradients' product packs is as large as its input, that of the others a weight.
double largest_operand(const EstimateInput& in) {
  const auto [seen, all, masked, type] = rows_of(in);
  const Width e = encoder_width(in.model), d = decoder_width(in.model);
  return type * std::max({e.hidden * std::max(e.dim, seen), d.hidden * std::max(d.dim, all)});
}

// ---- Images -------------------------------------------------------------------------------------

double pixel_bytes(const EstimateInput& in) {
  return real(in.model.channels * in.model.height * in.model.width) * fp32;
}

// The loader of a pass over whole images comes beside the one of training.
double batch_bytes(const EstimateInput& in) {
  const auto held = [&](std::int64_t images, std::int64_t batch) {
    return std::min(held_batches(in) * batch, images / in.processes);
  };
  const std::int64_t probe_batch = std::clamp<std::int64_t>(in.probe_images / in.processes, 1, 64);
  const std::int64_t passing =
      std::max(in.masks.map_passes > 0 ? held(in.images, in.batch_size) : 0,
               in.probe_images > 0 ? held(in.probe_images, probe_batch) : 0);
  return real(held(in.images, in.batch_size) + passing) * pixel_bytes(in);
}

// A string of the C++ library: 32 bytes, and a piece of the heap for more than 15 characters.
double string_bytes(std::int64_t length) {
  return 32 + (length > 15 ? std::max(32.0, real(rounded_up(length + 1 + 8, 16))) : 0.0);
}

double data_set_bytes(const EstimateInput& in) {
  const double label = 8;
  const double place = in.store == ImageStore::files ? 0 : 24;  // offset, size, shard or checksum
  // Of two loaders, or of one between two epochs: the order of images, and a mark for each that
  // cannot be read.
  const double order = 2 * (8 + 1);
  return real(in.images) * (string_bytes(in.name_length) + place + label + order);
}

double index_bytes(const EstimateInput& in) {
  const double text = 4 + real(in.name_length);
  switch (in.store) {
    case ImageStore::files:
      return real(in.images) * text;
    case ImageStore::shards:  // texts for label and folder, offset, size; that much at least
      return real(in.images) * (text + 24);
    case ImageStore::pack:
      return real(in.images) * (text + 20);
  }
  return 0;
}

}  // namespace

std::int64_t count_block_parameters(const VitSize& size, std::int64_t hidden) {
  ParameterCount count;
  add_blocks(count, size, hidden);
  return count.all;
}

ParameterCount count_parameters(const MaeConfig& c) {
  const std::int64_t d = c.encoder.dim, dd = c.decoder.dim, values = c.patch_values();
  ParameterCount count;
  add_trained(count, {d, dd});                  // cls_token, mask_token
  count.all += (1 + c.n_patches()) * (d + dd);  // position embeddings are fixed
  add_trained(count, {d * values, d});          // patch_embed
  add_blocks(count, c.encoder, c.encoder_mlp());
  add_trained(count, {d, d, dd * d, dd});  // norm, decoder_embed
  add_blocks(count, c.decoder, c.decoder_mlp());
  add_trained(count, {dd, dd, values * dd, values});  // decoder_norm, decoder_pred
  return count;
}

std::int64_t trace_bytes(const EstimateInput& in) {
  return static_cast<std::int64_t>(traces(in).sum());
}

EncoderBytes encoder_bytes(const VitConfig& c, std::int64_t images, Precision precision,
                           bool checkpoint_activations) {
  const double type = precision == Precision::bf16 ? 2.0 : fp32;
  const Width w{real(c.size.dim), real(c.mlp_hidden), real(c.size.heads)};
  const double rows = real(images * (c.n_patches() + c.prefix_tokens()));
  EncoderBytes bytes;
  bytes.traces = real(images * c.n_patches() * c.patch_values()) * type;
  for (std::int64_t block = 0; block < c.size.depth; ++block) {
    AttentionShape shape;
    shape.rows = c.grid_height(), shape.columns = c.grid_width();
    shape.window = c.attention_of(block).window;
    // qkv and what attention makes of it are also of what fills windows up.
    const double attending =
        shape.window > 0 ? real(images * shape.windows() * shape.window * shape.window) : rows;
    double trace = rows * fp32 * w.dim + mlp_trace(w, rows, type) +
                   attention_trace(w, attending, type) - attending * fp32 * w.dim;
    if (c.layer_scale) trace += 2 * rows * type * w.dim;
    const double work =
        std::max(mlp_work(w, rows, type), attention_work(w, std::max(rows, attending), type));
    bytes.traces += checkpoint_activations ? rows * w.dim * (fp32 + type) : trace;
    bytes.backward = std::max(bytes.backward, work + (checkpoint_activations ? trace : 0));
  }
  return bytes;
}

MemoryEstimate memory_of_parameters(const ParameterCount& count, const TrainingRun& run) {
  MemoryEstimate m;
  m.weights = fp32 * real(count.all);
  m.gradients = fp32 * real(count.flat);
  m.moments = 2 * fp32 * real(count.trained);
  if (run.shard_optimizer) m.moments /= real(run.processes);
  if (has_common_weights(run)) m.weights /= real(run.processes);
  if (run.precision == Precision::bf16 && !run.own_products)
    m.weight_copies = 2 * real(count.trained);
  m.program = 180.0 * (1 << 20);
  return m;
}

MemoryEstimate estimate_memory(const EstimateInput& in) {
  MemoryEstimate m = memory_of_parameters(count_parameters(in.model), in);
  m.activations = step_peak(in, less_lent(traces(in), in));
  if (in.masks.map_passes > 0 || in.masks.step.encoder > 0)
    m.activations = std::max(m.activations, whole_image_peak(in));
  if (in.masks.trained > 0) m.activations = std::max(m.activations, masks_peak(in));
  m.mask_networks = fp32 * (real(in.masks.held) + 4 * real(in.masks.trained));
  if (in.probe_images > 0) m.activations = std::max(m.activations, probe_peak(in));
  if (!in.on_cpu) m.activations += real(in.batch_size) * pixel_bytes(in);
  if (in.own_products) m.packing = largest_operand(in);
  m.gaps = m.activations / 8;
  m.batches = batch_bytes(in);
  m.data_set = data_set_bytes(in) + static_cast<double>(in.kept_bytes);
  return m;
}

ArithmeticEstimate estimate_arithmetic(const EstimateInput& in) {
  ArithmeticEstimate a;
  a.flop_per_image = training_flop_per_image(in.model, in.n_visible, in.n_thrown);
  a.flop_per_step = a.flop_per_image * real(in.batch_size * in.accum_iter);
  // A training pass is three forward passes.
  const auto flop = [&](const ForwardPasses& passes) {
    return passes.encoder * training_flop_per_image(encoder_config(in.model)) / 3 +
           passes.decoder * decoder_flop_per_image(in.model) +
           passes.autoencoder * a.flop_per_image / 3 + passes.flop;
  };
  a.map_flop_per_image = flop(in.masks.map_pass);
  a.mask_flop_per_image = flop(in.masks.step);
  return a;
}

ExchangeEstimate estimate_exchange(const EstimateInput& in) {
  ExchangeEstimate e;
  if (in.processes == 1) return e;
  const ParameterCount count = count_parameters(in.model);
  const double others = real(in.processes - 1) / real(in.processes);
  e.bytes = fp32 * real(count.flat);
  // Sums to their owners and weights to all are the two halves of a sum for all.
  double link = 2 * others * e.bytes;
  if (in.shard_optimizer) {
    link = others * (e.bytes + fp32 * real(count.trained));
    e.bytes += fp32 * real(count.trained);
  }
  if (hosts(in) > 1) e.link_bytes = link;
  return e;
}

TimeEstimate estimate_time(const EstimateInput& in, double gbit_per_second) {
  SGMAE_ASSERT(in.speed.has_value());
  const ExchangeEstimate exchange = estimate_exchange(in);
  const ArithmeticEstimate arithmetic = estimate_arithmetic(in);
  const double pass = in.speed->seconds_per_image * real(in.batch_size);
  // Its products are taken to be as fast as those of training.
  const double masks = pass * arithmetic.mask_flop_per_image / arithmetic.flop_per_image;
  const double optimizer =
      in.speed->seconds_per_step / (in.shard_optimizer ? real(in.processes) : 1.0);
  const double alone = real(in.accum_iter) * (pass + masks) + optimizer;

  TimeEstimate t;
  t.gbit_per_second = gbit_per_second;
  if (gbit_per_second > 0) t.exchange = exchange.link_bytes * 8 / (gbit_per_second * 1e9);
  // Backward, two thirds of a pass, hides the sums, all but the last bucket; nothing hides weights.
  const double gradients = fp32 * real(count_parameters(in.model).flat);
  const double sums = in.shard_optimizer ? t.exchange / 2 : t.exchange;
  const double last_bucket = sums * std::min(1.0, real(GradientExchange::bucket_bytes) / gradients);
  const double shown = std::max(last_bucket, sums - pass * 2 / 3) + t.exchange - sums;
  t.step = alone + shown;
  t.step_unhidden = alone + t.exchange;
  t.images_per_second = real(images_per_step(in)) / t.step;

  const std::int64_t steps = in.images / images_per_step(in);
  const double of_masks = real(in.accum_iter) * masks;
  const double map_of_image =
      in.speed->seconds_per_image * arithmetic.map_flop_per_image / arithmetic.flop_per_image;
  t.guidance_hours =
      (real(in.masks.map_passes) * real(in.images) * map_of_image / real(in.processes) +
       real(steps * in.masks.informed_epochs) * of_masks) /
      3600;
  t.hours = real(steps * in.epochs) * (t.step - of_masks) / 3600 + t.guidance_hours;
  t.process_hours = t.hours * real(in.processes);
  return t;
}

FilesEstimate estimate_files(const EstimateInput& in) {
  const ParameterCount count = count_parameters(in.model);
  FilesEstimate f;
  f.index = index_bytes(in);
  if (in.masks.map_passes > 0) f.maps = 2 * real(in.images) * real(in.model.n_patches());
  f.model = fp32 * real(count.all);
  f.state = 2 * fp32 * real(count.trained);
  f.state += 3 * fp32 * real(in.masks.trained) + fp32 * real(in.masks.held);
  const std::int64_t saved = (in.epochs + in.save_every - 1) / in.save_every;
  // Models, the newest two with their states, and the maps by which the last was guided.
  f.run = real(in.keep_checkpoints > 0 ? std::min(in.keep_checkpoints, saved) : saved) * f.model +
          real(std::min<std::int64_t>(2, saved)) * f.state + f.maps;
  // Shards stay open, up to 128 of them; files are open while one of the workers reads them.
  constexpr std::int64_t shards_held = 128;
  f.open_images = in.store == ImageStore::files    ? std::max<std::int64_t>(1, in.num_workers)
                  : in.store == ImageStore::shards ? shards_held
                                                   : 1;
  const std::int64_t sockets = in.processes > 1 ? 2 * in.processes + 2 : 0;
  f.descriptors = f.open_images + sockets + 17;
  return f;
}

bool has_common_weights(const TrainingRun& run) {
  return run.shard_optimizer && run.on_cpu && hosts(run) == 1;
}

void check_estimate(const EstimateInput& in) {
  const auto in_range = [](const char* name, std::int64_t value, std::int64_t most) {
    need(value >= 1 && value <= most, str(name, " must be in 1 .. ", most, ", but is ", value));
  };
  constexpr std::int64_t most_images = 1'000'000'000'000, most_processes = 1 << 20;
  in_range("images", in.images, most_images);
  in_range("processes", in.processes, most_processes);
  in_range("processes_per_host", in.processes_per_host, most_processes);
  need(real(in.batch_size) * real(in.accum_iter) * real(in.processes) <= real(in.images),
       str("there are only ", in.images, " images, fewer than one step needs (batch_size ",
           in.batch_size, " x accum_iter ", in.accum_iter, " x ", in.processes,
           " processes); lower one of them"));
  need(in.n_visible > 0 && in.n_visible + in.n_thrown < in.model.n_patches(),
       str("of ", in.model.n_patches(), " patches ", in.n_visible,
           " would be visible; some must be, and some masked: change mask_ratio"));
}

}  // namespace sgmae
