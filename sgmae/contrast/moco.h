// MoCo v3 (Chen, Xie, He 2021, algorithm 1): the query network learns to say of one view of an
// image what the key network says of the other one, and of no other image; the key network is its
// moving average. What is kept of both in the end is the query network's encoder.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "sgmae/nn/config.h"
#include "sgmae/nn/encoder.h"
#include "sgmae/nn/parameter.h"

namespace sgmae {

struct MocoConfig {
  VitConfig encoder;  // with class token and final norm: the projector reads that token behind it
  std::int64_t hidden = 4096, features = 256;  // of projector and predictor
  double temperature = 0.2;
  bool frozen_patches = true;  // the patch projection keeps its first values (section 4.2)
};

// Means over the images of a batch, 0-dim fp32 on the model's device, without gradients.
struct MocoLoss {
  at::Tensor mean;   // of both directions together
  at::Tensor right;  // share of queries to which their own key is the most similar one
};

class Moco {
 public:
  // Weights drawn from `seed`. Encoder (section 4.2 and the published code): positions are fixed,
  // a quarter of the channels each for the sines and cosines of the row, then those of the column;
  // Xavier-uniform for the projections of queries, keys and values, each on its own, and for all
  // other linear layers, biases 0; class token N(0, 1e-6). Heads: PyTorch's own. The key network
  // begins as a copy. Throws Error(usage) for sizes that do not fit.
  Moco(const MocoConfig& config, std::uint64_t seed);
  // Those of both networks, without values and without memory for gradients.
  static std::vector<Parameter> parameters_of(const MocoConfig& config);
  ~Moco();
  Moco(Moco&&) noexcept;
  Moco& operator=(Moco&&) noexcept;

  const MocoConfig& config() const;
  const Encoder& encoder() const;  // of the query network
  // The query network's: those of the encoder under MAE's names, then projector.… and predictor.…
  std::vector<Parameter>& parameters();
  // Copies that share memory: of the encoder alone; and of all else that is not in them, the heads
  // and, with names that begin with "momentum.", the key network.
  std::vector<Parameter> encoder_parameters() const;
  std::vector<Parameter> other_parameters() const;
  void set_precision(Precision precision);
  void checkpoint_activations(bool yes);  // Encoder's
  void parameters_changed();              // call after writing to parameter values from outside
  void move_to(at::Device device);

  // Adds loss_scale times the gradients of the mean over images of
  //   loss(q1, k2) + loss(q2, k1),  q = predictor(projector(encoder(view))), k of the key network
  // by contrastive_loss(). Both views [B, C, H, W], normalised. Batch norms see one view at a time,
  // of all processes; it is a collective.
  MocoLoss forward_backward(const at::Tensor& first, const at::Tensor& second, double loss_scale,
                            const GradientsReady& ready = {});

  // Weights of the key network <- momentum * weights + (1 - momentum) * those of the query network.
  void follow(double momentum);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sgmae
