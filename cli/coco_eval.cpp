// sgmae coco-eval: average precision and recall of a file of detections.
#include <algorithm>
#include <cmath>
#include <memory>

#include "cli/command.h"
#include "sgmae/base/log.h"
#include "sgmae/base/threads.h"
#include "sgmae/eval/coco_eval_files.h"

namespace sgmae {
namespace {

enum class EvaluatedType { bbox, segm };

struct CocoEvalArguments {
  EvaluatedType type = EvaluatedType::bbox;
  bool per_class = false, class_agnostic = false;
  int threads = 0;

  void declare(Options& o) {
    o.section("evaluation");
    o.add("type", type, {{"bbox", EvaluatedType::bbox}, {"segm", EvaluatedType::segm}},
          "what must overlap: boxes, or masks");
    o.add("per_class", per_class, "average precision of each category as well");
    o.add("class_agnostic", class_agnostic, "take all categories for one (useCats 0)");
    o.add("threads", threads, "0: one per processor");
  }
};

void tell(const std::string& file, const std::vector<LeftOut>& left_out) {
  for (const LeftOut& entry : left_out) {
    const std::string line =
        str(file, ": ", entry.reason, ": ", entry.count, " (e.g. ", entry.example, ")");
    entry.weight == LeftOut::Weight::by_rule ? info(line) : warn(line);
  }
}

void tell_of_truth(const CocoFile& truth) {
  tell(truth.name(), truth.left_out());
  const auto& all = truth.annotations();
  if (std::any_of(all.begin(), all.end(), [](const auto& object) { return object.id == 0; }))
    warn(truth.name(),
         ": annotation 0 counts here like any other; pycocotools takes what matches it for wrong");
  if (!all.empty() && std::all_of(all.begin(), all.end(), [](const auto& o) { return o.crowd; }))
    warn(truth.name(),
         ": all annotations are crowds (iscrowd 1), against which nothing is judged: every number "
         "is -1");
}

nlohmann::ordered_json evaluate_files(const CocoEvalArguments& options, const std::string& truth_at,
                                      const std::string& results_at) {
  check(options.threads >= 0, ExitCode::usage, "threads must be 0 or more");
  const CocoFile truth(truth_at);
  check(!truth.is_panoptic(), ExitCode::data, truth_at,
        " is a panoptic document, of segments of all pixels; expected instances_….json");
  tell_of_truth(truth);
  const CocoResults results(results_at, truth);
  tell(results_at, results.left_out());
  const bool masks = options.type == EvaluatedType::segm;
  const int threads = options.threads > 0
                          ? useful_threads(options.threads)
                          : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const CocoScores scores = evaluate(truth, results, {masks, options.class_agnostic, threads});
  info(masks ? "masks" : "boxes", " of ", results.detections().size(), " detections against ",
       truth.annotations().size(), " objects on ", truth.images().size(), " images");
  for (const std::string& line : lines_of(scores.stats())) info(line);
  nlohmann::ordered_json json{{"type", masks ? "segm" : "bbox"}};
  json.update(to_json(scores));
  if (!options.per_class || options.class_agnostic) return json;
  const auto order = categories_by_id(truth);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const CocoCategory& category = truth.categories()[order[i]];
    const double ap = scores.average_precision(i), ap50 = scores.average_precision(i, 0);
    info(category.name, ": AP ", fixed(ap, 3), ", AP50 ", fixed(ap50, 3));
    json["per_class"].push_back(
        {{"id", category.id}, {"name", category.name}, {"AP", ap}, {"AP50", ap50}});
  }
  return json;
}

}  // namespace

Command coco_eval_command() {
  const auto options = std::make_shared<CocoEvalArguments>();
  Command command;
  command.positional_help = "GROUND_TRUTH.json DETECTIONS.json";
  options->declare(command.options);
  command.run = [options](const std::vector<std::string>& files) {
    check(files.size() == 2, ExitCode::usage,
          "expected two files: sgmae coco-eval GROUND_TRUTH.json DETECTIONS.json");
    return evaluate_files(*options, files[0], files[1]);
  };
  return command;
}

}  // namespace sgmae
