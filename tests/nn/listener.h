// Hears which gradients are ready, and whether it was told the truth.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/nn/parameter.h"

namespace sgmae {

class Listener {
 public:
  GradientsReady ready() {
    return [this](std::span<Parameter> parameters) {
      for (const Parameter& parameter : parameters)
        if (parameter.trained()) heard_.emplace_back(parameter.name, parameter.grad.clone());
    };
  }
  // After the pass: each trained one was named once, with the gradient that it has now.
  void expect_all_once(const std::vector<Parameter>& parameters) const {
    std::map<std::string, at::Tensor> by_name(heard_.begin(), heard_.end());
    EXPECT_EQ(by_name.size(), heard_.size()) << "one was named twice";
    std::size_t trained = 0;
    for (const Parameter& parameter : parameters) {
      if (!parameter.trained()) continue;
      ++trained;
      ASSERT_EQ(by_name.count(parameter.name), 1u) << parameter.name;
      EXPECT_TRUE(by_name[parameter.name].equal(parameter.grad)) << parameter.name;
    }
    EXPECT_EQ(by_name.size(), trained);
  }
  // Where `name` comes in what was heard.
  std::size_t place(const std::string& name) const {
    for (std::size_t i = 0; i < heard_.size(); ++i)
      if (heard_[i].first == name) return i;
    ADD_FAILURE() << name << " was not heard of";
    return 0;
  }

 private:
  std::vector<std::pair<std::string, at::Tensor>> heard_;
};

}  // namespace sgmae
